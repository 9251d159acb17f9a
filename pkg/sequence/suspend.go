package sequence

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// queueLabel names the queue that a Job waits in, if Kueue manages it.
const queueLabel = "kueue.x-k8s.io/queue-name"

func (p *planner) isSuspended() bool {
	return ptr.Deref(p.sj.Spec.Suspend, false)
}

// followSuspension says whether the Job of the running step is, or is about to be, suspended, and reports it. What
// somebody else, such as a queue, has suspended is never resumed from here: that is theirs to do. And what a queue lets run is
// never suspended from here: the queue would resume it at once, again and again, and each time its pods would start anew.
func (p *planner) followSuspension(index int, step *v1alpha1.StepStatus, job *batchv1.Job) bool {
	name := fmt.Sprintf("Job %d (%s)", index, step.Name)
	queued := name + " goes on, because only its queue can stop it; nothing starts after it while spec.suspend is true"
	switch suspended := ptr.Deref(job.Spec.Suspend, false); {
	case p.isSuspended() && !suspended && job.Labels[queueLabel] != "":
		p.letRun(queued)
		return false
	case p.isSuspended():
		p.pause(name + " is suspended by spec.suspend")
	case suspended && !suspendedByUs(job) && job.Labels[queueLabel] != "":
		p.pause(fmt.Sprintf("%s is suspended: it waits in queue %q", name, job.Labels[queueLabel]))
	case suspended && !suspendedByUs(job):
		p.pause(name + " is suspended, and not by spec.suspend")
	// Not the stored phase: that may be an earlier step's, which this plan has just recorded as complete.
	case p.plan.Status.Phase == v1alpha1.SequentialJobSuspended:
		p.emit(normal(v1alpha1.ReasonResumed, name+" is no longer suspended"))
		p.underWay(v1alpha1.ReasonJobStarted, fmt.Sprintf("Started job %d", index))
		return false
	case p.says(queued):
		p.underWay(v1alpha1.ReasonJobStarted, fmt.Sprintf("Started job %d", index))
		return false
	default:
		return false
	}
	return true
}

// letRun reports that a step runs although spec.suspend is true.
func (p *planner) letRun(message string) {
	if !p.says(message) {
		p.emit(normal(v1alpha1.ReasonSuspended, message))
	}
	p.underWay(v1alpha1.ReasonJobStarted, message)
}

// says returns whether that is what the stored status says of the progress.
func (p *planner) says(message string) bool {
	progressing := meta.FindStatusCondition(p.sj.Status.Conditions, v1alpha1.ConditionProgressing)
	return progressing != nil && progressing.Message == message
}

func suspendedByUs(job *batchv1.Job) bool {
	return job.Annotations[v1alpha1.SuspendedByAnnotation] == v1alpha1.ControllerName
}

// pauseBefore keeps the step at index from starting.
func (p *planner) pauseBefore(index int) {
	p.pause(fmt.Sprintf("Suspended by spec.suspend before job %d (%s)", index, p.sj.Spec.Containers[index].Name))
}

func (p *planner) pause(message string) {
	if p.plan.Status.Phase != v1alpha1.SequentialJobSuspended {
		p.emit(normal(v1alpha1.ReasonSuspended, message))
	}
	p.suspended(message)
}

// goOn ends a pause between two steps.
func (p *planner) goOn() {
	if p.plan.Status.Phase == v1alpha1.SequentialJobSuspended {
		const message = "No longer suspended"
		p.emit(normal(v1alpha1.ReasonResumed, message))
		p.underWay(v1alpha1.ReasonResumed, message)
	}
}

// change makes the Job of the running step follow spec.suspend and spec.activeDeadlineSeconds. suspended says that
// the sequence is paused, by whomever. A Job is changed only once the status names it: nobody would resume one that was
// suspended and whose step the user then removed.
func (p *planner) change(index int, job *batchv1.Job, suspended bool) {
	is := ptr.Deref(job.Spec.Suspend, false)
	want := JobChange{
		Job:                   job,
		Suspend:               suspended,
		SuspendedByUs:         suspended && (!is || suspendedByUs(job)),
		ActiveDeadlineSeconds: p.jobDeadline(job, is, suspended),
	}
	switch changed := want.Suspend != is || want.SuspendedByUs != suspendedByUs(job) ||
		!ptr.Equal(want.ActiveDeadlineSeconds, job.Spec.ActiveDeadlineSeconds); {
	case changed && p.startIsRecorded(index):
		p.plan.Change = &want
	case changed:
		p.plan.Again = true
	}
}
