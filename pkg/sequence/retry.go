package sequence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// A retry is granted first, in a status of its own, and its Job created afterwards: then it does not matter whether the
// spec is changed between the two, or by whom the Job is created.

// nextRetry is how often the step at index will have been started again once it starts next: 0 for a step that has not
// started.
func (d *decider) nextRetry(index int) int32 {
	if index >= len(d.status.Steps) {
		return 0
	}
	return d.status.Steps[index].Retries + 1
}

// isRetryGranted says whether the status grants one more retry than steps have made use of.
func (d *decider) isRetryGranted() bool {
	var used int32
	for i := range d.status.Steps {
		used += d.status.Steps[i].Retries
	}
	return d.status.Progress != nil && d.status.Progress.Retries > used
}

// followFinished lets a failed sequence go on whose spec was changed so that it may; and adds to what is said of its failure what
// could not be found out when it was recorded.
func (d *decider) followFinished() {
	if d.isResumed() {
		d.grantRetry(d.firstToCheck(), "")
		d.summarise()
		return
	}
	if d.request != nil {
		return
	}
	d.observeGeneration()
	d.completeFailure()
}

// isResumed says whether a failed sequence goes on.
func (d *decider) isResumed() bool {
	return d.status.Phase == v1alpha1.SequentialJobFailed && d.isSpecChanged() && d.hasRetriesLeft() && d.canHelp()
}

// canHelp says whether the spec was changed since the failure in a way that can make the next attempt end otherwise. A step that
// failed uses up all retries by itself, so that there is one left only if they were raised. What was invalid, or out of time, may
// have some left; any other edit is not meant to spend them.
func (d *decider) canHelp() bool {
	with := d.status.FailedWith
	if with == nil {
		return true // recorded by a version that did not note it
	}
	if !d.isWhole() {
		return false
	}
	now := failedWith(&d.sj.Spec)
	deadline, deadlineNow := with.ActiveDeadlineSeconds, now.ActiveDeadlineSeconds
	isDeadlineRaised := deadline != nil && (deadlineNow == nil || *deadlineNow > *deadline)
	return now.StepsHash != with.StepsHash || now.Retries > with.Retries || isDeadlineRaised
}

// failedWith notes of a spec what could have made a difference.
func failedWith(spec *v1alpha1.SequentialJobSpec) *v1alpha1.FailedWith {
	return &v1alpha1.FailedWith{
		StepsHash:             hashSteps(spec, AllSteps),
		Retries:               ptr.Deref(spec.Retries, 0),
		ActiveDeadlineSeconds: copyOf(spec.ActiveDeadlineSeconds),
	}
}

// hashSteps returns a short text that is another one, in all likelihood, if the Job of the step at index would be another, or if what
// any step runs would be.
func hashSteps(spec *v1alpha1.SequentialJobSpec, index int) string {
	const length = 8
	parts := []any{spec.Containers, spec.Template, spec.PodFailurePolicy}
	if index != AllSteps {
		parts = []any{spec.Containers[index], spec.Template, spec.PodFailurePolicy, spec.BackoffLimit}
	}
	raw, err := json.Marshal(parts)
	if err != nil {
		return "" // what came from JSON goes back to JSON
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:length])
}

func (d *decider) hasRetriesLeft() bool {
	granted := int32(0)
	if d.status.Progress != nil {
		granted = d.status.Progress.Retries
	}
	return granted < ptr.Deref(d.sj.Spec.Retries, 0)
}

// grantRetry records that the sequence goes on with the step at index.
func (d *decider) grantRetry(index int, why string) {
	status, progress := &d.status, d.ensureProgress()
	progress.Retries++
	progress.FailedIndex, progress.FailureReason = nil, ""
	status.CompletionTime, status.FailedWith = nil, nil
	name := ""
	if index < len(d.sj.Spec.Containers) {
		name = d.sj.Spec.Containers[index].Name // not the one in the status: it may have been renamed
	}
	message := fmt.Sprintf("Retrying job %d (%s), retry %d of %d", index, name, progress.Retries, ptr.Deref(d.sj.Spec.Retries, 0))
	d.emit(normal(v1alpha1.ReasonRetrying, message))
	d.setProgressing(v1alpha1.ReasonRetrying, joinNonEmpty(": ", message, why))
	d.atOnce = true
}
