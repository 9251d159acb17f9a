package view

import (
	"fmt"
	"slices"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Transitions says what became of a sequence between two looks at it, one line for each thing that has changed. Before is nil at the
// first look. It goes by the status alone.
func (s Style) Transitions(before, after *v1alpha1.SequentialJob) []string {
	if before == nil {
		before = &v1alpha1.SequentialJob{}
	}
	var out []string
	say := func(format string, args ...any) {
		out = append(out, s.clean(after.Name+": "+fmt.Sprintf(format, args...)))
	}
	for _, list := range [][]v1alpha1.StepStatus{after.Status.Steps, after.Status.Finally} {
		for i := range list {
			step := &list[i]
			if !isTold(&before.Status, step) {
				say("%s", describeStep(step))
			}
		}
	}
	phase, cause := after.Status.Phase, sequence.RootCause(after)
	isNewPhase, isNewCause := phase != before.Status.Phase, cause != "" && cause != sequence.RootCause(before)
	switch isSuspended := phase == v1alpha1.SequentialJobSuspended; {
	case (sequence.Finished(&after.Status) || isSuspended) && (isNewPhase || isNewCause):
		say("%s", joined(": ", string(phase)+took(after), cause))
	case isNewCause:
		say("%s", cause)
	case isNewPhase && before.Status.Phase == v1alpha1.SequentialJobSuspended:
		say("%s", phase)
	}
	if !after.DeletionTimestamp.IsZero() && before.DeletionTimestamp.IsZero() {
		say("being deleted")
	}
	return out
}

// isTold says whether a status has a step as it is now.
func isTold(status *v1alpha1.SequentialJobStatus, step *v1alpha1.StepStatus) bool {
	return slices.ContainsFunc(slices.Concat(status.Steps, status.Finally), func(was v1alpha1.StepStatus) bool {
		return was.JobUID == step.JobUID && was.JobName == step.JobName && was.State == step.State
	})
}

// describeStep says where a step stands.
func describeStep(step *v1alpha1.StepStatus) string {
	about := step.JobName
	if step.StartTime != nil && step.CompletionTime != nil {
		about += ", " + duration(step.CompletionTime.Sub(step.StartTime.Time))
	}
	text := fmt.Sprintf("%s: %s (%s)", step.Name, step.State, about)
	if step.State == v1alpha1.StepFailed {
		return joined(": ", text, step.Message)
	}
	return text
}

// took says how long a sequence that has ended took.
func took(sj *v1alpha1.SequentialJob) string {
	if !sequence.Finished(&sj.Status) || sj.Status.StartTime == nil || sj.Status.CompletionTime == nil {
		return ""
	}
	return fmt.Sprintf(" (%s)", duration(sj.Status.CompletionTime.Sub(sj.Status.StartTime.Time)))
}

func joined(separator, first, second string) string {
	if second == "" {
		return first
	}
	return first + separator + second
}
