package kubectl

import (
	"flag"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
)

// NewCommand returns the plugin's command. The name is how the user calls it, such as "kubectl sj".
func NewCommand(name string, streams genericiooptions.IOStreams) *cobra.Command {
	t := &Tool{IOStreams: streams, Name: name, flags: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:   "sequentialjob",
		Short: "Show, follow and steer SequentialJobs",
		Long: strings.TrimSpace(`
Show, follow and steer SequentialJobs: lists of containers that run one after another.

What kubectl does well stays kubectl's: get, delete, edit, apply, explain.`),
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: name},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError("%w; see `%s --help`", err, cmd.CommandPath())
	})
	t.flags.AddFlags(root.PersistentFlags())
	addVerbosity(root)
	root.AddCommand(
		newCancelCommand(t),
		newCompletionCommand(t),
		newCreateCommand(t),
		newLintCommand(t),
		newLogsCommand(t),
		newResumeCommand(t),
		newRetryCommand(t),
		newStatusCommand(t),
		newSuspendCommand(t),
		newVersionCommand(t),
		newWaitCommand(t),
	)
	t.installCompletion(root)
	return root
}

// addVerbosity adds the flag -v, which shows the requests that are sent, as kubectl does.
func addVerbosity(root *cobra.Command) {
	all := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(all)
	root.PersistentFlags().AddGoFlag(all.Lookup("v"))
}
