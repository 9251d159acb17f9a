// Command docs prints docs/cli.md: every command of the kubectl plugin, from its own help.
package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/example/sequential-job-operator/pkg/kubectl"
)

func main() {
	// A default of kubectl's flags that is different for each user.
	if err := os.Setenv("KUBECACHEDIR", "$HOME/.kube/cache"); err != nil {
		panic(err)
	}
	write(os.Stdout, kubectl.NewCommand("kubectl sj", genericiooptions.NewTestIOStreamsDiscard()))
}

func write(out io.Writer, root *cobra.Command) {
	fmt.Fprintf(out, "# The command line: kubectl sj\n\nGenerated from the help of the commands by `make generate`: every command can tell this itself, by `--help`.\n")
	fmt.Fprintf(out, "`kubectl sj` and `kubectl sequentialjob` are the same.\n\n%s\n\n", escape(long(root)))
	commands := slices.DeleteFunc(slices.Clone(root.Commands()), func(c *cobra.Command) bool { return !c.IsAvailableCommand() || c.Name() == "help" })
	slices.SortFunc(commands, func(a, b *cobra.Command) int { return cmp.Compare(a.Name(), b.Name()) })
	fmt.Fprintln(out, "| command | what it does |\n| --- | --- |")
	for _, command := range commands {
		fmt.Fprintf(out, "| [%[1]s](#%[1]s) | %[2]s |\n", command.Name(), cell(command.Short))
	}
	for _, command := range commands {
		writeCommand(out, command)
	}
	fmt.Fprintf(out, "\n## Flags of all commands\n\nAs kubectl has them.\n\n")
	writeFlags(out, root.PersistentFlags())
}

func writeCommand(out io.Writer, command *cobra.Command) {
	fmt.Fprintf(out, "\n## %s\n\n%s\n\n```\n%s\n```\n", command.Name(), escape(long(command)), command.UseLine())
	if command.HasExample() {
		fmt.Fprintf(out, "\n```bash\n%s\n```\n", unindent(command.Example))
	}
	if flags := command.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
		fmt.Fprintln(out)
		writeFlags(out, flags)
	}
}

func long(command *cobra.Command) string { return cmp.Or(command.Long, command.Short) }

func unindent(example string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.Trim(example, "\n"), "\n") {
		lines = append(lines, strings.TrimPrefix(line, "  "))
	}
	return strings.Join(lines, "\n")
}

func writeFlags(out io.Writer, flags *pflag.FlagSet) {
	fmt.Fprintln(out, "| flag | default | meaning |\n| --- | --- | --- |")
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden || flag.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(flag)
		name := strings.TrimSpace("--" + flag.Name + " " + kind)
		if flag.Shorthand != "" {
			name = "-" + flag.Shorthand + ", " + name
		}
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", name, defaultOf(flag), cell(usage))
	})
}

// defaultOf returns the default as Markdown; "" if it says nothing.
func defaultOf(flag *pflag.Flag) string {
	switch flag.DefValue {
	case "", "[]", "false":
		return ""
	}
	return "`" + flag.DefValue + "`"
}

// cell returns text as a cell of a table has it.
func cell(text string) string {
	return strings.ReplaceAll(escape(strings.Join(strings.Fields(text), " ")), "|", `\|`)
}

// escape returns text so that Markdown shows it as it is.
func escape(text string) string {
	return strings.NewReplacer("<", "&lt;", "*", `\*`, "_", `\_`).Replace(text)
}
