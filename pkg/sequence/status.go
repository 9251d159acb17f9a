package sequence

import (
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Blocked returns the plan for the case that the API server did not create the Job of p.Create, for a reason that may
// pass: a name that is taken, a quota, load. The next step waits; everything before it is recorded.
func (p Plan) Blocked(sj *v1alpha1.SequentialJob, reason, message string, now metav1.Time) Plan {
	message = cut(clean(message), maxDetail)
	r := p.reopen(sj, now)
	before := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing)
	if before == nil || before.Reason != reason || len(p.Status.Steps) != len(sj.Status.Steps) {
		r.emit(warning(reason, message))
	}
	r.underWay(reason, message)
	r.summarise()
	return r.plan
}

// Waiting is Blocked without an event, for what passes by itself and is nobody's mistake.
func (p Plan) Waiting(sj *v1alpha1.SequentialJob, reason, message string, now metav1.Time) Plan {
	r := p.reopen(sj, now)
	r.underWay(reason, message)
	r.summarise()
	return r.plan
}

// Invalid returns the plan for the case that the API server refuses the Job of the step at index, and would always
// refuse it: the sequence fails, without that step ever having started.
func (p Plan) Invalid(sj *v1alpha1.SequentialJob, index int, message string, now metav1.Time) Plan {
	message = v1alpha1.ReasonInvalidSpec + ": " + cut(clean(message), maxDetail)
	r := p.reopen(sj, now)
	r.fail(index, v1alpha1.ReasonInvalidSpec, message)
	r.emit(warning(v1alpha1.ReasonJobCreateFailed, message))
	r.summarise()
	return r.plan
}

// reopen makes a planner that changes a copy of p.
func (p Plan) reopen(sj *v1alpha1.SequentialJob, now metav1.Time) *planner {
	p.Status = *p.Status.DeepCopy()
	p.Events = append([]Event(nil), p.Events...)
	p.Create = nil
	return &planner{sj: sj, now: now, plan: p}
}

func (p *planner) setCondition(conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&p.plan.Status.Conditions, metav1.Condition{
		Type:               conditionType,
		Status:             status,
		Reason:             reason,
		Message:            message,
		ObservedGeneration: p.sj.Generation,
		LastTransitionTime: p.now,
	})
}

func (p *planner) removeCondition(conditionType string) {
	meta.RemoveStatusCondition(&p.plan.Status.Conditions, conditionType)
}

func (p *planner) underWay(reason, message string) {
	p.setCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, reason, message)
	p.setCondition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, reason, message)
	p.setCondition(v1alpha1.ConditionFailed, metav1.ConditionFalse, reason, message)
	p.setCondition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, message)
	p.removeCondition(v1alpha1.ConditionStalled)
	p.activate(p.now)
	p.plan.Status.Phase = v1alpha1.SequentialJobRunning
	if len(p.plan.Status.Steps) == 0 {
		p.plan.Status.Phase = v1alpha1.SequentialJobPending
	}
}

func (p *planner) suspended(message string) {
	p.setCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonSuspended, message)
	p.setCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonSuspended, message)
	p.setCondition(v1alpha1.ConditionFailed, metav1.ConditionFalse, v1alpha1.ReasonSuspended, message)
	p.removeCondition(v1alpha1.ConditionReconciling)
	p.removeCondition(v1alpha1.ConditionStalled)
	p.deactivate(p.now)
	p.plan.Status.Phase = v1alpha1.SequentialJobSuspended
}

func (p *planner) complete() {
	message := fmt.Sprintf("All %d steps completed successfully", len(p.plan.Status.Steps))
	if len(p.plan.Status.Steps) == 1 {
		message = "The only step completed successfully"
	}
	p.end(v1alpha1.SequentialJobCompleted)
	p.setCondition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonCompleted, message)
	p.setCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonCompleted, message)
	p.setCondition(v1alpha1.ConditionFailed, metav1.ConditionFalse, v1alpha1.ReasonCompleted, message)
	p.emit(normal(v1alpha1.ReasonCompleted, message))
}

// failStep records that a step that had started failed. The sequence fails with it, unless it may be retried.
func (p *planner) failStep(index int, step *v1alpha1.StepStatus, reason, detail string) {
	step.State = v1alpha1.StepFailed
	step.Message = reason
	if detail != "" {
		step.Message += ": " + cut(detail, maxDetail)
	}
	if step.CompletionTime == nil {
		step.CompletionTime = p.now.DeepCopy()
	}
	again := ""
	if step.Retries > 0 {
		again = " again as " + step.JobName
	}
	message := fmt.Sprintf("Job %d (%s) failed%s: %s", index, step.Name, again, step.Message)
	if reason == v1alpha1.ReasonDeadlineExceeded {
		p.emit(warning(v1alpha1.ReasonDeadlineExceeded, message))
	} else {
		p.emit(warning(v1alpha1.ReasonJobFailed, message))
	}
	if p.mayRetry(reason) {
		p.grantRetry(index, message)
		return
	}
	p.fail(index, reason, message)
}

func (p *planner) fail(index int, reason, message string) {
	p.end(v1alpha1.SequentialJobFailed)
	if reason == v1alpha1.ReasonDeadlineExceeded {
		p.spendAllTime()
	}
	progress := p.progress()
	failedIndex := int32(index) //nolint:gosec // at most v1alpha1.MaxSteps
	progress.FailedIndex = &failedIndex
	progress.FailureReason = reason
	p.setCondition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, reason, message)
	p.setCondition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reason, message)
	p.setCondition(v1alpha1.ConditionFailed, metav1.ConditionTrue, reason, message)
	p.setCondition(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, message)
}

// end records when the sequence ended: when its last step did, whenever that was noticed.
func (p *planner) end(phase v1alpha1.SequentialJobPhase) {
	status := &p.plan.Status
	status.Phase = phase
	status.CompletionTime = p.now.DeepCopy()
	if n := len(status.Steps); n > 0 && status.Steps[n-1].CompletionTime != nil &&
		(n == len(p.sj.Spec.Containers) || status.Steps[n-1].State == v1alpha1.StepFailed) {
		status.CompletionTime = status.Steps[n-1].CompletionTime.DeepCopy()
	}
	p.deactivate(*status.CompletionTime)
	p.removeCondition(v1alpha1.ConditionReconciling)
	p.removeCondition(v1alpha1.ConditionStalled)
}

func (p *planner) progress() *v1alpha1.JobProgress {
	if p.plan.Status.Progress == nil {
		p.plan.Status.Progress = &v1alpha1.JobProgress{}
	}
	return p.plan.Status.Progress
}

// summarise derives what follows from the rest: state, progress, and whether there is still something to clean up.
func (p *planner) summarise() {
	p.observeGeneration()
	p.plan.Finalizer = !Finished(&p.plan.Status)
	state := v1alpha1.ExecutionState{}
	progress := p.progress()
	progress.CompletedIndices = nil
	for i := range p.plan.Status.Steps {
		switch p.plan.Status.Steps[i].State {
		case v1alpha1.StepCompleted:
			state.Succeeded++
			progress.CompletedIndices = append(progress.CompletedIndices, int32(i))
		case v1alpha1.StepFailed:
			state.Failed++
		case v1alpha1.StepRunning:
			state.Active++
		}
	}
	p.plan.Status.State = &state

	total := len(p.sj.Spec.Containers)
	progress.Completions = fmt.Sprintf("%d/%d", state.Succeeded, total)
	progress.CurrentIndex = max(0, min(state.Succeeded, int32(total)-1)) //nolint:gosec // at most MaxSteps
	if progress.FailedIndex != nil {
		progress.CurrentIndex = *progress.FailedIndex
	}
	progress.CurrentStep = p.stepName(int(progress.CurrentIndex))
}

func (p *planner) stepName(index int) string {
	if index >= 0 && index < len(p.plan.Status.Steps) {
		return p.plan.Status.Steps[index].Name
	}
	if index >= 0 && index < len(p.sj.Spec.Containers) {
		return p.sj.Spec.Containers[index].Name
	}
	return ""
}

func (p *planner) observeGeneration() {
	p.plan.Status.ObservedGeneration = p.sj.Generation
	for i := range p.plan.Status.Conditions {
		p.plan.Status.Conditions[i].ObservedGeneration = p.sj.Generation
	}
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
