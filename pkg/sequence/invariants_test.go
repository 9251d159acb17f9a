package sequence_test

import (
	"fmt"
	"strconv"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// checkCreate holds a Job that a controller creates against the promises of the product.
func (w *world) checkCreate(job *batchv1.Job) {
	owner := metav1.GetControllerOf(job).UID
	index, err := strconv.Atoi(job.Labels[v1alpha1.StepIndexLabel])
	if err != nil {
		w.problem("Job %s carries no index: %v", job.Name, err)
	}
	if live := w.sj != nil && w.sj.UID == owner && w.sj.DeletionTimestamp.IsZero(); !live && !w.deletedMeanwhile {
		w.problem("Job %s was created after its SequentialJob was deleted", job.Name)
	}
	if w.failed[owner] && !w.lost[owner] {
		w.problem("Job %s was created after its SequentialJob failed", job.Name)
	}
	for _, other := range w.owned(owner) {
		if !hasEnded(other) {
			w.problem("Job %s was created while %s runs", job.Name, other.Name)
		}
	}
	before := index == 0
	for _, record := range w.ledger {
		if record.owner != owner {
			continue
		}
		if record.index == index && !record.deleted {
			w.problem("step %d was started a second time", index)
		}
		before = before || (record.index == index-1 && record.complete)
	}
	if !before {
		w.problem("step %d was started before step %d was complete", index, index-1)
	}
	w.ledger[job.UID] = jobRecord{owner: owner, index: index, step: job.Spec.Template.Spec.Containers[0].Name}
}

// checkStatus holds a status that a controller stores against the one before it and against the Jobs.
func (w *world) checkStatus(before, after *v1alpha1.SequentialJob) {
	was, is := before.Status, after.Status
	if sequence.Finished(&was) {
		was, is := was.DeepCopy(), is.DeepCopy()
		for _, status := range []*v1alpha1.SequentialJobStatus{was, is} {
			status.ObservedGeneration = 0
			for i := range status.Conditions {
				status.Conditions[i].ObservedGeneration = 0
			}
		}
		if diff := cmp.Diff(was, is); diff != "" {
			w.problem("the status of a finished sequence changed:\n%s", diff)
		}
		return
	}
	if len(is.Steps) < len(was.Steps) {
		w.problem("%d of %d recorded steps were forgotten", len(was.Steps)-len(is.Steps), len(was.Steps))
		return
	}
	for i, old := range was.Steps {
		step := is.Steps[i]
		if step.Name != old.Name || step.JobName != old.JobName || step.JobUID != old.JobUID {
			w.problem("recorded step %d became another: %v, was %v", i, step, old)
		}
		if old.State != v1alpha1.StepRunning && step.State != old.State {
			w.problem("step %d is %s, was %s", i, step.State, old.State)
		}
	}
	w.checkTruth(&is)
	w.checkConsistent(after)
}

// checkTruth compares what a status says with what really became of the Jobs.
func (w *world) checkTruth(status *v1alpha1.SequentialJobStatus) {
	for i, step := range status.Steps {
		if record := w.ledger[step.JobUID]; record.step != step.Name || record.index != i {
			w.problem("step %d (%s) is recorded with a Job that was created for step %d (%s)", i, step.Name, record.index, record.step)
		}
		job := w.jobs[step.JobName]
		exists := job != nil && job.UID == step.JobUID
		switch step.State {
		case v1alpha1.StepCompleted:
			if !w.ledger[step.JobUID].complete {
				w.problem("step %d is recorded as complete, its Job was not", i)
			}
		case v1alpha1.StepFailed:
			if exists && !hasEnded(job) {
				w.problem("step %d is recorded as failed while its Job runs", i)
			}
		case v1alpha1.StepRunning:
			if i != len(status.Steps)-1 {
				w.problem("step %d is recorded as running, and so is a later one", i)
			}
		}
	}
}

// checkConsistent says what in a stored status contradicts the rest of it.
func (w *world) checkConsistent(sj *v1alpha1.SequentialJob) {
	status := &sj.Status
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
	if diff := cmp.Diff(&state, status.State); diff != "" {
		w.problem("state does not fit the steps:\n%s", diff)
	}
	progress := status.Progress
	if diff := cmp.Diff(completed, progress.CompletedIndices); diff != "" {
		w.problem("completedIndices do not fit the steps:\n%s", diff)
	}
	if want := fmt.Sprintf("%d/%d", len(completed), len(sj.Spec.Containers)); progress.Completions != want {
		w.problem("completions is %s, want %s", progress.Completions, want)
	}
	if status.ObservedGeneration != sj.Generation {
		w.problem("observedGeneration is %d, want %d", status.ObservedGeneration, sj.Generation)
	}
	if ended := sequence.Finished(status); ended != (status.CompletionTime != nil) || (ended && state.Active > 0) {
		w.problem("phase %s with completionTime %v and %d active steps", status.Phase, status.CompletionTime, state.Active)
	}
	if isFailed := status.Phase == v1alpha1.SequentialJobFailed; isFailed != (progress.FailedIndex != nil) ||
		isFailed != (progress.FailureReason != "") || isFailed != (state.Failed == 1) {
		w.problem("phase %s with progress %v and state %v", status.Phase, progress, state)
	}
	if status.Phase == v1alpha1.SequentialJobCompleted && len(completed) != len(sj.Spec.Containers) {
		w.problem("Completed with %d of %d steps complete", len(completed), len(sj.Spec.Containers))
	}
	if (status.Phase == v1alpha1.SequentialJobPending) != (len(status.Steps) == 0) {
		w.problem("phase %s with %d steps started", status.Phase, len(status.Steps))
	}
	w.checkConditions(status)
}

// checkConditions compares the conditions with the table that the documentation promises.
func (w *world) checkConditions(status *v1alpha1.SequentialJobStatus) {
	underWay := map[string]metav1.ConditionStatus{"Available": "False", "Progressing": "True", "Failed": "False", "Reconciling": "True"}
	want := map[v1alpha1.SequentialJobPhase]map[string]metav1.ConditionStatus{
		"Pending":   underWay,
		"Running":   underWay,
		"Suspended": {"Available": "False", "Progressing": "False", "Failed": "False"},
		"Completed": {"Available": "True", "Progressing": "False", "Failed": "False"},
		"Failed":    {"Available": "False", "Progressing": "False", "Failed": "True", "Stalled": "True"},
	}[status.Phase]
	got := map[string]metav1.ConditionStatus{}
	for _, c := range status.Conditions {
		got[c.Type] = c.Status
		if c.ObservedGeneration != status.ObservedGeneration {
			w.problem("condition %s is about generation %d, want %d", c.Type, c.ObservedGeneration, status.ObservedGeneration)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.problem("conditions do not fit phase %q (-want +got):\n%s", status.Phase, diff)
	}
}

// publish notes an event. Starts and ends are told once a step.
func (w *world) publish(sj *v1alpha1.SequentialJob, event sequence.Event) {
	switch event.Reason {
	case v1alpha1.ReasonJobStarted, v1alpha1.ReasonJobCompleted, v1alpha1.ReasonJobFailed, v1alpha1.ReasonCompleted:
	default:
		return
	}
	key := string(sj.UID) + " " + event.Message
	if w.told[key]++; w.told[key] > 1 {
		w.problem("the event %q was published %d times", event.Message, w.told[key])
	}
}

// check holds at any moment, whoever moved last.
func (w *world) check() {
	if w.sj == nil {
		return
	}
	var running []string
	for _, job := range w.owned(w.sj.UID) {
		if !hasEnded(job) {
			running = append(running, job.Name)
		}
	}
	if len(running) > 1 {
		w.problem("several Jobs run at once: %v", running)
	}
}
