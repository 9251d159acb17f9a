package kubectl

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/example/sequential-job-operator/pkg/buildinfo"
)

// clientVersion is which plugin this is.
type clientVersion struct {
	Version   string `json:"version"`
	Commit    string `json:"commit,omitempty"`
	GoVersion string `json:"goVersion"`
	Platform  string `json:"platform"`
}

// fit says whether the parts can work together.
type fit string

const (
	fitYes     fit = "yes"
	fitNo      fit = "no"
	fitUnknown fit = "unknown"
)

// versionReport is what `version` says.
type versionReport struct {
	Client     clientVersion     `json:"client"`
	CRD        *crdReport        `json:"crd,omitempty"`
	Controller *controllerReport `json:"controller,omitempty"`
	Fits       fit               `json:"fits,omitempty"`
}

func newVersionCommand(t *Tool) *cobra.Command {
	var onlyClient bool
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of the plugin, the CRD and the controller, and whether they fit",
		Long: strings.TrimSpace(`
Show the versions of the plugin, the CRD and the controller, and whether they fit.

The CRD fits if it has the same fields as this plugin; every user may see that. The controller fits if one works: to see that, you
need the permission to list deployments.apps, and leases.coordination.k8s.io in its namespace.

It exits with 0 if they fit, or if nobody can tell, and with 1 if they do not.`),
		Example: indent(t, `
# Show all versions
%[1]s version

# Show that of the plugin, without a cluster
%[1]s version --client

# For a program
%[1]s version -o json`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return t.version(cmd.Context(), onlyClient, output) },
	}
	cmd.Flags().BoolVar(&onlyClient, "client", false, "Show the version of the plugin only, and ask no cluster.")
	cmd.Flags().StringVarP(&output, "output", "o", "", "Output format. One of: (json, yaml).")
	// An error would say that there is no such flag.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]cobra.Completion{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (t *Tool) version(ctx context.Context, onlyClient bool, output string) error {
	if output != "" && output != "json" && output != "yaml" {
		return usageError("--output is %q: use json or yaml", output)
	}
	report := versionReport{Client: thisVersion()}
	if !onlyClient {
		c, err := t.Clients()
		if err != nil {
			return err
		}
		if report.CRD, err = t.inspectCRD(c); err != nil {
			return err
		}
		report.Controller = t.inspectController(ctx, c)
		report.Fits = report.fits()
	}
	if err := writeVersion(t.Out, report, output); err != nil {
		return err
	}
	if report.Fits == fitNo {
		return exitWith(ExitFailed)
	}
	return nil
}

func thisVersion() clientVersion {
	build := buildinfo.Get()
	return clientVersion{Version: build.Version, Commit: build.Commit, GoVersion: build.GoVersion, Platform: build.Platform}
}

// fits says whether the parts go together: not if one of them is missing, is another version, or does not work.
func (r versionReport) fits() fit {
	switch {
	case r.CRD.fits() == fitNo || r.Controller.fits() == fitNo:
		return fitNo
	case r.CRD.fits() == fitUnknown || r.Controller.fits() == fitUnknown:
		return fitUnknown
	}
	return fitYes
}

func writeVersion(out io.Writer, report versionReport, output string) error {
	if output != "" {
		return writeStructured(out, report, output)
	}
	client := report.Client
	fmt.Fprintf(out, "SequentialJob plugin %s%s\n", client.Version, inBrackets(buildinfo.Info(client).ShortCommit(), client.GoVersion, client.Platform))
	if report.CRD == nil {
		return nil
	}
	fmt.Fprintf(out, "CRD: %s\n", report.CRD)
	fmt.Fprintf(out, "Controller: %s\n", report.Controller)
	switch report.Fits {
	case fitYes:
		fmt.Fprintln(out, "They fit")
	case fitNo:
		fmt.Fprintln(out, "They do not fit")
	default:
		fmt.Fprintln(out, "Whether they fit is not known")
	}
	return nil
}

// inBrackets lists what is known.
func inBrackets(details ...string) string {
	var known []string
	for _, detail := range details {
		if detail != "" {
			known = append(known, detail)
		}
	}
	if len(known) == 0 {
		return ""
	}
	return " (" + strings.Join(known, ", ") + ")"
}
