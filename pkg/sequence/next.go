package sequence

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Next decides what a SequentialJob does next.
//
// jobs are the Jobs in its namespace that may be its own; those that it does not control are ignored. A Job that the
// status records as running and that is missing from jobs counts as deleted, so the caller makes sure by a live read
// that it really is. now is used for the times of transitions that no Job tells.
func Next(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, now time.Time) Plan {
	if !sj.DeletionTimestamp.IsZero() {
		return cleanUp(sj, jobs)
	}
	p := newPlanner(sj, jobs, now)
	if Finished(&sj.Status) {
		p.observeGeneration()
		return p.plan
	}
	p.noteSpecChange()
	for p.advance() {
	}
	p.summarise()
	return p.plan
}

// Finished says whether a sequence has ended, by success or by failure.
func Finished(status *v1alpha1.SequentialJobStatus) bool {
	return status.Phase == v1alpha1.SequentialJobCompleted || status.Phase == v1alpha1.SequentialJobFailed
}

// cleanUp plans the end of a SequentialJob that is being deleted: it may go once its Jobs are gone. If the user asked
// for its Jobs to be left alone (--cascade=orphan), the garbage collector releases them and nothing is deleted.
func cleanUp(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job) Plan {
	plan := Plan{Status: *sj.Status.DeepCopy()}
	if slices.Contains(sj.Finalizers, metav1.FinalizerOrphanDependents) {
		return plan
	}
	for _, job := range jobs {
		if !metav1.IsControlledBy(job, sj) {
			continue
		}
		plan.Finalizer = true
		if job.DeletionTimestamp.IsZero() {
			plan.Delete = append(plan.Delete, job)
		}
	}
	return plan
}

// planner builds one Plan.
type planner struct {
	sj   *v1alpha1.SequentialJob
	now  metav1.Time
	plan Plan

	byName map[string]*batchv1.Job
	byUID  map[types.UID]*batchv1.Job
}

func newPlanner(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, now time.Time) *planner {
	p := &planner{
		sj:     sj,
		now:    metav1.NewTime(now),
		plan:   Plan{Status: *sj.Status.DeepCopy()},
		byName: make(map[string]*batchv1.Job, len(jobs)),
		byUID:  make(map[types.UID]*batchv1.Job, len(jobs)),
	}
	for _, job := range jobs {
		if metav1.IsControlledBy(job, sj) {
			p.byName[job.Name] = job
			p.byUID[job.UID] = job
		}
	}
	return p
}

func (p *planner) emit(event Event) {
	p.plan.Events = append(p.plan.Events, event)
}

func (p *planner) noteSpecChange() {
	if seen := p.sj.Status.ObservedGeneration; seen != 0 && seen != p.sj.Generation {
		p.emit(normal(v1alpha1.ReasonSpecChanged,
			fmt.Sprintf("Spec changed to generation %d: steps that have not started follow it", p.sj.Generation)))
	}
	p.plan.Status.ObservedGeneration = p.sj.Generation
}

// advance takes the sequence one transition further and says whether another one may follow at once.
func (p *planner) advance() bool {
	steps := p.plan.Status.Steps
	index := len(steps)
	if index > 0 {
		switch last := &steps[index-1]; last.State {
		case v1alpha1.StepRunning:
			return p.follow(index-1, last)
		case v1alpha1.StepCompleted:
		default:
			p.failStep(index-1, last, v1alpha1.ReasonJobFailed, last.Message)
			return false
		}
	}
	switch {
	case len(p.sj.Spec.Containers) == 0:
		p.fail(0, v1alpha1.ReasonInvalidSpec, "InvalidSpec: spec.containers: Required value: list at least one step")
	case index >= len(p.sj.Spec.Containers) && p.runs(JobName(p.sj, index)):
		p.underWay(v1alpha1.ReasonJobStarted,
			fmt.Sprintf("Waiting for Job %s, whose step was removed just as it started", JobName(p.sj, index)))
	case index >= len(p.sj.Spec.Containers):
		p.complete()
	case p.startedAs(index) != nil:
		p.start(index, p.startedAs(index))
		return true
	default:
		p.plan.Create, p.plan.CreateIndex = NewJob(p.sj, index), index
	}
	return false
}

// startedAs returns the Job of a step that exists although the status does not record it: it was created just now, or
// by a controller that ended before it could write that down.
func (p *planner) startedAs(index int) *batchv1.Job {
	job := p.byName[JobName(p.sj, index)]
	if job == nil || index >= len(p.sj.Spec.Containers) || Conflict(p.sj, index, job) != "" {
		return nil
	}
	return job
}

// runs says whether there is a Job of that name, and ours, that has not ended.
func (p *planner) runs(name string) bool {
	job := p.byName[name]
	return job != nil && jobCondition(job, batchv1.JobComplete) == nil && jobCondition(job, batchv1.JobFailed) == nil
}

func (p *planner) start(index int, job *batchv1.Job) {
	status := &p.plan.Status
	created := job.CreationTimestamp
	if created.IsZero() {
		created = p.now
	}
	if status.StartTime == nil {
		status.StartTime = created.DeepCopy()
	}
	status.Steps = append(status.Steps, v1alpha1.StepStatus{
		Name:      p.sj.Spec.Containers[index].Name,
		JobName:   job.Name,
		JobUID:    job.UID,
		State:     v1alpha1.StepRunning,
		StartTime: created.DeepCopy(),
	})
	message := fmt.Sprintf("Started job %d", index)
	p.emit(normal(v1alpha1.ReasonJobStarted, message))
	// A completion that is stored in the same write as the start of the next step is the greater news.
	if len(p.plan.Events) < 2 || p.plan.Events[len(p.plan.Events)-2].Reason != v1alpha1.ReasonJobCompleted {
		p.underWay(v1alpha1.ReasonJobStarted, message)
	}
}

// follow looks at the Job of the running step. Only Complete=True is success: SuccessCriteriaMet or a succeeded pod
// come while pods still run. Failed counts first, so that a Job with both never starts the next step.
func (p *planner) follow(index int, step *v1alpha1.StepStatus) bool {
	job := p.byUID[step.JobUID]
	if job == nil {
		// The next step's Job was only created because this one was Complete: that is proof enough.
		if next := p.startedAs(index + 1); next != nil {
			p.completeStep(index, step, next.CreationTimestamp)
			return true
		}
		p.failStep(index, step, v1alpha1.ReasonJobDeleted,
			fmt.Sprintf("Job %s was deleted before it was seen to end", step.JobName))
		return false
	}
	if failed := jobCondition(job, batchv1.JobFailed); failed != nil {
		step.CompletionTime = failed.LastTransitionTime.DeepCopy()
		p.plan.Failed = job
		p.failStep(index, step, conditionReason(failed.Reason), clean(failed.Message))
		return false
	}
	if complete := jobCondition(job, batchv1.JobComplete); complete != nil {
		ended := complete.LastTransitionTime
		if job.Status.CompletionTime != nil {
			ended = *job.Status.CompletionTime
		}
		p.completeStep(index, step, ended)
		return true
	}
	p.followSuspension(index, step, job)
	return false
}

func (p *planner) completeStep(index int, step *v1alpha1.StepStatus, ended metav1.Time) {
	step.State = v1alpha1.StepCompleted
	step.CompletionTime = ended.DeepCopy()
	message := fmt.Sprintf("Job %d completed successfully", index)
	p.emit(normal(v1alpha1.ReasonJobCompleted, message))
	p.underWay(v1alpha1.ReasonJobCompleted, message)
}

// followSuspension reports a Job that somebody else, such as a queue, has suspended. It is never undone from here.
func (p *planner) followSuspension(index int, step *v1alpha1.StepStatus, job *batchv1.Job) {
	suspended := job.Spec.Suspend != nil && *job.Spec.Suspend
	// Not the stored phase: that may be an earlier step's, which this plan has just recorded as complete.
	was := p.plan.Status.Phase == v1alpha1.SequentialJobSuspended
	name := fmt.Sprintf("Job %d (%s)", index, step.Name)
	switch {
	case suspended:
		message := name + " is suspended"
		if !was {
			p.emit(normal(v1alpha1.ReasonSuspended, message))
		}
		p.suspended(message)
	case was:
		p.emit(normal(v1alpha1.ReasonResumed, name+" is no longer suspended"))
		p.underWay(v1alpha1.ReasonJobStarted, fmt.Sprintf("Started job %d", index))
	}
}

// jobCondition returns the condition of that type if it is True.
func jobCondition(job *batchv1.Job, conditionType batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Type == conditionType && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}
