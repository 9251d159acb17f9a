package sequence

import (
	"strconv"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// A Job has one deadline: the lower of what is left to the sequence, which is the same instant however often the Job is resumed, and of
// what one attempt of its step may take, which the Job controller counts from zero each time.

// stepDeadline is for how many seconds one attempt of the step at index may be active; nil if there is no limit.
func (d *decider) stepDeadline(index int) *int64 {
	if override := overrideOf(&d.sj.Spec, nameAt(&d.sj.Spec, index)); override != nil {
		return override.ActiveDeadlineSeconds
	}
	return nil
}

// isLimited says whether spec.activeDeadlineSeconds limits the step at index.
func (d *decider) isLimited(index int) bool {
	return d.sj.Spec.ActiveDeadlineSeconds != nil && !IsFinally(index)
}

// lowerDeadline returns the lower of what is left to the sequence and of what one attempt of a step may take, nil being no limit, and says
// whether it is the latter. Of two that are the same it stays the one that it was.
func lowerDeadline(left, step *int64, wasStep bool) (seconds *int64, isStep bool) {
	if step == nil || left != nil && (*left < *step || *left == *step && !wasStep) {
		return left, false
	}
	return step, true
}

// hasStepDeadline says whether the activeDeadlineSeconds of a Job are those that this controller gave it for its step alone.
func (d *decider) hasStepDeadline(job *batchv1.Job) bool {
	return d.isOwnDeadline(job) &&
		job.Annotations[v1alpha1.StepDeadlineAnnotation] == strconv.FormatInt(*job.Spec.ActiveDeadlineSeconds, 10)
}

// hasSequenceDeadline says whether they are those that it gave it for the whole sequence.
func (d *decider) hasSequenceDeadline(job *batchv1.Job) bool {
	return d.isOwnDeadline(job) && !d.hasStepDeadline(job)
}
