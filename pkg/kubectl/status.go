package kubectl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

// statusOptions are what `status` is asked for.
type statusOptions struct {
	name     string
	watch    bool
	all      bool
	selector string
}

func newStatusCommand(t *Tool) *cobra.Command {
	o := statusOptions{}
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the steps of a SequentialJob, why it failed, and what to do next",
		Long: strings.TrimSpace(`
Show a SequentialJob as a tree: its steps and their attempts, when each of them ran, what keeps a pod from running, why the
sequence failed or makes no progress, and what to do next.

Without a name, it is the newest SequentialJob of the namespace. With --all-namespaces or --selector, each SequentialJob is
one line.

With --watch, the tree is kept up to date until the sequence ends. Where the output is no terminal, one line is printed for
each transition instead. The exit code is then 0 if the sequence completed and 1 if it failed or was cancelled. Ctrl-C ends
only the watch.

Reading SequentialJobs is enough. If you may not read Jobs or pods, the command says what it leaves out.`),
		Example: strings.ReplaceAll(strings.Trim(`
  # Show the newest SequentialJob of the namespace
  %[1]s status

  # Follow one until it ends
  %[1]s status etl --watch

  # List all SequentialJobs of the cluster, and what is wrong with each
  %[1]s status --all-namespaces`, "\n"), "%[1]s", t.Name),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError("status takes one name at most; see `%s --help`", cmd.CommandPath())
			}
			var err error
			if o.name, err = optionalName(args); err != nil {
				return err
			}
			return t.status(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "Keep the status up to date until the sequence ends.")
	cmd.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "List the SequentialJobs of all namespaces.")
	cmd.Flags().StringVarP(&o.selector, "selector", "l", "", "List the SequentialJobs with these labels, such as app=etl.")
	return cmd
}

func (t *Tool) status(ctx context.Context, o statusOptions) error {
	isList := o.all || o.selector != ""
	switch {
	case isList && o.name != "":
		return usageError("a name and --all-namespaces or --selector exclude each other")
	case isList && o.watch:
		return usageError("--watch follows one SequentialJob: leave out --all-namespaces and --selector")
	}
	c, err := t.Clients()
	if err != nil {
		return err
	}
	if isList {
		return t.listStatus(ctx, c, o)
	}
	sj, err := t.find(ctx, c, o.name)
	switch {
	case err != nil:
		return err
	case o.watch:
		return t.watchStatus(ctx, c, sj)
	}
	s, err := t.read(ctx, c, sj)
	if err != nil {
		return err
	}
	t.printTree(s)
	return nil
}

// printTree prints all that there is to tell of a sequence.
func (t *Tool) printTree(s Snapshot) {
	for _, line := range view.Tree(t.inputOf(s), terminalOf(t.Out).style()) {
		fmt.Fprintln(t.Out, line)
	}
}

func (t *Tool) inputOf(s Snapshot) view.Input {
	return view.Input{
		SequentialJob: s.SequentialJob, Gone: s.Gone, Jobs: s.Jobs, Pods: s.Pods, Missing: s.Missing, Now: time.Now(), Commands: t.commands(),
	}
}

// ended says whether a watch is over, and with what.
func ended(s Snapshot) (bool, error) {
	switch {
	case hasEnded(s.SequentialJob):
		return true, outcome(s.SequentialJob)
	case s.Gone:
		return true, goneError(s.SequentialJob)
	}
	return false, nil
}
