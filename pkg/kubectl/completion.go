package kubectl

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// completionTimeout is how long a shell waits for suggestions.
const completionTimeout = 3 * time.Second

func newCompletionCommand(t *Tool) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell", "kubectl"}
	return &cobra.Command{
		Use:   "completion (" + strings.Join(shells, " | ") + ")",
		Short: "Print what completes commands in a shell",
		Long: fmt.Sprintf(strings.TrimSpace(`
Print what completes commands in a shell: commands, flags, namespaces, and the names of SequentialJobs and of their steps.

For "%[1]s", kubectl itself completes: it runs an executable %[2]s from your PATH, which "make install-plugin" installs.
"completion kubectl" prints it for those who have installed the plugin in another way. kubectl's own completion must be set
up: see "kubectl completion --help".

The others print a script for those who call the plugin directly, as %[3]s.`), t.Name, completerOf(t), t.program()),
		Example: indent(t, fmt.Sprintf(`
# Let kubectl complete, in a directory that is on your PATH
%%[1]s completion kubectl >~/.local/bin/%[1]s && chmod +x ~/.local/bin/%[1]s

# Complete %[2]s in bash, now
source <(%%[1]s completion bash)`, completerOf(t), t.program())),
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usageError("name one of %s; see `%s --help`", strings.Join(shells, ", "), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return t.writeCompletion(cmd.Root(), args[0]) },
	}
}

// program is the name of the file that is this plugin.
func (t *Tool) program() string { return strings.ReplaceAll(t.Name, " ", "-") }

// completerOf is the name of the file that kubectl runs to complete the plugin's commands.
func completerOf(t *Tool) string {
	return "kubectl_complete-" + strings.TrimPrefix(t.program(), "kubectl-")
}

func (t *Tool) writeCompletion(root *cobra.Command, shell string) error {
	root.Use = t.program() // it is what the script completes
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(t.Out, true)
	case "zsh":
		return root.GenZshCompletion(t.Out)
	case "fish":
		return root.GenFishCompletion(t.Out, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(t.Out)
	}
	return writeCompleter(t.Out, t.Name)
}

func writeCompleter(out io.Writer, name string) error {
	_, err := fmt.Fprintf(out, "#!/bin/sh\n# kubectl runs this to complete the commands of %q.\nexec %s __complete \"$@\"\n", name, name)
	return err
}

// installCompletion gives all commands that have none of their own the completion of names, steps and namespaces.
func (t *Tool) installCompletion(root *cobra.Command) {
	// An error would say that there is no such flag, or that it has a completion already.
	_ = root.RegisterFlagCompletionFunc("namespace", t.completeNamespaces)
	_ = root.RegisterFlagCompletionFunc("context", t.completeConfig(func(c api.Config) []string { return keys(c.Contexts) }))
	_ = root.RegisterFlagCompletionFunc("cluster", t.completeConfig(func(c api.Config) []string { return keys(c.Clusters) }))
	_ = root.RegisterFlagCompletionFunc("user", t.completeConfig(func(c api.Config) []string { return keys(c.AuthInfos) }))
	for _, cmd := range root.Commands() {
		if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
			if strings.Contains(cmd.Use, "NAME") && cmd.Flag("filename") == nil {
				cmd.ValidArgsFunction = t.completeNames
			}
		}
		if cmd.Flag("from") != nil {
			_ = cmd.RegisterFlagCompletionFunc("from", t.completeSources)
			_ = cmd.RegisterFlagCompletionFunc("from-step", t.completeSteps)
		} else if cmd.Flag("step") != nil {
			_ = cmd.RegisterFlagCompletionFunc("step", t.completeSteps)
		}
	}
}

// completeNames suggests the SequentialJobs of the namespace: one, or more for a command that takes NAME... .
func (t *Tool) completeNames(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	takesMore := strings.Contains(cmd.Use, "NAME...") || strings.Contains(cmd.Use, "NAME…")
	if len(args) > 0 && !takesMore {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return t.listNames(cmd.Context(), "", args), cobra.ShellCompDirectiveNoFileComp
}

func (t *Tool) completeSources(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return t.listNames(cmd.Context(), "sj/", nil), cobra.ShellCompDirectiveNoFileComp
}

// listNames returns the names of the SequentialJobs but for some, each with what it does.
func (t *Tool) listNames(ctx context.Context, prefix string, without []string) []cobra.Completion {
	ctx, stop := context.WithTimeout(ctx, completionTimeout)
	defer stop()
	c, err := t.Clients()
	if err != nil {
		return nil
	}
	list, err := c.SequentialJobs.BatchV1alpha1().SequentialJobs(c.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // there is no place to say why
	}
	return completionsOfNames(list.Items, prefix, without)
}

func completionsOfNames(items []v1alpha1.SequentialJob, prefix string, without []string) []cobra.Completion {
	var names []cobra.Completion
	for i := range items {
		sj := &items[i]
		if !slices.Contains(without, sj.Name) {
			progress := cmp.Or(sj.Status.Progress, &v1alpha1.JobProgress{}) // no controller may have seen it yet
			about := strings.TrimSpace(string(sj.Status.Phase) + " " + progress.Completions)
			names = append(names, cobra.CompletionWithDesc(prefix+sj.Name, about))
		}
	}
	return names
}

// completeSteps suggests the steps of the SequentialJob that the command is about: with --from that one, and without a name the newest.
func (t *Tool) completeSteps(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, stop := context.WithTimeout(cmd.Context(), completionTimeout)
	defer stop()
	name, withFinally := "", true
	if from := cmd.Flag("from"); from != nil {
		source, err := parseSource(from.Value.String())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		name, withFinally = source, false
	} else if len(args) > 0 {
		name = args[0]
	}
	c, err := t.Clients()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	sj, err := t.find(ctx, c, name)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return stepNames(sj, withFinally), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// stepNames returns the steps in their order, each with its state.
func stepNames(sj *v1alpha1.SequentialJob, withFinally bool) []cobra.Completion {
	states := map[string]string{}
	for _, step := range slices.Concat(sj.Status.Steps, sj.Status.Finally) {
		states[step.Name] = string(step.State)
	}
	containers := slices.Clone(sj.Spec.Containers)
	if withFinally {
		containers = slices.Concat(containers, sj.Spec.Finally)
	}
	return completionsOf(containers, states)
}

func completionsOf(containers []corev1.Container, states map[string]string) []cobra.Completion {
	names := make([]cobra.Completion, 0, len(containers))
	for i := range containers {
		names = append(names, cobra.CompletionWithDesc(containers[i].Name, states[containers[i].Name]))
	}
	return names
}

func (t *Tool) completeNamespaces(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, stop := context.WithTimeout(cmd.Context(), completionTimeout)
	defer stop()
	c, err := t.Clients()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := c.Kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]cobra.Completion, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeConfig suggests what the kubeconfig has.
func (t *Tool) completeConfig(namesIn func(api.Config) []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		config, err := t.flags.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return namesIn(config), cobra.ShellCompDirectiveNoFileComp
	}
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
