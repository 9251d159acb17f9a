package sequence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

const notAsked = "BackoffLimitExceeded: its pods could not be asked yet"

// endedUnasked returns a sequence that has ended, and of whose step and containers of spec.finally these messages were recorded.
func endedUnasked(step string, finally ...string) *v1alpha1.SequentialJob {
	sj := newSequence("extract")
	failedStep := func(name, job, message string) v1alpha1.StepStatus {
		return v1alpha1.StepStatus{
			Name: name, JobName: job, JobUID: types.UID("uid-" + job), State: v1alpha1.StepFailed, Message: message,
			StartTime: &created, CompletionTime: &ended,
		}
	}
	status := &sj.Status
	status.ObservedGeneration, status.Phase, status.CompletionTime = 1, v1alpha1.SequentialJobFailed, &ended
	status.Progress = &v1alpha1.JobProgress{FailedIndex: new(int32), FailureReason: "BackoffLimitExceeded", FinallyRuns: 1}
	status.Result = &v1alpha1.StepsResult{
		Type: v1alpha1.ResultFailed, FailedStep: "extract", Reason: "BackoffLimitExceeded", Message: "Job 0 (extract) failed: " + step, Time: ended,
	}
	status.Steps = []v1alpha1.StepStatus{failedStep("extract", "etl-0", step)}
	names := []string{"notify", "unlock"}
	for i, message := range finally {
		sj.Spec.Finally = append(sj.Spec.Finally, corev1.Container{Name: names[i], Image: "image/" + names[i]})
		status.Finally = append(status.Finally, failedStep(names[i], "etl-f0", message))
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionFailed, Status: metav1.ConditionTrue, Reason: "BackoffLimitExceeded", ObservedGeneration: 1, LastTransitionTime: ended,
		Message: status.Result.Message + "; Finally job 0 (notify) failed: " + finally[0],
	})
	return sj
}

// What the pods of a step and of spec.finally could not be asked at once is found out once the sequence has ended, of each for itself.
func TestWhatEachFailedPodSaysIsAddedInTheEnd(t *testing.T) {
	sj := endedUnasked(notAsked, notAsked, notAsked)
	s := &server{pods: []corev1.Pod{pod(exited("extract", 1, "Error", "one", 1), exited("notify", 2, "Error", "two", 1), exited("unlock", 3, "Error", "three", 1))}}
	for range 3 {
		_, sj = s.play(sequence.Facts{Now: now, SequentialJob: sj})
	}
	const step, notify, unlock = `BackoffLimitExceeded: container "extract" exited with code 1: one`,
		`BackoffLimitExceeded: container "notify" exited with code 2: two`, `BackoffLimitExceeded: container "unlock" exited with code 3: three`
	got := []string{
		sj.Status.Steps[0].Message, sj.Status.Finally[0].Message, sj.Status.Finally[1].Message, sj.Status.Result.Message,
		meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionFailed).Message,
	}
	want := []string{
		step, notify, unlock, "Job 0 (extract) failed: " + step, "Job 0 (extract) failed: " + step + "; Finally job 0 (notify) failed: " + notify,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}
