package sequence

import (
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// End is how a sequence, or one attempt at a step, ended.
type End struct {
	// Completed is false if it failed.
	Completed bool
	// Reason is Completed or JobCompleted, or why it failed: a reason of the API package, or Other for one that somebody else
	// gave to a Job.
	Reason string
	// Duration is the time from the recorded start to the recorded end; 0 if it never started.
	Duration time.Duration
}

// Result is "completed" or "failed".
func (e End) Result() string {
	if e.Completed {
		return "completed"
	}
	return "failed"
}

// StepEnds returns the attempts at steps that ended between two statuses of a SequentialJob, of which the second was
// stored directly after the first.
func StepEnds(before, after *v1alpha1.SequentialJobStatus) []End {
	var ends []End
	for i := range after.Steps {
		step := &after.Steps[i]
		if step.State == v1alpha1.StepRunning || i < len(before.Steps) && before.Steps[i].State != v1alpha1.StepRunning {
			continue
		}
		end := End{
			Completed: step.State == v1alpha1.StepCompleted,
			Reason:    v1alpha1.ReasonJobCompleted,
			Duration:  between(step.StartTime, step.CompletionTime),
		}
		if !end.Completed {
			reason, _, _ := strings.Cut(step.Message, ":")
			end.Reason = limitReason(reason)
		}
		ends = append(ends, end)
	}
	return ends
}

// SequenceEnd returns how the sequence ended, if it did so between these two statuses.
func SequenceEnd(before, after *v1alpha1.SequentialJobStatus) (End, bool) {
	if Finished(before) || !Finished(after) {
		return End{}, false
	}
	end := End{
		Completed: after.Phase == v1alpha1.SequentialJobCompleted,
		Reason:    v1alpha1.ReasonCompleted,
		Duration:  between(after.StartTime, after.CompletionTime),
	}
	if !end.Completed {
		end.Reason = limitReason(after.Progress.FailureReason)
	}
	return end, true
}

// FailureReasons are all that End.Reason can be for what failed. Their number is limited: reasons of foreign Jobs may be anything.
func FailureReasons() []string {
	return []string{
		batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonPodFailurePolicy, v1alpha1.ReasonDeadlineExceeded,
		v1alpha1.ReasonJobDeleted, v1alpha1.ReasonJobFailed, v1alpha1.ReasonInvalidSpec, otherReason,
	}
}

const otherReason = "Other"

// limitReason replaces a reason that somebody else gave to a Job: there may be any number of these.
func limitReason(reason string) string {
	if slices.Contains(FailureReasons(), reason) {
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
