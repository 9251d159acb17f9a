package sequence

import (
	"fmt"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// A running step is stopped through its Job's own deadline: the Job controller stops the pods, waits until they have ended and says
// Failed. The Job stays, and so do the pods that have ended, with their logs. A Job that is suspended has no time that could be up, so it
// is resumed in the same request, whoever has suspended it: its time is up before it makes a pod.

// isCancelled says whether the step at index is stopped, or not started, by spec.cancel. What runs in spec.finally is not.
func (d *decider) isCancelled(index int) bool {
	return ptr.Deref(d.sj.Spec.Cancel, false) && !IsFinally(index)
}

// cancelOf returns how the Job of the running step has to be changed to be stopped. One that is about to end does so by itself, unless
// it is suspended: a policy may have asked for more pods than the one that has succeeded.
func (d *decider) cancelOf(index int, job *batchv1.Job) *JobChange {
	change := &JobChange{Job: job}
	isEnding := isSucceeding(job) || jobCondition(job, batchv1.JobFailureTarget) != nil
	if isEnding && !isJobSuspended(job) || !job.DeletionTimestamp.IsZero() {
		return change
	}
	if isJobSuspended(job) {
		change.Suspend = new(false)
	}
	if ptr.Deref(job.Spec.ActiveDeadlineSeconds, -1) != 0 {
		change.ActiveDeadlineSeconds = new(new(int64))
	}
	if yes := strconv.FormatBool(true); job.Annotations[v1alpha1.CancelledAnnotation] != yes {
		change.Annotations = map[string]*string{v1alpha1.CancelledAnnotation: &yes}
	}
	d.adopt(change, index)
	return change
}

// isStoppedByCancel says whether the Job of the step at index was stopped by spec.cancel. The annotation is for people: a policy may
// have taken it off.
func (d *decider) isStoppedByCancel(index int, job *batchv1.Job) bool {
	return d.isCancelled(index) && ptr.Deref(job.Spec.ActiveDeadlineSeconds, -1) == 0
}

// waitForCancelled says what a cancelled sequence waits for: a Job that was created for a step just before that was edited away. No
// status names it, so that it is not stopped.
func (d *decider) waitForCancelled(name string) {
	d.block(v1alpha1.ReasonJobNameConflict, fmt.Sprintf(
		"Cancelled by spec.cancel, and ends once Job %s has ended or is deleted: its step was edited away just as it started", name))
}

// cancelBefore ends a sequence before the step at index starts.
func (d *decider) cancelBefore(index int) {
	message := fmt.Sprintf("Cancelled by spec.cancel before %s (%s)", noun(index), nameAt(&d.sj.Spec, index))
	d.emit(normal(v1alpha1.ReasonCancelled, message))
	d.fail(index, v1alpha1.ReasonCancelled, message, d.now)
}

// failCancelled ends a sequence whose running step was stopped, or failed before it could be.
func (d *decider) failCancelled(index int, why failure, failed string, ended metav1.Time) {
	message := "Cancelled by spec.cancel: " + subject(index, nameAt(&d.sj.Spec, index)) + " was stopped"
	if why.reason != v1alpha1.ReasonCancelled {
		message = "Cancelled by spec.cancel: " + failed
	}
	d.emit(normal(v1alpha1.ReasonCancelled, message))
	d.fail(index, v1alpha1.ReasonCancelled, message, ended)
}
