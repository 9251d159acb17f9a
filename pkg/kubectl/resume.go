package kubectl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func newResumeCommand(t *Tool) *cobra.Command {
	var step string
	cmd := &cobra.Command{
		Use:   "resume NAME [--step=STEP]",
		Short: "Let a paused SequentialJob continue, or approve a step",
		Long: strings.TrimSpace(`
Let a paused SequentialJob continue with the same step. Completed steps do not run again.

With --step, approve a step that waits for approval: its entry in spec.stepOverrides has "suspend: true". That may be done before the step's
turn comes.`),
		Example: indent(t, `
# Continue after a pause
%[1]s resume etl

# Approve the step load
%[1]s resume etl --step=load`),
		Args: needName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if step == "" && cmd.Flags().Changed("step") {
				return usageError("--step is empty: name the step to approve")
			}
			c, name, err := t.connect(args[0])
			if err != nil {
				return err
			}
			if step != "" {
				return t.approve(cmd.Context(), c, name, step)
			}
			return t.resume(cmd.Context(), c, name)
		},
	}
	cmd.Flags().StringVar(&step, "step", "", "The step to approve.")
	return cmd
}

func (t *Tool) resume(ctx context.Context, c Clients, name string) error {
	var running runningJob
	head := name + " is resumed: "
	after, err := t.change(ctx, c, name, func(sj *v1alpha1.SequentialJob) (change, error) {
		if why := whyEnded(sj); why != nil {
			return change{}, t.advised(refusal(sj, "resume", why), sj, sequence.Advise(sj))
		}
		running = t.runningJob(ctx, c, sj)
		if !ptr.Deref(sj.Spec.Suspend, false) {
			head = name + " is not suspended: "
			return change{}, nil
		}
		return setSuspend(false), nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(t.Out, head+describeResume(after, running))
	if running.note != "" {
		fmt.Fprintln(t.ErrOut, running.note)
	}
	if next := stepAfter(after); running.step == nil && sequence.AwaitsApproval(&after.Spec, next) {
		fmt.Fprintln(t.ErrOut, "  "+t.commands().Plugin("resume", name, "--step", next))
	}
	return nil
}

// describeResume says what goes on after a pause, given the Job of what runs as it was before.
func describeResume(sj *v1alpha1.SequentialJob, r runningJob) string {
	if r.step == nil {
		next := stepAfter(sj)
		switch {
		case next == "":
			return "nothing is left to start"
		case ptr.Deref(sj.Spec.Cancel, false) && sj.Status.Result == nil:
			return "it was cancelled, and no further step starts"
		case sequence.AwaitsApproval(&sj.Spec, next):
			return stepTitle(&sj.Spec, next) + " waits for approval"
		}
		return stepTitle(&sj.Spec, next) + " starts"
	}
	title := stepTitle(&sj.Spec, r.step.Name)
	switch {
	case r.note != "":
		return title + " goes on, unless a queue holds its Job"
	case r.isOurs():
		return title + " starts again"
	case r.isSuspended() && r.queue() != "":
		return fmt.Sprintf("%s waits in queue %q", title, r.queue())
	case r.isSuspended():
		return fmt.Sprintf("%s stays stopped until somebody else, who has suspended its Job (%s), resumes that", title, r.step.JobName)
	}
	return title + " runs"
}

// approve lets a step start that waits for approval, or will.
func (t *Tool) approve(ctx context.Context, c Clients, name, step string) error {
	var said string
	after, err := t.change(ctx, c, name, func(sj *v1alpha1.SequentialJob) (change, error) {
		if why := whyEnded(sj); why != nil {
			return change{}, refusal(sj, "approve a step of", why)
		}
		if !slices.Contains(sequence.StepNames(&sj.Spec), step) {
			return change{}, usageError("%s has no step %q; %s", name, step, waitingSteps(sj))
		}
		title := stepTitle(&sj.Spec, step)
		at := slices.IndexFunc(sj.Spec.StepOverrides, func(o v1alpha1.StepOverride) bool { return o.Name == step })
		switch state := stateOf(sj, step); {
		case state == v1alpha1.StepCompleted:
			said = title + " is complete already"
			return change{}, nil
		case state == v1alpha1.StepRunning:
			said = title + " has started already"
			return change{}, nil
		case !sequence.AwaitsApproval(&sj.Spec, step):
			said = fmt.Sprintf("%s does not wait for approval; %s", title, waitingSteps(sj))
			return change{}, nil
		}
		said = describeApproval(sj, step)
		return change{
			path: fmt.Sprintf("/spec/stepOverrides/%d/suspend", at), value: false, field: fmt.Sprintf("spec.stepOverrides[%s].suspend", step),
			isDone: func(sj *v1alpha1.SequentialJob) bool { return !sequence.AwaitsApproval(&sj.Spec, step) },
		}, nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(t.Out, "%s: %s\n", name, said)
	if ptr.Deref(after.Spec.Suspend, false) {
		fmt.Fprintf(t.ErrOut, "%s is suspended as a whole, and nothing starts until it is resumed\n  %s\n", name, t.commands().Plugin("resume", name))
	}
	return nil
}

// stateOf returns the state of a step; "" if it has not started, or is about to start again.
func stateOf(sj *v1alpha1.SequentialJob, step string) v1alpha1.StepState {
	for _, list := range [][]v1alpha1.StepStatus{sj.Status.Steps, sj.Status.Finally} {
		for i := range list {
			if list[i].Name == step && list[i].State != v1alpha1.StepFailed {
				return list[i].State
			}
		}
	}
	return ""
}

// waitingSteps says which steps wait for approval, now or when their turn comes.
func waitingSteps(sj *v1alpha1.SequentialJob) string {
	waiting := slices.DeleteFunc(sequence.StepNames(&sj.Spec), func(name string) bool {
		return !sequence.AwaitsApproval(&sj.Spec, name) || stateOf(sj, name) != ""
	})
	if len(waiting) == 0 {
		return "no step waits for approval"
	}
	return "those that wait for approval are: " + strings.Join(waiting, ", ")
}

// describeApproval says when a step starts that is approved now.
func describeApproval(sj *v1alpha1.SequentialJob, step string) string {
	title := stepTitle(&sj.Spec, step) + " is approved"
	switch {
	case stepAfter(sj) != step:
		return title + ", and starts when its turn comes"
	case runningStep(sj) != nil:
		return fmt.Sprintf("%s, and starts after %s", title, stepTitle(&sj.Spec, runningStep(sj).Name))
	case ptr.Deref(sj.Spec.Suspend, false):
		return title
	}
	return title + ", and starts"
}
