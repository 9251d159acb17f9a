package kubectl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func newRetryCommand(t *Tool) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "retry NAME",
		Short: "Let a SequentialJob that has failed continue with the failed step",
		Long: strings.TrimSpace(`
Let a SequentialJob that has failed continue with the step that failed. Completed steps do not run again.

It raises spec.retries by one, and only if nobody has changed the SequentialJob meanwhile. Fix first what made the step fail. If it is the
step itself, edit it, and the steps after it if need be: kubectl edit sj NAME.

The exit code is 1 if it cannot be retried: it has not failed, was cancelled, or has no time left.`),
		Example: indent(t, `
# Continue with the failed step
%[1]s retry etl

# The same, and follow the logs until the end
%[1]s retry etl -f`),
		Args: needName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, name, err := t.connect(args[0])
			if err != nil {
				return err
			}
			return t.retry(cmd.Context(), c, name, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, `Follow the logs of what runs from then on, until the SequentialJob ends, and exit as "wait" does.`)
	return cmd
}

func (t *Tool) retry(ctx context.Context, c Clients, name string, follow bool) error {
	var plan sequence.Retry
	var before *v1alpha1.SequentialJob
	after, err := t.change(ctx, c, name, func(sj *v1alpha1.SequentialJob) (change, error) {
		planned, err := sequence.PlanRetry(sj)
		if err != nil {
			return change{}, t.refuseRetry(sj, err)
		}
		before, plan = sj, planned
		return change{
			path: "/spec/retries", value: plan.Retries, field: "spec.retries",
			isDone: func(sj *v1alpha1.SequentialJob) bool { return ptr.Deref(sj.Spec.Retries, 0) == plan.Retries },
		}, nil
	})
	if err != nil {
		return err
	}
	said := t.Out
	if follow {
		said = t.ErrOut // the standard output is for the logs
	}
	fmt.Fprintln(said, describeRetry(before, plan))
	t.warnOfRetry(before, plan)
	if !follow {
		return nil
	}
	return t.followLogs(ctx, c, after)
}

// refuseRetry returns why a sequence is not retried, and what can be done instead.
func (t *Tool) refuseRetry(sj *v1alpha1.SequentialJob, why error) error {
	advice := sequence.Advise(sj)
	switch {
	case errors.Is(why, sequence.ErrAskedFor), errors.Is(why, sequence.ErrDeleted):
		advice = sequence.Advice{}
	case errors.Is(why, sequence.ErrCompleted), errors.Is(why, sequence.ErrManyRetries):
		advice = sequence.Advice{Remedy: sequence.RemedyCreateAnother, Text: "To run it again, create another one."}
	}
	return t.advised(refusal(sj, "retry", why), sj, advice)
}

// describeRetry says what goes on, and when.
func describeRetry(sj *v1alpha1.SequentialJob, plan sequence.Retry) string {
	what := "goes on with " + stepTitle(&sj.Spec, plan.Step)
	if plan.Step == "" {
		what = "goes on, and no step is left to run"
	}
	used := int32(0)
	if p := sj.Status.Progress; p != nil {
		used = p.Retries
	}
	text := fmt.Sprintf("%s %s (retry %d of %d)", sj.Name, what, used+1, plan.Retries)
	if plan.AfterFinally {
		text += " once finally, which runs now, has ended"
	}
	return text
}

// warnOfRetry says what keeps the step from starting, or from going better.
func (t *Tool) warnOfRetry(sj *v1alpha1.SequentialJob, plan sequence.Retry) {
	isInvalid := sj.Status.Progress != nil && sj.Status.Progress.FailureReason == v1alpha1.ReasonInvalidSpec
	if isInvalid && !sequence.IsChangedSinceFailure(sj) {
		fmt.Fprintf(t.ErrOut, "Warning: the spec was refused as invalid, and has not been corrected since: it fails again unless the cause was elsewhere\n  %s\n",
			t.commands().Kubectl("edit", "sj", sj.Name))
	}
	if ptr.Deref(sj.Spec.Suspend, false) {
		fmt.Fprintf(t.ErrOut, "Warning: %s is suspended, so nothing starts until it is resumed\n  %s\n", sj.Name, t.commands().Plugin("resume", sj.Name))
	}
	if sequence.AwaitsApproval(&sj.Spec, plan.Step) {
		fmt.Fprintf(t.ErrOut, "Warning: %s waits for approval\n  %s\n", stepTitle(&sj.Spec, plan.Step),
			t.commands().Plugin("resume", sj.Name, "--step", plan.Step))
	}
}
