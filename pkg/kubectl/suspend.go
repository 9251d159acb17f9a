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

var (
	errCompleted = errors.New("it has completed")
	errFailed    = errors.New("it has failed")
)

func newSuspendCommand(t *Tool) *cobra.Command {
	return &cobra.Command{
		Use:   "suspend NAME",
		Short: "Pause a SequentialJob",
		Long: strings.TrimSpace(`
Pause a SequentialJob: the pods of the running step are stopped, and no other step starts. A step that was stopped starts again when
the SequentialJob is resumed: what its pods have not stored is lost.

A step whose Job a queue such as Kueue manages continues, because only its queue can stop it. Nothing starts after it.`),
		Example: indent(t, `
# Pause etl
%[1]s suspend etl

# Let it continue
%[1]s resume etl`),
		Args: needName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, name, err := t.connect(args[0])
			if err != nil {
				return err
			}
			return t.suspend(cmd.Context(), c, name)
		},
	}
}

func (t *Tool) suspend(ctx context.Context, c Clients, name string) error {
	var running runningJob
	head := name + " is suspended: "
	after, err := t.change(ctx, c, name, func(sj *v1alpha1.SequentialJob) (change, error) {
		if why := whyEnded(sj); why != nil {
			return change{}, refusal(sj, "suspend", why)
		}
		running = t.runningJob(ctx, c, sj)
		if ptr.Deref(sj.Spec.Suspend, false) {
			head = name + " is suspended already: "
			return change{}, nil
		}
		return setSuspend(true), nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(t.Out, head+describeSuspend(after, running))
	if running.note != "" {
		fmt.Fprintln(t.ErrOut, running.note)
	}
	return nil
}

// whyEnded returns why a sequence cannot be paused, resumed or cancelled any more; nil if it can.
func whyEnded(sj *v1alpha1.SequentialJob) error {
	switch {
	case !sj.DeletionTimestamp.IsZero():
		return sequence.ErrDeleted
	case sj.Status.Phase == v1alpha1.SequentialJobCompleted:
		return errCompleted
	case hasEnded(sj) && ptr.Deref(sj.Spec.Cancel, false):
		return sequence.ErrCancelled
	case hasEnded(sj):
		return errFailed
	}
	return nil
}

func setSuspend(value bool) change {
	return change{
		path: "/spec/suspend", value: value, field: "spec.suspend",
		isDone: func(sj *v1alpha1.SequentialJob) bool { return ptr.Deref(sj.Spec.Suspend, false) == value },
	}
}

// describeSuspend says what a pause does to what runs, given its Job as it was before.
func describeSuspend(sj *v1alpha1.SequentialJob, r runningJob) string {
	if r.step == nil {
		if next := stepAfter(sj); next != "" {
			return stepTitle(&sj.Spec, next) + " does not start until it is resumed"
		}
		return "nothing starts until it is resumed"
	}
	title := stepTitle(&sj.Spec, r.step.Name)
	switch {
	case ptr.Deref(sj.Spec.Cancel, false) && !isInFinally(sj):
		return title + " is stopped anyway, because it was cancelled; what comes after it waits until it is resumed"
	case r.note != "":
		return title + " is stopped, unless a queue manages its Job: then it goes on, and nothing starts after it"
	case r.isOurs():
		return title + " is stopped, and starts again when it is resumed"
	case r.isSuspended() && r.queue() != "":
		return fmt.Sprintf("%s waits in queue %q, and runs once that lets it; nothing starts after it", title, r.queue())
	case r.isSuspended():
		return title + " stays stopped, as somebody else has suspended its Job"
	case r.queue() != "":
		return fmt.Sprintf("%s goes on, because only its queue %q can stop it; nothing starts after it", title, r.queue())
	}
	return title + " is stopped, and starts again when it is resumed"
}

func isInFinally(sj *v1alpha1.SequentialJob) bool {
	index, _ := sequence.LastStarted(&sj.Status)
	return sequence.IsFinally(index)
}
