package sequence

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Once the steps have ended and their result is stored, spec.finally runs, by the rules for steps but for these: nothing is retried, one
// that fails keeps no other from running, and neither spec.activeDeadlineSeconds nor spec.cancel is for it. Only success may be inferred
// from a later Job: the result, and each failure, are stored before a later Job is created.

// hasFinally says whether there is something to run after the steps. There is not if none of them was started.
func (d *decider) hasFinally() bool {
	return len(d.sj.Spec.Finally) > 0 && len(d.status.Steps) > 0
}

// finallyRetry is how often the steps had ended before, which is part of the names of the Jobs of spec.finally.
func finallyRetry(status *v1alpha1.SequentialJobStatus) int32 {
	return max(0, finallyRuns(status)-1)
}

// finallyRuns is how often spec.finally was begun.
func finallyRuns(status *v1alpha1.SequentialJobStatus) int32 {
	if status.Progress == nil {
		return 0
	}
	return status.Progress.FinallyRuns
}

// beginFinally records how the steps ended. Whatever comes next waits until that is stored.
func (d *decider) beginFinally(result v1alpha1.StepsResult, message string) {
	result.Message = message
	if result.Type == v1alpha1.ResultCompleted {
		result.Message = ""
	}
	d.stopClock(result.Time)
	d.status.Result, d.status.Finally = &result, nil
	d.ensureProgress().FinallyRuns++
	message = cut(message, maxDetail) + "; running spec.finally"
	d.emit(normal(v1alpha1.ReasonStepsEnded, message))
	d.setProgressing(v1alpha1.ReasonStepsEnded, message)
	d.atOnce = true
}

// finish ends the sequence after spec.finally: by the result of its steps, or with the first failure of spec.finally.
func (d *decider) finish() {
	result, ended := d.status.Result, d.status.Result.Time
	if n := len(d.status.Finally); n > 0 && d.status.Finally[n-1].CompletionTime != nil {
		ended = *d.status.Finally[n-1].CompletionTime
	}
	failed := d.describeFinallyFailure()
	message := joinNonEmpty("; ", result.Message, failed)
	switch {
	case result.Type == v1alpha1.ResultFailed && d.mayBeRetried():
		d.status.SpecCheck = nil // what was checked while spec.finally ran was only the rest of that
		d.grantRetry(d.firstToCheck(), "")
	case result.Type != v1alpha1.ResultCompleted:
		d.endFailed(conditionReason(result.Reason), message, ended)
		d.emit(warning(v1alpha1.ReasonFailed, message))
	case failed == "":
		d.endCompleted(ended)
	default:
		d.failForFinally(joinNonEmpty("; ", d.allCompleted(), failed), ended)
	}
	d.tryAgain = d.tryAgain || d.incompleteFailure() != nil
}

// failForFinally ends a sequence all of whose steps are complete.
func (d *decider) failForFinally(message string, ended metav1.Time) {
	d.ensureProgress().FailureReason = v1alpha1.ReasonFinallyFailed
	d.noteFailedWith()
	d.endFailed(v1alpha1.ReasonFinallyFailed, message, ended)
	d.emit(warning(v1alpha1.ReasonFinallyFailed, message))
}

// describeFinallyFailure says which container of spec.finally failed first, and why; "" if none did.
func (d *decider) describeFinallyFailure() string {
	at := slices.IndexFunc(d.status.Finally, func(step v1alpha1.StepStatus) bool { return step.State == v1alpha1.StepFailed })
	if at < 0 {
		return ""
	}
	step := &d.status.Finally[at]
	return fmt.Sprintf("%s failed: %s", subject(FirstFinally+at, step.Name), step.Message)
}

// refuseFinally records that the Job of a container of spec.finally can never be created. Those after it still run.
func (d *decider) refuseFinally(index int, name, problem string) {
	list, _ := startedIn(&d.status, index)
	*list = append(*list, v1alpha1.StepStatus{
		Name: nameAt(&d.sj.Spec, index), JobName: name, State: v1alpha1.StepRunning, Retries: d.nextRetry(index),
	})
	d.failStep(index, entryAt(&d.status, index), failure{reason: v1alpha1.ReasonInvalidSpec, detail: clean(problem)})
	d.atOnce = true
}

// currentFinally is the name of the container of spec.finally that runs or runs next; "" before and after that.
func (d *decider) currentFinally() string {
	if d.status.Result == nil || Finished(&d.status) {
		return ""
	}
	index, last := LastStarted(&d.status)
	switch {
	case !IsFinally(index):
		return nameAt(&d.sj.Spec, FirstFinally)
	case last.State == v1alpha1.StepRunning:
		return last.Name
	}
	if next := nameAt(&d.sj.Spec, index+1); next != "" {
		return next
	}
	return last.Name
}

// addResult gives a Job of spec.finally, and its pod, the annotations that tell how the steps ended.
func addResult(job *batchv1.Job, result *v1alpha1.StepsResult) {
	if result == nil {
		result = &v1alpha1.StepsResult{} // a dry run before the steps have ended
	}
	for _, meta := range []*metav1.ObjectMeta{&job.ObjectMeta, &job.Spec.Template.ObjectMeta} {
		metav1.SetMetaDataAnnotation(meta, v1alpha1.ResultAnnotation, string(result.Type))
		metav1.SetMetaDataAnnotation(meta, v1alpha1.FailedStepAnnotation, result.FailedStep)
		metav1.SetMetaDataAnnotation(meta, v1alpha1.FailureReasonAnnotation, result.Reason)
	}
}
