package sequence

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Next decides what a SequentialJob does next.
//
// jobs are the Jobs in its namespace that may be its own; those that it does not control are ignored. A Job that the
// status records as running and that is missing from jobs counts as deleted, so the caller makes sure by a live read
// that it really is. now is used for the times of transitions that no Job tells, and for deadlines.
func Next(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, now time.Time) Plan {
	if !sj.DeletionTimestamp.IsZero() {
		return cleanUp(sj, jobs)
	}
	p := newPlanner(sj, jobs, now)
	p.run()
	return p.plan
}

// WithFailureDetail returns the plan that Next made of the same arguments, with more to say about the Job that p.Failed
// names: what its container said.
func (p Plan) WithFailureDetail(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, detail string, now time.Time) Plan {
	if p.Failed == nil || detail == "" {
		return p
	}
	r := newPlanner(sj, jobs, now)
	r.failureDetail = detail
	r.run()
	return r.plan
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
	// failureDetail replaces what the failed Job itself says.
	failureDetail string

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

func (p *planner) run() {
	switch {
	case !Finished(&p.plan.Status):
		p.adoptActiveTime()
		for p.advance() {
		}
		p.noteSpecChange()
		p.summarise()
	case p.resume():
		p.summarise()
	default:
		p.observeGeneration()
	}
	if Finished(&p.plan.Status) {
		p.expire()
	}
}

func (p *planner) emit(event Event) {
	p.plan.Events = append(p.plan.Events, event)
}

// noteSpecChange tells of an edit in mid-run, unless what it has caused is told anyway.
func (p *planner) noteSpecChange() {
	tells := func(e Event) bool {
		return slices.Contains([]string{v1alpha1.ReasonSuspended, v1alpha1.ReasonResumed, v1alpha1.ReasonRetrying}, e.Reason)
	}
	if p.sj.Status.ObservedGeneration <= 0 || !p.specChanged() || slices.ContainsFunc(p.plan.Events, tells) {
		return
	}
	p.plan.Events = slices.Insert(p.plan.Events, 0, normal(v1alpha1.ReasonSpecChanged,
		fmt.Sprintf("Spec changed to generation %d: steps that have not started follow it", p.sj.Generation)))
}

func (p *planner) specChanged() bool {
	return p.sj.Status.ObservedGeneration != p.sj.Generation
}

// advance takes the sequence one transition further and says whether another one may follow at once.
func (p *planner) advance() bool {
	steps := p.plan.Status.Steps
	if len(steps) == 0 {
		return p.startNext(0)
	}
	index := len(steps) - 1
	switch last := &steps[index]; {
	case last.State == v1alpha1.StepRunning:
		return p.follow(index, last)
	case last.State == v1alpha1.StepCompleted:
		return p.startNext(index + 1)
	case p.retryIsGranted() && p.successor(index) != nil:
		p.completeStep(index, last, p.successor(index).CreationTimestamp)
		last.Message = ""
		return true
	case p.retryIsGranted():
		return p.startNext(index)
	default:
		p.failStep(index, last, v1alpha1.ReasonJobFailed, last.Message)
		return false
	}
}

// startNext starts the step at index, which has not started yet or, after a failure, is to be started again.
func (p *planner) startNext(index int) bool {
	steps, retry := p.sj.Spec.Containers, p.nextRetry(index)
	name := JobName(p.sj, index, retry)
	switch {
	case len(steps) == 0:
		p.fail(0, v1alpha1.ReasonInvalidSpec, "InvalidSpec: spec.containers: Required value: list at least one step")
	case index >= len(steps) && p.runs(name):
		p.underWay(v1alpha1.ReasonJobStarted, fmt.Sprintf("Waiting for Job %s, whose step was removed just as it started", name))
	case index >= len(steps):
		p.complete()
		p.assumeAbsent(name)
	case p.startedAs(index) != nil:
		p.start(index, p.startedAs(index))
		return true
	case p.isSuspended():
		p.pauseBefore(index)
	case p.outOfTime() && !p.runs(name):
		p.failForTime(index)
		p.assumeAbsent(name)
	case !p.startIsRecorded(index - 1):
		p.plan.Again = true
	default:
		p.goOn()
		p.plan.Create, p.plan.CreateIndex = NewJob(p.sj, index, retry), index
		p.plan.Create.Spec.ActiveDeadlineSeconds = p.secondsLeft()
		if retry > 0 {
			p.plan.AfterPods = true
			p.assumeAbsent(JobName(p.sj, index+1, 0))
		}
	}
	return false
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
	step := v1alpha1.StepStatus{
		Name:      p.sj.Spec.Containers[index].Name,
		JobName:   job.Name,
		JobUID:    job.UID,
		State:     v1alpha1.StepRunning,
		StartTime: created.DeepCopy(),
		Retries:   p.nextRetry(index),
	}
	status.Steps = append(status.Steps[:index:index], step)
	message := fmt.Sprintf("Started job %d", index)
	if step.Retries > 0 {
		message += " again as " + job.Name
	}
	p.activate(created)
	if !p.isSuspended() {
		p.goOn()
	}
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
		if next := p.successor(index); next != nil {
			p.completeStep(index, step, next.CreationTimestamp)
			return true
		}
		p.failStep(index, step, v1alpha1.ReasonJobDeleted,
			fmt.Sprintf("Job %s was deleted before it was seen to end", step.JobName))
		p.assumeAbsent(JobName(p.sj, index+1, 0))
		return false
	}
	if failed := jobCondition(job, batchv1.JobFailed); failed != nil {
		step.CompletionTime = failed.LastTransitionTime.DeepCopy()
		p.plan.Failed = job
		p.failStep(index, step, conditionReason(failed.Reason), p.describeFailure(failed))
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
	p.followRunning(index, step, job)
	return false
}

func (p *planner) completeStep(index int, step *v1alpha1.StepStatus, ended metav1.Time) {
	step.State = v1alpha1.StepCompleted
	step.CompletionTime = ended.DeepCopy()
	message := fmt.Sprintf("Job %d completed successfully", index)
	p.emit(normal(v1alpha1.ReasonJobCompleted, message))
	p.underWay(v1alpha1.ReasonJobCompleted, message)
}

// followRunning keeps the Job of the running step as the spec wants it, and tells if it does not get on.
func (p *planner) followRunning(index int, step *v1alpha1.StepStatus, job *batchv1.Job) {
	suspended := p.followSuspension(index, step, job)
	p.change(index, job, suspended)
	if !suspended {
		p.followPods(index, job)
	}
}
