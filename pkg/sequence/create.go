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
	case d.nextRetry(index) > 0 && !d.isClearForRetry(index):
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
		if left := d.secondsLeft(); left != nil {
			setDeadline(job, *left)
		}
		d.need(Action{Request: CreateJob, Job: job, Step: index})
	}
}

// isClearForRetry says whether a failed step can be started again: the one after it was never started, and no pod of the last
// attempt runs. Its Job may have left some behind, if somebody deleted it.
func (d *decider) isClearForRetry(index int) bool {
	d.mustBeAbsent(JobName(d.sj, index+1, 0))
	switch {
	case d.request != nil || !d.askForLeftPods():
		return false
	case d.runLeftPods():
		d.waitFor(v1alpha1.ReasonRetrying,
			fmt.Sprintf("Job %d starts again once the pods that its last attempt left have ended", index))
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
	last := &d.status.Steps[len(d.status.Steps)-1]
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
		d.failInvalid(index, index, strings.Join(DescribeInvalid(index, refusal.Causes), "; "))
		return
	}
	d.block(v1alpha1.ReasonJobCreateFailed, createFailed(d.sj, index, d.nextRetry(index), refusal.Message))
}

func createFailed(sj *v1alpha1.SequentialJob, index int, retry int32, message string) string {
	return fmt.Sprintf("Job %s of step %d cannot be created, trying again: %s", JobName(sj, index, retry), index, message)
}

// failInvalid ends a sequence, of which the step at next was to start, because the API server refuses the Job of the step at index,
// and always would.
func (d *decider) failInvalid(next, index int, problem string) {
	name := JobName(d.sj, next, d.nextRetry(next))
	if d.runs(name) {
		d.block(v1alpha1.ReasonJobNameConflict, describeConflict(d.sj, next, d.byName[name])) // of a step that was edited away
		return
	}
	message := v1alpha1.ReasonInvalidSpec + ": " + cut(clean(problem), maxDetail)
	d.fail(index, v1alpha1.ReasonInvalidSpec, message, d.now)
	d.emit(warning(v1alpha1.ReasonJobCreateFailed, message))
	d.mustBeAbsent(name)
}

// block says what keeps the sequence from going on, for a reason that may pass: a name that is taken, a quota, load. One event
// tells of each reason.
func (d *decider) block(reason, message string) {
	message = cut(clean(message), maxDetail)
	before := d.storedProgress()
	if before == nil || before.Reason != reason || len(d.status.Steps) != len(d.sj.Status.Steps) {
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
