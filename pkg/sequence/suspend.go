package sequence

import (
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const (
	// QueueLabel is on a Job that Kueue manages, and names the queue that it waits in.
	QueueLabel = "kueue.x-k8s.io/queue-name"
	// queueNote marks the message about a step that goes on although spec.suspend is true.
	queueNote = "only its queue can stop it"
)

func (d *decider) isSuspended() bool {
	return ptr.Deref(d.sj.Spec.Suspend, false)
}

// shouldBeSuspended says whether the Job of the running step is to be suspended. What somebody else, such as a queue, has
// suspended is never resumed from here: that is theirs to do. And what a queue lets run is never suspended from here: the
// queue would resume it at once, again and again, and each time its pods would start again.
func (d *decider) shouldBeSuspended(job *batchv1.Job) bool {
	if isJobSuspended(job) {
		return d.isSuspended() || !isSuspendedByUs(job)
	}
	return d.isSuspended() && job.Labels[QueueLabel] == ""
}

// followSuspension reports whether the Job of the running step is suspended. The note is what else is to be said of a step that
// runs.
func (d *decider) followSuspension(index int, step *v1alpha1.StepStatus, job *batchv1.Job) (suspended bool, note string) {
	name := subject(index, step.Name)
	switch queue := job.Labels[QueueLabel]; {
	case d.isSuspended() && !isJobSuspended(job) && queue == "":
		return false, "" // it will be, or somebody does not let it
	case d.isSuspended() && !isJobSuspended(job):
		return false, fmt.Sprintf("%s goes on, because %s; nothing starts after it while spec.suspend is true", name, queueNote)
	case d.isSuspended():
		d.pause(name + " is suspended by spec.suspend")
	case isJobSuspended(job) && queue != "":
		d.pause(fmt.Sprintf("%s is suspended: it waits in queue %q", name, queue))
	case isJobSuspended(job):
		d.pause(name + " is suspended, and not by spec.suspend")
	// Not the stored phase: that may be an earlier step's, which was just found to be complete.
	case d.status.Phase == v1alpha1.SequentialJobSuspended:
		d.emit(normal(v1alpha1.ReasonResumed, name+" is no longer suspended"))
		d.setProgressing(v1alpha1.ReasonJobStarted, startMessage(index, step))
		return false, ""
	default:
		return false, ""
	}
	return true, ""
}

// reportQueued says, beside whatever else there is to say of a step that runs, that it does so although spec.suspend is true.
func (d *decider) reportQueued(index int, step *v1alpha1.StepStatus, note string) {
	c := d.progress()
	isReported := c != nil && strings.Contains(c.Message, queueNote)
	switch {
	case note != "" && !isReported:
		d.emit(normal(v1alpha1.ReasonSuspended, note))
		d.setProgressing(v1alpha1.ReasonJobStarted, note)
	case note == "" && isReported:
		d.setProgressing(v1alpha1.ReasonJobStarted, startMessage(index, step))
	}
}

func isJobSuspended(job *batchv1.Job) bool {
	return ptr.Deref(job.Spec.Suspend, false)
}

func isSuspendedByUs(job *batchv1.Job) bool {
	return job.Annotations[v1alpha1.SuspendedByAnnotation] == v1alpha1.ControllerName
}

// pauseBefore keeps the step at index from starting.
func (d *decider) pauseBefore(index int) {
	d.pause(fmt.Sprintf("Suspended by spec.suspend before %s (%s)", noun(index), nameAt(&d.sj.Spec, index)))
}

// awaitsApproval says whether the step at index may not start yet, by its override.
func (d *decider) awaitsApproval(index int) bool {
	return AwaitsApproval(&d.sj.Spec, nameAt(&d.sj.Spec, index))
}

// pauseForApproval keeps the step at index from starting until it may.
func (d *decider) pauseForApproval(index int) {
	name := nameAt(&d.sj.Spec, index)
	d.pause(fmt.Sprintf("%s waits for approval: set stepOverrides[%s].suspend to false", subject(index, name), name))
}

func (d *decider) pause(message string) {
	if d.status.Phase != v1alpha1.SequentialJobSuspended {
		d.emit(normal(v1alpha1.ReasonSuspended, message))
	}
	reason := v1alpha1.ReasonSuspended
	if d.isSpecRefused() {
		reason, message = v1alpha1.ReasonInvalidSpec, d.invalidMessage()
	}
	d.setSuspended(reason, message)
}

// endPause goes on after a pause between two steps.
func (d *decider) endPause() {
	if d.status.Phase == v1alpha1.SequentialJobSuspended {
		const message = "No longer suspended"
		d.emit(normal(v1alpha1.ReasonResumed, message))
		d.setProgressing(v1alpha1.ReasonResumed, message)
	}
}
