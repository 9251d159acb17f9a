package sequence

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// What a decider concludes from the Jobs that are known.

// collectJobs finds those that belong to the SequentialJob. What was read counts more than the cache, and the cache more than
// what is known to be gone. A Job that is gone still proves that its step was started, and how it ended if it had.
func (d *decider) collectJobs() {
	d.byName, d.byUID, d.gone = map[string]*batchv1.Job{}, map[types.UID]*batchv1.Job{}, map[types.UID]bool{}
	put := func(job *batchv1.Job, gone bool) {
		if d.isOwn(job) {
			d.byName[job.Name], d.byUID[job.UID], d.gone[job.UID] = job, job, gone
		}
	}
	for _, job := range d.f.Gone {
		put(job, true)
	}
	for _, job := range d.f.Jobs {
		if !d.gone[job.UID] { // the watch has shown its end: a cached copy is older
			put(job, false)
		}
	}
	for name, job := range d.f.ReadJobs {
		before := d.byName[name]
		if before != nil && (job == nil || job.UID != before.UID) {
			d.gone[before.UID] = true
		}
		if job != nil && !d.isOwn(job) {
			delete(d.byName, name)
		} else if job != nil {
			put(job, false)
		}
	}
}

// isOwn says whether a Job belongs to the SequentialJob: by its controller, or because the status has its UID. Somebody may
// have taken the reference, or our labels, away.
func (d *decider) isOwn(job *batchv1.Job) bool {
	if metav1.IsControlledBy(job, d.sj) {
		return true
	}
	step := d.runningStep()
	return step != nil && step.JobUID == job.UID
}

// runningStep returns the step that runs according to the stored status, or nil.
func (d *decider) runningStep() *v1alpha1.StepStatus {
	if _, last := LastStarted(&d.sj.Status); last != nil && last.State == v1alpha1.StepRunning {
		return last
	}
	return nil
}

// confirmJobs has those Jobs read for which the word of the cache does not suffice, and says whether that is done:
//   - the one that has the name of the next and is not recorded, because it may have been replaced meanwhile;
//   - that of the running step if it is not cached, because only the API server can tell one that is gone from one that has
//     not arrived yet.
func (d *decider) confirmJobs() bool {
	if next := d.byName[NextJobName(d.sj)]; next != nil && (!d.gone[next.UID] || !HasEnded(next)) {
		d.read(next.Name)
	}
	if step := d.runningStep(); step != nil && (d.byUID[step.JobUID] == nil || d.gone[step.JobUID] && !HasEnded(d.byUID[step.JobUID])) {
		d.read(step.JobName)
	}
	return d.request == nil
}

// read has a Job read, unless that was done in this turn.
func (d *decider) read(name string) {
	if _, done := d.f.ReadJobs[name]; !done {
		d.need(Action{Request: ReadJob, Name: name})
	}
}

// mustBeAbsent is for decisions that are wrong if there is a Job of that name. A cache may lag behind, so it is asked for.
func (d *decider) mustBeAbsent(name string) {
	if job := d.byName[name]; job == nil || d.gone[job.UID] && !HasEnded(job) {
		d.read(name)
	}
}

// successor returns the Job of the step after index, whatever became of that step since. It was only created because the
// step at index was Complete, so it proves that.
func (d *decider) successor(index int) *batchv1.Job {
	return d.byName[d.successorName(index)]
}

// successorName is the name of that Job.
func (d *decider) successorName(index int) string {
	if IsFinally(index) {
		return JobName(d.sj, index+1, d.nextRetry(index+1))
	}
	return JobName(d.sj, index+1, 0)
}

// isStartRecorded says whether the stored status knows the Job of the step at index. A step whose Job was found just now has
// to be recorded before the next one starts: never are there two Jobs that no status names. And only success may be inferred
// from a later Job: before spec.finally, and after one of it that failed, the end has to be recorded, too.
func (d *decider) isStartRecorded(index int) bool {
	switch index {
	case -1:
		return true
	case FirstFinally - 1:
		return d.sj.Status.Result != nil
	}
	stored, now := entryAt(&d.sj.Status, index), entryAt(&d.status, index)
	return stored != nil && stored.JobUID == now.JobUID && (!IsFinally(index) || now.State != v1alpha1.StepFailed || stored.State == now.State)
}

// startedAs returns the Job of a step that exists although the status does not record it: it was created just now, or
// by a controller that ended before it could write that down.
func (d *decider) startedAs(index int) *batchv1.Job {
	if ContainerAt(&d.sj.Spec, index) == nil {
		return nil
	}
	job := d.byName[JobName(d.sj, index, d.nextRetry(index))]
	if job == nil || describeConflict(d.sj, index, job) != "" {
		return nil
	}
	return job
}

// runs says whether there is a Job of that name, and ours, that has not ended.
func (d *decider) runs(name string) bool {
	job := d.byName[name]
	return job != nil && !d.gone[job.UID] && !HasEnded(job)
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

// HasEnded says whether a Job is complete or has failed.
func HasEnded(job *batchv1.Job) bool {
	return jobCondition(job, batchv1.JobComplete) != nil || jobCondition(job, batchv1.JobFailed) != nil
}

// HasLostPod says whether, between these two states of a Job that goes on, a pod failed or began to be deleted.
func HasLostPod(before, after *batchv1.Job) bool {
	terminating := func(job *batchv1.Job) int32 { return ptr.Deref(job.Status.Terminating, 0) }
	isEnding := isSucceeding(after) || jobCondition(after, batchv1.JobFailureTarget) != nil || !after.DeletionTimestamp.IsZero() ||
		isJobSuspended(after) || isJobSuspended(before)
	return !isEnding && (after.Status.Failed > before.Status.Failed || terminating(after) > terminating(before))
}
