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
	switch {
	case IsFinally(index):
		return finallyRetry(&d.status)
	case index >= len(d.status.Steps):
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
	return d.status.Phase == v1alpha1.SequentialJobFailed && d.isSpecChanged() && d.mayBeRetried()
}

// mayBeRetried says whether a sequence that has failed, and was changed since, may go on.
func (d *decider) mayBeRetried() bool {
	return !d.isCancelled(0) && d.hasRetriesLeft() && d.canHelp()
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
	now := d.failedWith()
	deadline, deadlineNow := with.ActiveDeadlineSeconds, now.ActiveDeadlineSeconds
	isDeadlineRaised := deadline != nil && (deadlineNow == nil || *deadlineNow > *deadline)
	return now.StepsHash != with.StepsHash || now.Retries > with.Retries || isDeadlineRaised
}

// failedWith notes of the spec what could make a difference to how the sequence has failed.
func (d *decider) failedWith() *v1alpha1.FailedWith {
	spec := &d.sj.Spec
	hash := hashSteps(spec, AllSteps)
	if d.isFailureOfFinally() {
		hash += "-" + hashFinally(spec)
	}
	return &v1alpha1.FailedWith{
		StepsHash:             hash,
		Retries:               ptr.Deref(spec.Retries, 0),
		ActiveDeadlineSeconds: copyOf(spec.ActiveDeadlineSeconds),
	}
}

// isFailureOfFinally says whether it was spec.finally that failed, or was found invalid, and no step.
func (d *decider) isFailureOfFinally() bool {
	p := d.status.Progress
	return p != nil && (p.FailureReason == v1alpha1.ReasonFinallyFailed ||
		p.FailureReason == v1alpha1.ReasonInvalidSpec && p.FailedIndex == nil)
}

// noteFailedWith records what the sequence has failed with.
func (d *decider) noteFailedWith() {
	if d.isWhole() {
		d.status.FailedWith = d.failedWith()
	}
}

// hashSteps returns a short text that is another one, in all likelihood, if the Job of the step at index would be another, or if what
// any step runs would be.
func hashSteps(spec *v1alpha1.SequentialJobSpec, index int) string {
	parts := []any{spec.Containers, spec.Template, spec.PodFailurePolicy}
	if index != AllSteps {
		parts = []any{ContainerAt(spec, index), spec.Template, spec.PodFailurePolicy, spec.BackoffLimit}
	}
	return hashOf(append(parts, hashedOverrides(spec, index)...))
}

// hashFinally is hashSteps of all steps for what spec.finally runs.
func hashFinally(spec *v1alpha1.SequentialJobSpec) string {
	return hashOf([]any{spec.Finally, overridesOf(spec, spec.Finally)})
}

func hashOf(parts []any) string {
	const length = 8
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
	status.CompletionTime, status.FailedWith, status.Result, status.Finally = nil, nil, nil, nil
	what := "spec.finally"
	if name := nameAt(&d.sj.Spec, index); name != "" { // not the one in the status: it may have been renamed
		what = fmt.Sprintf("%s (%s)", noun(index), name)
	}
	message := fmt.Sprintf("Retrying %s, retry %d of %d", what, progress.Retries, ptr.Deref(d.sj.Spec.Retries, 0))
	d.emit(normal(v1alpha1.ReasonRetrying, message))
	d.setProgressing(v1alpha1.ReasonRetrying, joinNonEmpty(": ", message, why))
	d.atOnce = true
}
