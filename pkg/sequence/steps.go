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
	steps := d.status.Steps
	if len(steps) == 0 {
		return d.startNext(0)
	}
	index := len(steps) - 1
	switch last := &steps[index]; {
	case last.State == v1alpha1.StepRunning:
		return d.followStep(index, last)
	case last.State == v1alpha1.StepCompleted:
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
	steps := d.sj.Spec.Containers
	name := JobName(d.sj, index, d.nextRetry(index))
	switch {
	case len(steps) == 0:
		d.fail(0, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonInvalidSpec+": spec.containers: Required value: list at least one step", d.now)
	case index >= len(steps) && d.runs(name):
		d.setProgressing(v1alpha1.ReasonJobStarted, fmt.Sprintf("Waiting for Job %s, whose step was removed just as it started", name))
	case index >= len(steps):
		d.complete()
		d.mustBeAbsent(name)
	case d.startedAs(index) != nil:
		d.recordStart(index, d.startedAs(index))
		return true
	case d.isSuspended():
		d.pauseBefore(index)
	case d.isOutOfTime() && !d.runs(name):
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
		Name:      d.sj.Spec.Containers[index].Name,
		JobName:   job.Name,
		JobUID:    job.UID,
		State:     v1alpha1.StepRunning,
		StartTime: created.DeepCopy(),
		Retries:   d.nextRetry(index),
	}
	status.Steps = append(status.Steps[:index:index], step)
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
	message := fmt.Sprintf("Started job %d", index)
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
		"Job %d (%s) started just before the spec changed to generation %d: Job %s runs as generation %s has it, whatever the spec says of this step now",
		index, d.status.Steps[index].Name, d.sj.Generation, job.Name, clean(made))))
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
		d.followFailed(index, step, job, failed)
		return false
	case d.hasPodSucceeded(job):
		d.completeStep(index, step, d.succeededAt(job, d.now))
		return true
	}
	d.followRunning(index, step, job)
	return false
}

// followFailed is about a step whose Job has failed.
func (d *decider) followFailed(index int, step *v1alpha1.StepStatus, job *batchv1.Job, failed *batchv1.JobCondition) {
	// The whole is needed to note what it failed with; it is read first, because what was read before is forgotten then.
	if !d.isWhole() || !d.confirmNotAdvanced(index, job) {
		return
	}
	step.CompletionTime = failed.LastTransitionTime.DeepCopy()
	if failure, ok := d.describeFailure(index, job, failed); ok {
		d.failStep(index, step, failure)
	}
}

// followMissing is about a step whose Job is gone, and was not seen to end.
func (d *decider) followMissing(index int, step *v1alpha1.StepStatus) bool {
	if next := d.successor(index); next != nil {
		d.completeStep(index, step, next.CreationTimestamp)
		return true
	}
	d.failStep(index, step, failure{reason: v1alpha1.ReasonJobDeleted,
		detail: fmt.Sprintf("Job %s was deleted before it was seen to end", step.JobName)})
	d.mustBeAbsent(JobName(d.sj, index+1, 0))
	return false
}

func (d *decider) completeStep(index int, step *v1alpha1.StepStatus, ended metav1.Time) {
	step.State = v1alpha1.StepCompleted
	step.CompletionTime = ended.DeepCopy()
	message := fmt.Sprintf("Job %d completed successfully", index)
	d.emit(normal(v1alpha1.ReasonJobCompleted, message))
	d.setProgressing(v1alpha1.ReasonJobCompleted, message)
}

// followRunning keeps the Job of the running step as the spec wants it, and tells if it does not get on.
func (d *decider) followRunning(index int, step *v1alpha1.StepStatus, job *batchv1.Job) {
	if d.request != nil || !d.confirmNotPaused(index, job) || !d.change(index, job) {
		return
	}
	if suspended, note := d.followSuspension(index, step, job); !suspended {
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
