package sequence

import (
	"fmt"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// change has the Job of the running step follow spec.suspend and what the spec says of deadlines, and says whether it does. A Job is
// changed only once the status names it: nobody would resume one that was suspended and whose step the user then removed.
func (d *decider) change(index int, job *batchv1.Job) bool {
	change := d.changeOf(index, job)
	refusal, refused := d.f.refusalOf(ChangeJob)
	switch {
	case change.isEmpty():
		d.clearBlockedChange(index)
		return true
	case refused && !change.isNeeded():
		return true // it can be followed without
	case refused:
		d.refuseChange(index, change, refusal)
		return false
	case !d.isStartRecorded(index):
		d.atOnce = true
		return false
	case d.f.hasSucceeded(ChangeJob):
		return true // somebody keeps it from being as it should: the next event, or look, will show
	case !d.f.isLive():
		d.need(Action{Request: ReadSequentialJob})
		return false
	}
	d.need(Action{Request: ChangeJob, Change: change})
	return false
}

// changeOf returns how the Job of the running step has to be changed.
func (d *decider) changeOf(index int, job *batchv1.Job) *JobChange {
	if d.isCancelled(index) {
		return d.cancelOf(index, job)
	}
	change := &JobChange{Job: job, Annotations: map[string]*string{}}
	suspend := d.shouldBeSuspended(job)
	if suspend != isJobSuspended(job) {
		change.Suspend = &suspend
	}
	// What was suspended by somebody else before stays theirs.
	if byUs := suspend && (!isJobSuspended(job) || isSuspendedByUs(job)); byUs != isSuspendedByUs(job) {
		change.Annotations[v1alpha1.SuspendedByAnnotation] = nil
		if byUs {
			change.Annotations[v1alpha1.SuspendedByAnnotation] = ptr.To(v1alpha1.ControllerName)
		}
	}
	d.changeDeadline(change, index, suspend)
	d.adopt(change, index)
	if change.Suspend != nil && isAdvancedByPod(job) {
		change.Labels = add(change.Labels, v1alpha1.AdvanceOnLabel, string(v1alpha1.AdvanceOnJobComplete)) // see mayBeSuspended
	}
	return change
}

// adopt gives a Job that is followed by its UID back what was taken from it: without our labels no event tells of it, and without
// its controller it is not collected with the SequentialJob. What has another controller now is not taken back.
func (d *decider) adopt(change *JobChange, index int) {
	job, step := change.Job, entryAt(&d.status, index)
	if !job.DeletionTimestamp.IsZero() {
		return
	}
	want := ownLabels(d.sj, index, step.Name)
	maps.DeleteFunc(want, func(key, value string) bool { return job.Labels[key] == value })
	change.Labels = want
	if metav1.GetControllerOfNoCopy(job) == nil {
		change.OwnerReferences = slices.Concat(job.OwnerReferences, []metav1.OwnerReference{*controllerRef(d.sj)})
	}
}

// refuseChange says that a Job could not be changed. What else there was to say was on condition that it could.
func (d *decider) refuseChange(index int, change *JobChange, refusal Refusal) {
	verb := "given its deadline"
	switch {
	case d.isCancelled(index):
		verb = "stopped"
	case ptr.Deref(change.Suspend, false):
		verb = "suspended"
	case change.Suspend != nil:
		verb = "resumed"
	}
	check := d.status.SpecCheck
	d.status, d.events = *d.sj.Status.DeepCopy(), nil
	d.status.SpecCheck = check
	d.block(v1alpha1.ReasonJobUpdateFailed, fmt.Sprintf("Job %s cannot be %s, trying again: %s", change.Job.Name, verb, refusal.Message))
}

// clearBlockedChange ends what was said of a change that was refused.
func (d *decider) clearBlockedChange(index int) {
	if c := d.progress(); c != nil && c.Reason == v1alpha1.ReasonJobUpdateFailed && d.status.Phase == v1alpha1.SequentialJobRunning {
		d.setProgressing(v1alpha1.ReasonJobStarted, startMessage(index, entryAt(&d.status, index)))
	}
}
