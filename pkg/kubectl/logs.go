package kubectl

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

// logOptions are the flags of `logs`.
type logOptions struct {
	follow     bool
	steps      []string
	failed     bool
	timestamps bool
	tail       int64
	since      time.Duration
	// newOnly leaves out what has ended already.
	newOnly bool
}

func newLogsCommand(t *Tool) *cobra.Command {
	o := logOptions{}
	cmd := &cobra.Command{
		Use:   "logs [NAME] [-f]",
		Short: "Print the logs of all steps in order",
		Long: strings.TrimSpace(`
Print the logs of a SequentialJob: all steps in order, of each step all attempts, and of each attempt all pods; spec.finally too.
Without a name, of the newest SequentialJob in the namespace.

With --follow, wait for what is still to come and continue across steps, retries, log rotation and restarts of the API server,
until the sequence ends. The exit code is then as that of "wait": 0 if it completed, 1 if it failed or was cancelled, 2 if it was
deleted before that.

The standard output has the logs and nothing else, each line with its step in front unless it is clear which step it is. What
they are logs of, and what is waited for, goes to the standard error.

A node keeps only the current part of a log that was rotated, and, of a container that restarts in its pod, the logs of the run that
runs and of the last one that ended. A log goes with its pod. Who follows from the start sees all of it.`),
		Example: strings.Trim(`
  # Print what all steps have written so far
  NAME logs etl

  # Follow a sequence to its end
  NAME logs etl -f

  # Print the log of the step that failed
  NAME logs etl --failed

  # Print the last 20 lines of one step, with timestamps
  NAME logs etl --step=transform --tail=20 --timestamps`, "\n"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError("logs takes one name, and got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := optionalName(args)
			if err != nil {
				return err
			}
			return t.logs(cmd.Context(), name, o)
		},
	}
	cmd.Example = strings.ReplaceAll(cmd.Example, "NAME", t.Name)
	flags := cmd.Flags()
	flags.BoolVarP(&o.follow, "follow", "f", false, "Wait for what is still to come, until the sequence ends.")
	flags.StringSliceVar(&o.steps, "step", nil, "Print only the logs of this step. May be repeated.")
	flags.BoolVar(&o.failed, "failed", false, "Print only the log of the step that failed, of its last attempt.")
	flags.BoolVar(&o.timestamps, "timestamps", false, "Put the time before each line.")
	flags.Int64Var(&o.tail, "tail", -1, "Of each log that exists now, print only that many lines from its end. -1 prints all.")
	flags.DurationVar(&o.since, "since", 0, "Print only what is newer than this, such as 5s, 2m or 3h. 0 prints all.")
	return cmd
}

func (o *logOptions) validate() error {
	switch {
	case o.failed && o.follow:
		return usageError("--failed prints the log of what has ended: there is nothing to follow; leave out --follow")
	case o.failed && len(o.steps) > 0:
		return usageError("--failed finds the step itself: leave out --step")
	case o.tail < -1:
		return usageError("--tail has to be a number from 0 on, or -1 for all")
	case o.since < 0:
		return usageError("--since has to be positive, such as 5m")
	case o.since > 0 && o.since < time.Second:
		return usageError("--since has to be at least 1s")
	}
	return nil
}

// logs prints the logs of a sequence.
func (t *Tool) logs(ctx context.Context, name string, o logOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	c, err := t.Clients()
	if err != nil {
		return err
	}
	sj, err := t.find(ctx, c, name)
	if err != nil {
		return err
	}
	if err := mustHaveSteps(sj, o.steps); err != nil {
		return err
	}
	return t.showLogs(ctx, c, sj, o)
}

// mustHaveSteps refuses names of steps that a sequence does not have, and never had.
func mustHaveSteps(sj *v1alpha1.SequentialJob, names []string) error {
	var known []string
	for _, list := range [][]v1alpha1.StepStatus{sj.Status.Steps, sj.Status.Finally} {
		for i := range list {
			known = append(known, list[i].Name)
		}
	}
	var steps []string
	for i := range sj.Spec.Containers {
		steps = append(steps, sj.Spec.Containers[i].Name)
	}
	for i := range sj.Spec.Finally {
		steps = append(steps, sj.Spec.Finally[i].Name)
	}
	for _, name := range names {
		if !slices.Contains(steps, name) && !slices.Contains(known, name) {
			return usageError("%s has no step %q; its steps are: %s", sj.Name, name, strings.Join(steps, ", "))
		}
	}
	return nil
}

// failedJob returns the entry of the step that failed; nil if none did. A failure of the steps is the cause, and not what
// spec.finally made of it.
func failedJob(sj *v1alpha1.SequentialJob) *v1alpha1.StepStatus {
	for _, list := range [][]v1alpha1.StepStatus{sj.Status.Steps, sj.Status.Finally} {
		for i := range list {
			if list[i].State == v1alpha1.StepFailed {
				return &list[i]
			}
		}
	}
	return nil
}

// walkOptions are the logs that are wanted.
func (o *logOptions) walkOptions() follow.Options {
	return follow.Options{Follow: o.follow, Steps: o.steps}
}

// isOneStep says whether it is clear of which step each line is.
func (o *logOptions) isOneStep(sj *v1alpha1.SequentialJob) bool {
	return o.failed || len(o.steps) == 1 || len(sj.Spec.Containers)+len(sj.Spec.Finally) == 1
}
