package sequence

import (
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// create has the Job of the step at index created, once everything is in place for it. If it was refused, it says so.
func (d *decider) create(index int) {
	refusal, refused := d.f.refusalOf(CreateJob)
	switch {
	case refused && refusal.Class == NameTaken:
		d.waitForName(index)
	case refused:
		d.refuseCreate(index, refusal)
	case d.isSpecRefused() && len(d.sj.Status.Steps) == 0:
		d.failInvalid(index, d.verdict.step, d.status.SpecCheck.Message)
	case !d.f.isLive() && d.hasFinalizer():
		d.need(Action{Request: ReadSequentialJob})
	case d.checkUnavailable != nil && len(d.sj.Status.Steps) == 0:
		d.block(v1alpha1.ReasonJobCreateFailed, createFailed(d.sj, index, d.nextRetry(index), d.checkUnavailable.Message))
	case !d.isClear(index):
	case !d.hasFinalizer() && d.f.isAnswered(AddFinalizer):
		why := "somebody takes the finalizer " + v1alpha1.CleanupFinalizer + " from its SequentialJob"
		if refusal, refused := d.f.refusalOf(AddFinalizer); refused {
			why = refusal.Message
		}
		d.block(v1alpha1.ReasonJobCreateFailed, createFailed(d.sj, index, d.nextRetry(index), why))
	case !d.hasFinalizer():
		d.need(Action{Request: AddFinalizer})
	default:
		job := NewJob(d.sj, index, d.nextRetry(index))
		d.setDeadline(index, job)
		d.need(Action{Request: CreateJob, Job: job, Step: index})
	}
}

// isClear says whether nothing of what ran before is in the way of the step at index: one that is started again while the one after it
// was never started, or any that starts after pods which a Job left behind because somebody deleted it, perhaps one of spec.finally
// at the end before.
func (d *decider) isClear(index int) bool {
	reason, message := v1alpha1.ReasonRetrying, title(index)+" starts again once the pods that its last attempt left have ended"
	switch {
	case IsFinally(index) && (d.mayHaveLeftPods() || d.nextRetry(index) > 0):
		reason, message = v1alpha1.ReasonStepsEnded, title(index)+" starts once the pods that a deleted Job left have ended"
	case IsFinally(index):
		return true
	case d.nextRetry(index) > 0:
		d.mustBeAbsent(d.successorName(index))
	case finallyRuns(&d.status) > 0:
		message = title(index) + " starts once the pods that spec.finally left have ended"
	default:
		return true
	}
	switch {
	case d.request != nil || !d.askForLeftPods():
		return false
	case d.runLeftPods():
		d.waitFor(reason, message)
		return false
	}
	return true
}

// askForLeftPods has the pods listed that may run though no Job of ours does, and says whether that is done: all that have our label,
// and those of a Job that somebody deleted, by the label that the Job controller gave them. Somebody may have taken ours off.
func (d *decider) askForLeftPods() bool {
	if !d.ask(Action{Request: ListPods}) {
		return false
	}
	if !d.mayHaveLeftPods() || anyPodRuns(d.f.Pods) {
		return true
	}
	_, last := LastStarted(&d.status)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: d.sj.Namespace, Name: last.JobName, UID: last.JobUID}}
	return d.ask(Action{Request: ListJobPods, Job: job})
}

// runLeftPods says whether any of them has not ended, as far as is known.
func (d *decider) runLeftPods() bool {
	_, isUnknown := d.f.refusalOf(ListJobPods)
	return isUnknown || anyPodRuns(d.f.Pods) || anyPodRuns(d.f.JobPods)
}

// anyPodRuns says whether any of these pods has not ended.
func anyPodRuns(pods []corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return !hasPodEnded(&pod) })
}

func hasPodEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// waitForName finds out who has the name of the Job that could not be created. If it is that Job itself, created by an earlier
// try that could not tell, the step has started; what belongs to anybody else is left alone.
func (d *decider) waitForName(index int) {
	name := JobName(d.sj, index, d.nextRetry(index))
	holder, read := d.f.ReadJobs[name]
	switch {
	case !read:
		d.read(name)
	case holder == nil:
		d.tryAgain = true // it was removed just now
	case isLeftByPredecessor(d.sj, holder):
		d.waitFor(v1alpha1.ReasonJobNameConflict,
			fmt.Sprintf("Waiting until Job %s of the deleted SequentialJob of this name is removed", name))
	default:
		d.block(v1alpha1.ReasonJobNameConflict, describeConflict(d.sj, index, holder))
	}
}

// refuseCreate says why the step at index does not start: never, or not now.
func (d *decider) refuseCreate(index int, refusal Refusal) {
	if refusal.Class == Invalid || refusal.Class == TooLarge {
		d.failInvalid(index, index, strings.Join(DescribeInvalid(d.sj, index, refusal.Causes), "; "))
		return
	}
	d.block(v1alpha1.ReasonJobCreateFailed, createFailed(d.sj, index, d.nextRetry(index), refusal.Message))
}

func createFailed(sj *v1alpha1.SequentialJob, index int, retry int32, message string) string {
	return fmt.Sprintf("Job %s of %s cannot be created, trying again: %s", JobName(sj, index, retry), stepNoun(index), message)
}

// failInvalid ends a sequence, of which the step at next was to start, because the API server refuses the Job of the step at index,
// and always would.
func (d *decider) failInvalid(next, index int, problem string) {
	name := JobName(d.sj, next, d.nextRetry(next))
	switch {
	case d.runs(name):
		d.block(v1alpha1.ReasonJobNameConflict, describeConflict(d.sj, next, d.byName[name])) // of a step that was edited away
		return
	case IsFinally(next):
		d.refuseFinally(next, name, problem)
		d.mustBeAbsent(name)
		return
	}
	message := v1alpha1.ReasonInvalidSpec + ": " + cut(clean(problem), maxDetail)
	d.emit(warning(v1alpha1.ReasonJobCreateFailed, message))
	d.fail(index, v1alpha1.ReasonInvalidSpec, message, d.now)
	d.mustBeAbsent(name)
}

// block says what keeps the sequence from going on, for a reason that may pass: a name that is taken, a quota, load. One event
// tells of each reason.
func (d *decider) block(reason, message string) {
	message = cut(clean(message), maxDetail)
	before := d.storedProgress()
	if before == nil || before.Reason != reason || len(d.status.Steps) != len(d.sj.Status.Steps) || len(d.status.Finally) != len(d.sj.Status.Finally) {
		d.emit(warning(reason, message))
	}
	d.waitFor(reason, message)
}

// waitFor is block without an event, for what passes by itself and is nobody's mistake.
func (d *decider) waitFor(reason, message string) {
	d.tryAgain = true
	if d.status.Phase == v1alpha1.SequentialJobSuspended {
		d.setSuspended(reason, message) // it is not resumed before it is
		return
	}
	d.setProgressing(reason, message)
}
