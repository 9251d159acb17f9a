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
	// completed is false if it failed.
	completed bool
	// reason is Completed or JobCompleted, or why it failed: a reason of the API package, or Other for one that somebody else
	// gave to a Job.
	reason string
	// duration is the time from the recorded start to the recorded end; 0 if it never started.
	duration time.Duration
}

// result is "completed" or "failed".
func (e ending) result() string {
	if e.completed {
		return "completed"
	}
	return "failed"
}

// stepEnds returns the attempts at steps that ended between two statuses of a SequentialJob, of which the second was
// stored directly after the first.
func stepEnds(before, after *v1alpha1.SequentialJobStatus) []ending {
	var ends []ending
	for i := range after.Steps {
		step := &after.Steps[i]
		if step.State == v1alpha1.StepRunning || i < len(before.Steps) && before.Steps[i].State != v1alpha1.StepRunning {
			continue
		}
		ended := ending{
			completed: step.State == v1alpha1.StepCompleted,
			reason:    v1alpha1.ReasonJobCompleted,
			duration:  between(step.StartTime, step.CompletionTime),
		}
		if !ended.completed {
			reason, _, _ := strings.Cut(step.Message, ":")
			ended.reason = limitReason(reason)
		}
		ends = append(ends, ended)
	}
	return ends
}

// sequenceEnd returns how the sequence ended, if it did so between these two statuses.
func sequenceEnd(before, after *v1alpha1.SequentialJobStatus) (ending, bool) {
	if sequence.Finished(before) || !sequence.Finished(after) {
		return ending{}, false
	}
	ended := ending{
		completed: after.Phase == v1alpha1.SequentialJobCompleted,
		reason:    v1alpha1.ReasonCompleted,
		duration:  between(after.StartTime, after.CompletionTime),
	}
	if !ended.completed {
		ended.reason = limitReason(after.Progress.FailureReason)
	}
	return ended, true
}

// failureReasons are all that ending.reason can be for what failed. Their number is limited: reasons of foreign Jobs may be anything.
func failureReasons() []string {
	return []string{
		batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonPodFailurePolicy, v1alpha1.ReasonDeadlineExceeded,
		v1alpha1.ReasonJobDeleted, v1alpha1.ReasonJobFailed, v1alpha1.ReasonInvalidSpec, otherReason,
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
