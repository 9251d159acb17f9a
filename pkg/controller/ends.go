package controller

import (
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// ending is how a sequence, or one attempt at a step, ended.
type ending struct {
	// result is one of those below.
	result string
	// reason is Completed or JobCompleted, or why it failed: a reason of the API package, or Other for one that somebody else
	// gave to a Job.
	reason string
	// duration is the time from the recorded start to the recorded end; 0 if it never started.
	duration time.Duration
}

// How a sequence, or an attempt at a step, can end.
const (
	completed = "completed"
	failed    = "failed"
	cancelled = "cancelled"
)

// succeeded is an ending without a failure.
func succeeded(reason string, duration time.Duration) ending {
	return ending{result: completed, reason: reason, duration: duration}
}

// failedFor is an ending for a reason of the API package or of a Job.
func failedFor(reason string, duration time.Duration) ending {
	if reason == v1alpha1.ReasonCancelled {
		return ending{result: cancelled, reason: reason, duration: duration}
	}
	return ending{result: failed, reason: limitReason(reason), duration: duration}
}

// stepEnds returns the attempts at steps that ended between two statuses of a SequentialJob, of which the second was
// stored directly after the first.
func stepEnds(before, after *v1alpha1.SequentialJobStatus) []ending {
	var ends []ending
	for _, lists := range [][2][]v1alpha1.StepStatus{{before.Steps, after.Steps}, {before.Finally, after.Finally}} {
		for i := range lists[1] {
			step := &lists[1][i]
			if step.State == v1alpha1.StepRunning || i < len(lists[0]) && lists[0][i].State != v1alpha1.StepRunning {
				continue
			}
			took := between(step.StartTime, step.CompletionTime)
			if step.State == v1alpha1.StepCompleted {
				ends = append(ends, succeeded(v1alpha1.ReasonJobCompleted, took))
				continue
			}
			reason, _, _ := strings.Cut(step.Message, ":")
			ends = append(ends, failedFor(reason, took))
		}
	}
	return ends
}

// sequenceEnd returns how the sequence ended, if it did so between these two statuses.
func sequenceEnd(before, after *v1alpha1.SequentialJobStatus) (ending, bool) {
	if sequence.Finished(before) || !sequence.Finished(after) {
		return ending{}, false
	}
	took := between(after.StartTime, after.CompletionTime)
	if after.Phase == v1alpha1.SequentialJobCompleted {
		return succeeded(v1alpha1.ReasonCompleted, took), true
	}
	return failedFor(after.Progress.FailureReason, took), true
}

// failureReasons are all that ending.reason can be for what failed. Their number is limited: reasons of foreign Jobs may be anything.
func failureReasons() []string {
	return []string{
		batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonPodFailurePolicy, v1alpha1.ReasonDeadlineExceeded,
		v1alpha1.ReasonJobDeleted, v1alpha1.ReasonJobFailed, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonStepDeadlineExceeded,
		v1alpha1.ReasonFinallyFailed, otherReason,
	}
}

const otherReason = "Other"

// limitReason replaces a reason that somebody else gave to a Job: there may be any number of these.
func limitReason(reason string) string {
	if slices.Contains(failureReasons(), reason) {
		return reason
	}
	return otherReason
}

func between(start, end *metav1.Time) time.Duration {
	if start == nil || end == nil {
		return 0
	}
	return end.Sub(start.Time)
}
