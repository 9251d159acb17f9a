package sequence

import (
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// advance takes the sequence one transition further and says whether another one may follow at once.
func (d *decider) advance() bool {
	index, last := LastStarted(&d.status)
	switch {
	case d.status.Result != nil && !IsFinally(index):
		return d.startNext(FirstFinally)
	case last == nil:
		return d.startNext(0)
	case last.State == v1alpha1.StepRunning:
		return d.followStep(index, last)
	case last.State == v1alpha1.StepCompleted, IsFinally(index):
		return d.startNext(index + 1)
	case d.isRetryGranted() && d.successor(index) != nil:
		d.completeStep(index, last, d.successor(index).CreationTimestamp)
		last.Message = ""
		return true
	case d.isRetryGranted():
		return d.startNext(index)
	default:
		d.failStep(index, last, failure{reason: v1alpha1.ReasonJobFailed, detail: last.Message})
		return false
	}
}

// startNext starts the step at index, which has not started yet or, after a failure, is to be started again.
func (d *decider) startNext(index int) bool {
	isThere := ContainerAt(&d.sj.Spec, index) != nil
	name := JobName(d.sj, index, d.nextRetry(index))
	switch {
	case len(d.sj.Spec.Containers) == 0 && !IsFinally(index):
		d.fail(0, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonInvalidSpec+": spec.containers: Required value: list at least one step", d.now)
	case !isThere && d.runs(name):
		d.setProgressing(v1alpha1.ReasonJobStarted, fmt.Sprintf("Waiting for Job %s, whose step was removed just as it started", name))
	case !isThere && IsFinally(index):
		d.finish()
		d.mustBeAbsent(name)
	case !isThere:
		d.complete()
		d.mustBeAbsent(name)
	case d.startedAs(index) != nil:
		d.recordStart(index, d.startedAs(index))
		return true
	case d.isCancelled(index) && d.runs(name):
		d.waitForCancelled(name)
	case d.isCancelled(index):
		d.cancelBefore(index)
		d.mustBeAbsent(name)
	case d.isSuspended():
		d.pauseBefore(index)
	case d.awaitsApproval(index):
		d.pauseForApproval(index)
	case d.isLimited(index) && d.isOutOfTime() && !d.runs(name):
		d.failForTime(index)
		d.mustBeAbsent(name)
	case !d.isStartRecorded(index - 1):
		d.atOnce = true
	default:
		d.endPause()
		d.create(index)
	}
	return false
}

// recordStart takes a Job that exists for that of the step at index.
func (d *decider) recordStart(index int, job *batchv1.Job) {
	status := &d.status
	created := job.CreationTimestamp
	if created.IsZero() {
		created = d.now
	}
	if status.StartTime == nil {
		status.StartTime = created.DeepCopy()
	}
	step := v1alpha1.StepStatus{
		Name:      nameAt(&d.sj.Spec, index),
		JobName:   job.Name,
		JobUID:    job.UID,
		State:     v1alpha1.StepRunning,
		StartTime: created.DeepCopy(),
		Retries:   d.nextRetry(index),
	}
	list, at := startedIn(status, index)
	*list = append((*list)[:at:at], step)
	d.startClock(created)
	if !d.isSuspended() {
		d.endPause()
	}
	d.emit(normal(v1alpha1.ReasonJobStarted, startMessage(index, &step)))
	// A completion that is stored in the same write as the start of the next step is the greater news.
	if len(d.events) < 2 || d.events[len(d.events)-2].Reason != v1alpha1.ReasonJobCompleted {
		d.setProgressing(v1alpha1.ReasonJobStarted, startMessage(index, &step))
	}
	d.noteOlderText(index, job)
}

func startMessage(index int, step *v1alpha1.StepStatus) string {
	message := "Started " + noun(index)
	if step.Retries > 0 {
		message += " again as " + step.JobName
	}
	return message
}

// noteOlderText tells if the spec was changed after the Job of a step had been made of it, and before its start was recorded. From
// then on the step can no longer be changed, and shows the new text.
func (d *decider) noteOlderText(index int, job *batchv1.Job) {
	made := job.Annotations[v1alpha1.GenerationAnnotation]
	if made == "" || made == strconv.FormatInt(d.sj.Generation, 10) || !d.isWhole() ||
		job.Annotations[v1alpha1.StepHashAnnotation] == hashSteps(&d.sj.Spec, index) {
		return
	}
	d.emit(warning(v1alpha1.ReasonSpecChanged, fmt.Sprintf(
		"%s started just before the spec changed to generation %d: Job %s runs as generation %s has it, whatever the spec says of this step now",
		subject(index, nameAt(&d.sj.Spec, index)), d.sj.Generation, job.Name, clean(made))))
}

// followStep looks at the Job of the running step. Only Complete=True is success, or what advance.go takes for it: SuccessCriteriaMet or
// a succeeded pod come while pods may still run. Failed counts before Complete, so that a Job with both never starts the next step; that
// the next step has started counts before both.
func (d *decider) followStep(index int, step *v1alpha1.StepStatus) bool {
	job := d.byUID[step.JobUID]
	if job == nil || d.gone[job.UID] && !HasEnded(job) {
		return d.followMissing(index, step)
	}
	failed, complete := jobCondition(job, batchv1.JobFailed), jobCondition(job, batchv1.JobComplete)
	switch next := d.successor(index); {
	case complete != nil && failed == nil:
		ended := complete.LastTransitionTime
		if job.Status.CompletionTime != nil {
			ended = *job.Status.CompletionTime
		}
		d.completeStep(index, step, ended)
		return true
	case next != nil:
		d.completeStep(index, step, d.succeededAt(job, next.CreationTimestamp))
		return true
	case failed != nil:
		return d.followFailed(index, step, job, failed)
	case d.hasPodSucceeded(job):
		d.completeStep(index, step, d.succeededAt(job, d.now))
		return true
	}
	d.followRunning(index, step, job)
	return false
}

// followFailed is about a step whose Job has failed, and says whether another transition may follow at once.
func (d *decider) followFailed(index int, step *v1alpha1.StepStatus, job *batchv1.Job, failed *batchv1.JobCondition) bool {
	// The whole is needed to note what it failed with; it is read first, because what was read before is forgotten then.
	if !d.isWhole() || !d.confirmNotAdvanced(index, job) {
		return false
	}
	step.CompletionTime = failed.LastTransitionTime.DeepCopy()
	failure, ok := d.describeFailure(index, job, failed)
	if ok {
		d.failStep(index, step, failure)
	}
	return ok && IsFinally(index)
}

// followMissing is about a step whose Job is gone, and was not seen to end.
func (d *decider) followMissing(index int, step *v1alpha1.StepStatus) bool {
	if next := d.successor(index); next != nil {
		d.completeStep(index, step, next.CreationTimestamp)
		return true
	}
	d.failStep(index, step, failure{reason: v1alpha1.ReasonJobDeleted,
		detail: fmt.Sprintf("Job %s was deleted before it was seen to end", step.JobName)})
	d.mustBeAbsent(d.successorName(index))
	return IsFinally(index)
}

func (d *decider) completeStep(index int, step *v1alpha1.StepStatus, ended metav1.Time) {
	step.State = v1alpha1.StepCompleted
	step.CompletionTime = ended.DeepCopy()
	message := title(index) + " completed successfully"
	d.emit(normal(v1alpha1.ReasonJobCompleted, message))
	d.setProgressing(v1alpha1.ReasonJobCompleted, message)
}

// followRunning keeps the Job of the running step as the spec wants it, and tells if it makes no progress.
func (d *decider) followRunning(index int, step *v1alpha1.StepStatus, job *batchv1.Job) {
	if d.request != nil || !d.confirmNotPaused(index, job) || !d.change(index, job) {
		return
	}
	if d.isStoppedByCancel(index, job) {
		d.reportEnding(index, step, job, v1alpha1.ReasonCancelled)
	} else if suspended, note := d.followSuspension(index, step, job); !suspended {
		d.followPods(index, step, job, note)
	}
	if !d.isCached(job) {
		d.lookAfter(min(max(uncachedLook, d.waited(job)/2), maxInspectInterval)) // no event tells how it goes on
	}
}

// uncachedLook is how soon a Job is looked at again that the cache does not have, because somebody took our labels off.
const uncachedLook = 15 * time.Second

func (d *decider) isCached(job *batchv1.Job) bool {
	for _, other := range d.f.Jobs {
		if other.UID == job.UID {
			return true
		}
	}
	return false
}
