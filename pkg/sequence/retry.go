package sequence

import (
	"fmt"

	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// A retry is granted first, in a status of its own, and its Job created afterwards: then it does not matter whether the
// spec is changed between the two, or by whom the Job is created.

// nextRetry is how often the step at index will have been started again once it starts next: 0 for a step that has not
// started.
func (p *planner) nextRetry(index int) int32 {
	if index >= len(p.plan.Status.Steps) {
		return 0
	}
	return p.plan.Status.Steps[index].Retries + 1
}

// retryIsGranted says whether the status grants one more retry than steps have made use of.
func (p *planner) retryIsGranted() bool {
	var used int32
	for i := range p.plan.Status.Steps {
		used += p.plan.Status.Steps[i].Retries
	}
	return p.plan.Status.Progress != nil && p.plan.Status.Progress.Retries > used
}

// mayRetry says whether a step that has just failed for that reason is started again by itself. What is invalid, or out
// of time, would only fail again.
func (p *planner) mayRetry(reason string) bool {
	return p.hasRetriesLeft() && reason != v1alpha1.ReasonDeadlineExceeded && !p.outOfTime()
}

// resume lets a failed sequence go on whose spec was changed so that it may, and says whether it does.
func (p *planner) resume() bool {
	status := &p.plan.Status
	if status.Phase != v1alpha1.SequentialJobFailed || !p.specChanged() || !p.hasRetriesLeft() {
		return false
	}
	index := len(status.Steps)
	if index > 0 && status.Steps[index-1].State == v1alpha1.StepFailed {
		index--
	}
	p.grantRetry(index, "")
	return true
}

func (p *planner) hasRetriesLeft() bool {
	return p.progress().Retries < ptr.Deref(p.sj.Spec.Retries, 0)
}

// grantRetry records that the sequence goes on with the step at index.
func (p *planner) grantRetry(index int, why string) {
	status, progress := &p.plan.Status, p.progress()
	progress.Retries++
	progress.FailedIndex, progress.FailureReason = nil, ""
	status.CompletionTime = nil
	name := ""
	if index < len(p.sj.Spec.Containers) {
		name = p.sj.Spec.Containers[index].Name // not the one in the status: it may have been renamed
	}
	message := fmt.Sprintf("Retrying job %d (%s), retry %d of %d", index, name, progress.Retries, ptr.Deref(p.sj.Spec.Retries, 0))
	p.emit(normal(v1alpha1.ReasonRetrying, message))
	p.underWay(v1alpha1.ReasonRetrying, joinNonEmpty(": ", message, why))
	p.plan.Again = true
}
