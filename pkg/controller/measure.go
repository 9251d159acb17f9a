package controller

import (
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// measure counts what a status that was just stored tells for the first time.
func (c *Controller) measure(before *v1alpha1.SequentialJob, after *v1alpha1.SequentialJobStatus) {
	for _, end := range stepEnds(&before.Status, after) {
		stepsFinished.WithLabelValues(end.result, end.reason).Inc()
		stepDuration.WithLabelValues(end.result).Observe(end.duration.Seconds())
	}
	if end, ended := sequenceEnd(&before.Status, after); ended {
		sequencesFinished.WithLabelValues(end.result, end.reason).Inc()
		if after.StartTime != nil {
			sequenceDuration.WithLabelValues(end.result).Observe(end.duration.Seconds())
		}
	}
	if before.Status.StartTime == nil && after.StartTime != nil && before.Status.Phase != v1alpha1.SequentialJobSuspended {
		timeToFirstStep.Observe(after.StartTime.Sub(before.CreationTimestamp.Time).Seconds())
	}
	if sequence.Finished(after) || after.Phase == v1alpha1.SequentialJobSuspended {
		for _, step := range slices.Concat(after.Steps, after.Finally) {
			c.completions.take(step.JobUID)
		}
	}
}

// measureGap is told that the Job of the step at index was created.
func (c *Controller) measureGap(sj *v1alpha1.SequentialJob, index int) {
	before := sequence.EntryBefore(&sj.Status, index)
	if before == nil {
		return
	}
	if seen, ok := c.completions.take(before.JobUID); ok {
		stepGap.Observe(c.now().Sub(seen).Seconds())
	}
}

// completions remembers when this process saw that a step has ended well, by its Job or, if the next one starts on that, by its pod, until
// the next step has started.
type completions struct {
	seen sync.Map // types.UID of the Job -> time.Time
}

func (m *completions) observe(before, after *batchv1.Job, now time.Time) {
	if before == nil || isComplete(before) || !isComplete(after) {
		return
	}
	if before.Labels[v1alpha1.AdvanceOnLabel] != string(v1alpha1.AdvanceOnPodSucceeded) { // else its pod has told
		m.saw(after.UID, now)
	}
}

func (m *completions) saw(job types.UID, now time.Time) { m.seen.Store(job, now) }

// take returns when a Job was seen to be complete, and forgets it.
func (m *completions) take(uid types.UID) (time.Time, bool) {
	seen, ok := m.seen.LoadAndDelete(uid)
	if !ok {
		return time.Time{}, false
	}
	return seen.(time.Time), true
}

// isComplete says whether the Job controller has found a Job to be complete: all its pods have ended, with success.
func isComplete(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue
	})
}
