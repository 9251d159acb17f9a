package sequence

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// What a planner concludes from the Jobs that it was given.

// successor returns the Job of the step after index, whatever became of that step since. It was only created because the
// step at index was Complete, so it proves that.
func (p *planner) successor(index int) *batchv1.Job {
	return p.byName[JobName(p.sj, index+1, 0)]
}

func (p *planner) assumeAbsent(name string) {
	if p.byName[name] == nil {
		p.plan.Absent = append(p.plan.Absent, name)
	}
}

// startIsRecorded says whether the stored status knows the Job of the step at index. A step whose Job was found just now has
// to be recorded before the next one starts: never are there two Jobs that no status names.
func (p *planner) startIsRecorded(index int) bool {
	stored := p.sj.Status.Steps
	return index < 0 || index < len(stored) && stored[index].JobUID == p.plan.Status.Steps[index].JobUID
}

// startedAs returns the Job of a step that exists although the status does not record it: it was created just now, or
// by a controller that ended before it could write that down.
func (p *planner) startedAs(index int) *batchv1.Job {
	if index >= len(p.sj.Spec.Containers) {
		return nil
	}
	job := p.byName[JobName(p.sj, index, p.nextRetry(index))]
	if job == nil || Conflict(p.sj, index, job) != "" {
		return nil
	}
	return job
}

// runs says whether there is a Job of that name, and ours, that has not ended.
func (p *planner) runs(name string) bool {
	job := p.byName[name]
	return job != nil && jobCondition(job, batchv1.JobComplete) == nil && jobCondition(job, batchv1.JobFailed) == nil
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

// IsComplete says whether the Job controller has found a Job to be complete: all its pods have ended, with success.
func IsComplete(job *batchv1.Job) bool { return jobCondition(job, batchv1.JobComplete) != nil }
