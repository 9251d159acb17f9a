package kubectl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var (
	errCancelledAlready = errors.New("it is being cancelled already")
	errStepsComplete    = errors.New("all its steps are complete, and what runs finally is not stopped")
	errDeclined         = errors.New("not cancelled")
)

func newCancelCommand(t *Tool) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "cancel NAME",
		Short: "End a SequentialJob for good",
		Long: strings.TrimSpace(`
End a SequentialJob for good: the running step is stopped, no other step starts, finally runs, and it fails with Cancelled. This cannot be taken
back, and "retry" does not revive it. The SequentialJob, its Jobs and their logs stay, but for the log of the pod that was running. To pause it
instead, use "suspend".

It asks first. Where there is no terminal to ask on, it needs --yes.`),
		Example: indent(t, `
# Ask, and end etl
%[1]s cancel etl

# In a script
%[1]s cancel etl --yes`),
		Args: needName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes && !printers.IsTerminal(t.In) {
				return usageError("a cancel cannot be taken back, and there is no terminal to ask on: use --yes if you are sure")
			}
			c, name, err := t.connect(args[0])
			if err != nil {
				return err
			}
			return t.cancel(cmd.Context(), c, name, yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "Do not ask.")
	return cmd
}

func (t *Tool) cancel(ctx context.Context, c Clients, name string, yes bool) error {
	var effects []string
	_, err := t.change(ctx, c, name, func(sj *v1alpha1.SequentialJob) (change, error) {
		result := sj.Status.Result
		switch why := whyEnded(sj); {
		case why != nil:
			return change{}, refusal(sj, "cancel", why)
		case ptr.Deref(sj.Spec.Cancel, false):
			return change{}, refusal(sj, "cancel", errCancelledAlready)
		case result != nil && result.Type == v1alpha1.ResultCompleted:
			return change{}, refusal(sj, "cancel", errStepsComplete)
		}
		effects = cancelEffects(sj, time.Now())
		if !yes {
			// The answer holds, also if the sequence has got on by then.
			yes = true
			question := fmt.Sprintf("Cancel %s? %s. This cannot be taken back. [y/N] ", name, sentence(effects))
			if err := t.confirm(ctx, question); err != nil {
				return change{}, err
			}
		}
		return change{
			path: "/spec/cancel", value: true, field: "spec.cancel",
			isDone: func(sj *v1alpha1.SequentialJob) bool { return ptr.Deref(sj.Spec.Cancel, false) },
		}, nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(t.Out, "%s is cancelled: %s\n", name, strings.Join(effects, ", "))
	return nil
}

func sentence(parts []string) string {
	text := strings.Join(parts, ", ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// cancelEffects says what a cancel does to a sequence as it is now.
func cancelEffects(sj *v1alpha1.SequentialJob, now time.Time) []string {
	if sj.Status.Result != nil {
		return []string{"its steps have ended, finally runs on", "it cannot be retried"}
	}
	var effects []string
	if step := runningStep(sj); step != nil {
		effects = append(effects, fmt.Sprintf("step %s (%s) is stopped", step.Name, runningFor(step, now)))
	}
	left := len(sj.Spec.Containers) - len(sj.Status.Steps)
	if _, last := sequence.LastStarted(&sj.Status); last != nil && last.State == v1alpha1.StepFailed {
		left++ // it was about to start again
	}
	switch {
	case len(sj.Status.Steps) == 0:
		effects = append(effects, "no step starts")
	case left == 1:
		effects = append(effects, "1 step does not start")
	case left > 1:
		effects = append(effects, fmt.Sprintf("%d steps do not start", left))
	}
	return append(effects, finallyEffect(sj)...)
}

func finallyEffect(sj *v1alpha1.SequentialJob) []string {
	title := fmt.Sprintf("finally (%s)", strings.Join(namesOf(sj.Spec.Finally), ", "))
	switch {
	case len(sj.Spec.Finally) == 0:
		return nil
	case len(sj.Status.Steps) == 0:
		return []string{title + " does not run either"}
	case ptr.Deref(sj.Spec.Suspend, false):
		return []string{title + " runs once it is resumed"}
	}
	return []string{title + " runs"}
}

func namesOf(containers []corev1.Container) []string {
	names := make([]string, 0, len(containers))
	for i := range containers {
		names = append(names, containers[i].Name)
	}
	return names
}

// confirm asks on the terminal.
func (t *Tool) confirm(ctx context.Context, question string) error {
	fmt.Fprint(t.ErrOut, question)
	answers := make(chan string, 1)
	// Nothing ends a read from a terminal: it must not keep Ctrl-C from ending the command.
	go func() { answers <- readLine(t.In) }()
	select {
	case <-ctx.Done():
		fmt.Fprintln(t.ErrOut)
		return context.Cause(ctx)
	case answer := <-answers:
		if answer == "y" || answer == "yes" {
			return nil
		}
		return exitError{code: ExitFailed, err: errDeclined}
	}
}

// readLine returns what was typed; "" if nothing was.
func readLine(in io.Reader) string {
	line, _ := bufio.NewReader(in).ReadString('\n') // no line is no answer
	return strings.ToLower(strings.TrimSpace(line))
}
