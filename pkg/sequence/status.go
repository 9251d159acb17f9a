package sequence

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func (d *decider) setCondition(conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&d.status.Conditions, metav1.Condition{
		Type:               conditionType,
		Status:             status,
		Reason:             reason,
		Message:            message,
		ObservedGeneration: d.sj.Generation,
		LastTransitionTime: d.now,
	})
}

func (d *decider) removeCondition(conditionType string) {
	meta.RemoveStatusCondition(&d.status.Conditions, conditionType)
}

// progress returns the condition Progressing as it is going to be stored, or nil.
func (d *decider) progress() *metav1.Condition {
	return meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionProgressing)
}

// storedProgress returns the condition Progressing as it is stored, or nil.
func (d *decider) storedProgress() *metav1.Condition {
	return meta.FindStatusCondition(d.sj.Status.Conditions, v1alpha1.ConditionProgressing)
}

// maxSummary is the longest message, in bytes, of a condition beside the one that tells it in full.
const maxSummary = 120

// summariseProgress says in the conditions that tell less what Progressing says now.
func (d *decider) summariseProgress() {
	progress := d.progress()
	for _, conditionType := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if c := meta.FindStatusCondition(d.status.Conditions, conditionType); c != nil && progress != nil {
			c.Message = cut(progress.Message, maxSummary)
		}
	}
}

// setNotYet says that a condition which tells how the sequence ended is not True yet. Where it stands is for Progressing to say alone:
// who reads the reason why it waits under Failed takes it for a failure.
func (d *decider) setNotYet(conditionType string) {
	d.setCondition(conditionType, metav1.ConditionFalse, v1alpha1.ReasonNotEnded, "The sequence has not ended")
}

// setProgressing says that the sequence has not ended and is not suspended.
func (d *decider) setProgressing(reason, message string) {
	d.setNotYet(v1alpha1.ConditionAvailable)
	d.setCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, reason, message)
	d.setNotYet(v1alpha1.ConditionFailed)
	d.setCondition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, cut(message, maxSummary))
	d.removeCondition(v1alpha1.ConditionStalled)
	d.startClock(d.now)
	d.status.Phase = v1alpha1.SequentialJobRunning
	if len(d.status.Steps) == 0 {
		d.status.Phase = v1alpha1.SequentialJobPending
	}
}

// setSuspended says that the sequence is suspended.
func (d *decider) setSuspended(reason, message string) {
	d.setNotYet(v1alpha1.ConditionAvailable)
	d.setCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reason, message)
	d.setNotYet(v1alpha1.ConditionFailed)
	d.removeCondition(v1alpha1.ConditionReconciling)
	d.removeCondition(v1alpha1.ConditionStalled)
	d.stopClock(d.now)
	d.status.Phase = v1alpha1.SequentialJobSuspended
}

func (d *decider) allCompleted() string {
	if len(d.status.Steps) == 1 {
		return "The only step completed successfully"
	}
	return fmt.Sprintf("All %d steps completed successfully", len(d.status.Steps))
}

// complete ends the steps with a success.
func (d *decider) complete() {
	// When its last step did, whenever that was noticed.
	ended := d.now
	if n := len(d.status.Steps); n > 0 && d.status.Steps[n-1].CompletionTime != nil {
		ended = *d.status.Steps[n-1].CompletionTime
	}
	if d.hasFinally() {
		d.beginFinally(v1alpha1.StepsResult{Type: v1alpha1.ResultCompleted, Time: ended}, d.allCompleted())
		return
	}
	d.endCompleted(ended)
}

func (d *decider) endCompleted(ended metav1.Time) {
	message := d.allCompleted()
	d.end(v1alpha1.SequentialJobCompleted, ended)
	d.status.SpecCheck = nil // nothing starts any more
	d.setCondition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonCompleted, message)
	d.setCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonCompleted, message)
	d.setCondition(v1alpha1.ConditionFailed, metav1.ConditionFalse, v1alpha1.ReasonCompleted, message)
	d.setCondition(v1alpha1.ConditionComplete, metav1.ConditionTrue, v1alpha1.ReasonCompleted, message)
	d.emit(normal(v1alpha1.ReasonCompleted, message))
}

// failStep records that a step that had started failed. The sequence fails with it, unless it may be retried.
func (d *decider) failStep(index int, step *v1alpha1.StepStatus, why failure) {
	step.State = v1alpha1.StepFailed
	step.Message = why.reason
	if why.detail != "" {
		step.Message += ": " + cut(why.detail, maxDetail)
	}
	if step.CompletionTime == nil {
		step.CompletionTime = d.now.DeepCopy()
	}
	again := ""
	if step.Retries > 0 {
		again = " again as " + step.JobName
	}
	message := fmt.Sprintf("%s failed%s: %s", subject(index, step.Name), again, step.Message)
	switch {
	case d.isCancelled(index):
		d.failCancelled(index, why, message, *step.CompletionTime)
		return
	case why.outOfTime:
		d.emit(warning(v1alpha1.ReasonDeadlineExceeded, message))
	default:
		d.emit(warning(v1alpha1.ReasonJobFailed, message))
	}
	switch {
	case IsFinally(index):
		d.setProgressing(v1alpha1.ReasonJobFailed, message)
		return
	case d.hasRetriesLeft() && !why.outOfTime && !d.isOutOfTime(): // what is out of time would only fail again
		d.grantRetry(index, message)
		return
	}
	d.fail(index, why.reason, message, *step.CompletionTime)
	if why.outOfTime {
		d.spendAllTime()
	}
}

// fail ends the steps with a failure of the one at index.
func (d *decider) fail(index int, reason, message string, ended metav1.Time) {
	progress := d.ensureProgress()
	if progress.FailedIndex = nil; !IsFinally(index) {
		progress.FailedIndex = new(int32(index)) //nolint:gosec // at most v1alpha1.MaxSteps
	}
	progress.FailureReason = reason
	d.noteFailedWith()
	if !d.hasFinally() {
		d.endFailed(reason, message, ended)
		return
	}
	result := v1alpha1.StepsResult{Type: v1alpha1.ResultFailed, FailedStep: nameAt(&d.sj.Spec, index), Reason: reason, Message: message, Time: ended}
	if reason == v1alpha1.ReasonCancelled {
		result.Type = v1alpha1.ResultCancelled
	}
	d.beginFinally(result, message)
}

func (d *decider) endFailed(reason, message string, ended metav1.Time) {
	d.end(v1alpha1.SequentialJobFailed, ended)
	d.setCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, reason, "The sequence has failed")
	d.setCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reason, message)
	d.setCondition(v1alpha1.ConditionFailed, metav1.ConditionTrue, reason, message)
	d.setCondition(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, cut(message, maxSummary))
}

func (d *decider) end(phase v1alpha1.SequentialJobPhase, ended metav1.Time) {
	d.status.Phase = phase
	d.status.CompletionTime = ended.DeepCopy()
	d.stopClock(ended)
	d.removeCondition(v1alpha1.ConditionReconciling)
	d.removeCondition(v1alpha1.ConditionStalled)
}

func (d *decider) ensureProgress() *v1alpha1.JobProgress {
	if d.status.Progress == nil {
		d.status.Progress = &v1alpha1.JobProgress{}
	}
	return d.status.Progress
}

// summarise derives what follows from the rest: state and progress.
func (d *decider) summarise() {
	d.observeGeneration()
	state := v1alpha1.ExecutionState{}
	progress := d.ensureProgress()
	progress.CompletedIndices = nil
	for i := range d.status.Steps {
		switch d.status.Steps[i].State {
		case v1alpha1.StepCompleted:
			state.Succeeded++
			progress.CompletedIndices = append(progress.CompletedIndices, int32(i))
		case v1alpha1.StepFailed:
			state.Failed++
		case v1alpha1.StepRunning:
			state.Active++
		}
	}
	d.status.State = &state

	total := len(d.sj.Spec.Containers)
	progress.Completions = fmt.Sprintf("%d/%d", state.Succeeded, total)
	progress.CurrentIndex = max(0, min(state.Succeeded, int32(total)-1)) //nolint:gosec // at most MaxSteps
	if progress.FailedIndex != nil {
		progress.CurrentIndex = *progress.FailedIndex
	}
	progress.CurrentStep = d.stepName(int(progress.CurrentIndex))
	if name := d.currentFinally(); name != "" {
		progress.CurrentStep = name
	}
}

func (d *decider) stepName(index int) string {
	if index >= 0 && index < len(d.status.Steps) {
		return d.status.Steps[index].Name
	}
	if index >= 0 && index < len(d.sj.Spec.Containers) {
		return d.sj.Spec.Containers[index].Name
	}
	return ""
}

func (d *decider) observeGeneration() {
	d.status.ObservedGeneration = d.sj.Generation
	for i := range d.status.Conditions {
		d.status.Conditions[i].ObservedGeneration = d.sj.Generation
	}
}

// hasReason says whether that is the reason for which a step failed.
func hasReason(step *v1alpha1.StepStatus, reason string) bool {
	before, _, _ := strings.Cut(step.Message, ":")
	return before == reason
}

// reasonFormat is what the API server accepts as a condition's reason (metav1.Condition).
var reasonFormat = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

// conditionReason makes the reason of a Job's condition fit for a condition of ours: a Job may be managed by others, who
// may leave it empty or write what they like.
func conditionReason(reason string) string {
	const maxReason = 1024
	if len(reason) > maxReason || !reasonFormat.MatchString(reason) {
		return v1alpha1.ReasonJobFailed
	}
	return reason
}
