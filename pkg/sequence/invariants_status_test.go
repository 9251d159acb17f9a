package sequence_test

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// checkConsistent says what in a stored status contradicts the rest of it, or the spec.
func (w *world) checkConsistent(sj *v1alpha1.SequentialJob, status *v1alpha1.SequentialJobStatus) {
	var state v1alpha1.ExecutionState
	var completed []int32
	for i, step := range status.Steps {
		switch step.State {
		case v1alpha1.StepCompleted:
			state.Succeeded++
			completed = append(completed, int32(i)) //nolint:gosec // a handful
		case v1alpha1.StepRunning:
			state.Active++
		case v1alpha1.StepFailed:
			state.Failed++
		}
	}
	progress := status.Progress
	if status.State == nil || progress == nil {
		w.problem("no state or no progress")
		return
	}
	if state != *status.State {
		w.problem("state is %+v, the steps are %+v", *status.State, state)
	}
	if !slices.Equal(completed, progress.CompletedIndices) {
		w.problem("completedIndices are %v, want %v", progress.CompletedIndices, completed)
	}
	if want := fmt.Sprintf("%d/%d", len(completed), len(sj.Spec.Containers)); progress.Completions != want {
		w.problem("completions is %s, want %s", progress.Completions, want)
	}
	if status.ObservedGeneration != sj.Generation {
		w.problem("observedGeneration is %d, want %d", status.ObservedGeneration, sj.Generation)
	}
	w.checkPhase(sj, status)
	w.checkConditions(status)
}

// checkPhase compares the phase with the rest.
func (w *world) checkPhase(sj *v1alpha1.SequentialJob, status *v1alpha1.SequentialJobStatus) {
	state, progress := *status.State, status.Progress
	ended, isFailed := sequence.Finished(status), status.Phase == v1alpha1.SequentialJobFailed
	if ended != (status.CompletionTime != nil) || (ended && state.Active > 0) {
		w.problem("phase %s with completionTime %v and %d active steps", status.Phase, status.CompletionTime, state.Active)
	}
	hasFailed := isFailed || status.Result != nil && status.Result.Type != v1alpha1.ResultCompleted
	isStepsFailure := hasFailed && progress.FailureReason != v1alpha1.ReasonFinallyFailed
	if isStepsFailure != (progress.FailedIndex != nil) || hasFailed != (progress.FailureReason != "") {
		w.problem("phase %s with progress %+v", status.Phase, *progress)
	}
	// A failed step is about to be started again, or ends the sequence. A deadline can end it without one.
	if mayFail := hasFailed || granted(status) > startedAgain(status); state.Failed > 0 && !mayFail {
		w.problem("phase %s with state %+v", status.Phase, state)
	}
	neverStarted := slices.Contains([]string{v1alpha1.ReasonDeadlineExceeded, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonCancelled,
		v1alpha1.ReasonFinallyFailed}, progress.FailureReason)
	if isFailed && state.Failed != 1 && !neverStarted {
		w.problem("phase %s for %s with state %+v", status.Phase, progress.FailureReason, state)
	}
	if status.Phase == v1alpha1.SequentialJobCompleted && int(state.Succeeded) != len(sj.Spec.Containers) {
		w.problem("Completed with %d of %d steps complete", state.Succeeded, len(sj.Spec.Containers))
	}
	if isPending := status.Phase == v1alpha1.SequentialJobPending; (isPending && len(status.Steps) > 0) ||
		(status.Phase == v1alpha1.SequentialJobRunning && len(status.Steps) == 0) {
		w.problem("phase %s with %d steps started", status.Phase, len(status.Steps))
	}
	runs := (status.Phase == v1alpha1.SequentialJobRunning || status.Phase == v1alpha1.SequentialJobPending) && status.Result == nil
	if runs != (status.ActiveSince != nil) || status.ActiveSeconds < 0 {
		w.problem("phase %s, active since %v and for %d seconds before", status.Phase, status.ActiveSince, status.ActiveSeconds)
	}
}

// checkConditions compares the conditions with the table that the documentation promises.
func (w *world) checkConditions(status *v1alpha1.SequentialJobStatus) {
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	underWay := map[string]metav1.ConditionStatus{"Available": no, "Progressing": yes, "Failed": no, "Reconciling": yes}
	want := map[v1alpha1.SequentialJobPhase]map[string]metav1.ConditionStatus{
		"Pending":   underWay,
		"Running":   underWay,
		"Suspended": {"Available": no, "Progressing": no, "Failed": no},
		"Completed": {"Available": yes, "Progressing": no, "Failed": no, "Complete": yes},
		"Failed":    {"Available": no, "Progressing": no, "Failed": yes, "Stalled": yes},
	}[status.Phase]
	if len(status.Conditions) != len(want) {
		w.problem("%d conditions in phase %q: %v", len(status.Conditions), status.Phase, conditions(status))
	}
	told := meta.FindStatusCondition(status.Conditions, "Progressing")
	for _, c := range status.Conditions {
		if isSummary := c.Type == "Stalled" || c.Type == "Reconciling"; isSummary && !strings.HasPrefix(told.Message, strings.TrimSuffix(c.Message, "...")) {
			w.problem("condition %s says %q, and Progressing %q", c.Type, c.Message, told.Message)
		}
		if c.Status != want[c.Type] {
			w.problem("condition %s is %s in phase %q", c.Type, c.Status, status.Phase)
		}
		if isLong := len(c.Message) > 120; isLong && c.Type != "Progressing" && (c.Type != "Failed" || c.Status != yes) {
			w.problem("condition %s tells at length what is for others to tell: %s", c.Type, c.Message)
		}
		if c.ObservedGeneration != status.ObservedGeneration {
			w.problem("condition %s is about generation %d, want %d", c.Type, c.ObservedGeneration, status.ObservedGeneration)
		}
	}
}
