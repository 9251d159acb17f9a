package kubectl

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// indent lays out the examples of a command. %[1]s is how the user calls the plugin.
func indent(t *Tool, examples string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(fmt.Sprintf(examples, t.Name)), "\n") {
		if line != "" {
			line = "  " + line
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%s takes no arguments, and got %q; see `%s --help`", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}
