package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

type lint struct {
	*Tool
	files genericclioptions.FileNameFlags
	// stdin is what was read from the standard input.
	stdin bytes.Buffer
}

// stdinName is how the standard input is called among the files.
const stdinName = "STDIN"

func newLintCommand(t *Tool) *cobra.Command {
	l := &lint{Tool: t, files: genericclioptions.FileNameFlags{
		Usage: "The files to check: a path, a directory, a URL, or - for the standard input.", Filenames: &[]string{}, Recursive: new(false),
	}}
	cmd := &cobra.Command{
		Use:   "lint -f FILENAME",
		Short: "Check manifests of SequentialJobs, and create nothing",
		Long: strings.TrimSpace(`
Check manifests of SequentialJobs, and create nothing.

The cluster itself is asked, by dry runs in your name: for the SequentialJob, and for the Jobs of its steps, as the controller does
before the first step. So you hear what the API server and the controller would say, with the same field paths. If the
SequentialJob exists, the edit is checked that "kubectl apply" would make.

Objects of other kinds are ignored. You need the permission to create jobs.batch and sequentialjobs.batch.example.com.

It exits with 0 if nothing is refused, with 1 if one is refused, and with 2 if one could not be checked. A warning tells if somebody, such as
a quota, kept the Jobs of a step from being checked.`),
		Example: indent(t, `
# Check a file
%[1]s lint -f etl.yaml

# Check all files of a directory, and of those in it
%[1]s lint -R -f manifests/

# Check what another tool writes
kubectl kustomize overlays/production | %[1]s lint -f -`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	l.files.AddFlags(cmd.Flags())
	return cmd
}

func (l *lint) run(ctx context.Context) error {
	if len(*l.files.Filenames) == 0 {
		return usageError("name the files to check: -f FILENAME")
	}
	c, err := l.Clients()
	if err != nil {
		return err
	}
	server, err := newLintServer(c)
	if err != nil {
		return err
	}
	infos, err := l.read()
	if err != nil {
		return err
	}
	ambiguous, err := l.findAmbiguities(infos)
	if err != nil {
		return err
	}
	found, isRefused := 0, len(ambiguous) > 0
	var failures []error
	for _, info := range infos {
		o, ok := info.Object.(*unstructured.Unstructured)
		if !ok || !isSequentialJob(o) {
			kind := info.Object.GetObjectKind().GroupVersionKind().Kind
			fmt.Fprintf(l.ErrOut, "%s: %s: ignored, it is no SequentialJob\n", info.Source, shortName(kind, info.Name))
			continue
		}
		found++
		title := info.Source + ": " + nameOf(o)
		isValid, err := l.check(ctx, c, server, title, o, ambiguous[title])
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", title, err))
		}
		isRefused = isRefused || !isValid
	}
	switch {
	case len(failures) > 0:
		return exitError{code: ExitError, err: errors.Join(failures...)}
	case found == 0:
		return fmt.Errorf("%w in %s", errNone, strings.Join(*l.files.Filenames, ", "))
	case isRefused:
		return exitWith(ExitFailed)
	}
	return nil
}

// check checks one manifest, says on the standard output what was found, and returns whether that is nothing.
func (l *lint) check(ctx context.Context, c Clients, server *lintServer, title string, o *unstructured.Unstructured, isAmbiguous bool) (bool, error) {
	if err := l.placeIn(c.Namespace, o); err != nil {
		return false, err
	}
	report, err := server.lint(ctx, o)
	if err != nil {
		asked := server.asked
		asked.namespace = o.GetNamespace()
		return false, l.explain(err, asked)
	}
	for _, problem := range report.problems {
		fmt.Fprintf(l.Out, "%s: %s\n", title, problem)
	}
	valid := "valid"
	if report.open != "" {
		valid = "valid as far as it could be checked"
		fmt.Fprintf(l.ErrOut, "Warning: %s: not all could be checked: %s\n", title, report.open)
	}
	if len(report.problems) == 0 && !isAmbiguous {
		fmt.Fprintf(l.Out, "%s: %s (%s)\n", title, valid, sizeInWords(report.checked))
	}
	return len(report.problems) == 0, nil
}

// findAmbiguities says on the standard output what is given twice in the files, and returns of which objects that is so.
func (l *lint) findAmbiguities(infos []*resource.Info) (map[string]bool, error) {
	found := map[string]bool{}
	var sources []string
	for _, info := range infos {
		if slices.Contains(sources, info.Source) {
			continue
		}
		sources = append(sources, info.Source)
		all, err := ambiguities(l.reread(info.Source))
		if err != nil {
			return nil, exitError{code: ExitError, err: fmt.Errorf("%s: %w", info.Source, err)}
		}
		for _, one := range all {
			found[info.Source+": "+one.name] = true
			for _, problem := range one.problems {
				fmt.Fprintf(l.Out, "%s: %s: %s\n", info.Source, one.name, problem)
			}
		}
	}
	return found, nil
}

// reread returns what a source has. Of a URL that is nothing.
func (l *lint) reread(source string) io.Reader {
	if source == stdinName {
		return bytes.NewReader(l.stdin.Bytes())
	}
	raw, err := os.ReadFile(source)
	if err != nil {
		return strings.NewReader("")
	}
	return bytes.NewReader(raw)
}

// placeIn sets the namespace of a manifest that has none. As for kubectl, it has to be the same as that of --namespace.
func (l *lint) placeIn(namespace string, o *unstructured.Unstructured) error {
	switch asked := ptr.Deref(l.flags.Namespace, ""); {
	case o.GetNamespace() == "":
		o.SetNamespace(namespace)
	case asked != "" && asked != o.GetNamespace():
		return usageError("the namespace of the file is %q, and that of --namespace is %q: leave out one of them", o.GetNamespace(), asked)
	}
	return nil
}

// read returns the objects in the files, in order.
func (l *lint) read() ([]*resource.Info, error) {
	options := l.files.ToOptions()
	isStdin := func(name string) bool { return name == "-" }
	builder := resource.NewBuilder(l.flags).Unstructured().Local().ContinueOnError()
	if slices.ContainsFunc(options.Filenames, isStdin) {
		builder = builder.Stream(io.TeeReader(orEmpty(l.In), &l.stdin), stdinName)
		options.Filenames = slices.DeleteFunc(slices.Clone(options.Filenames), isStdin)
	}
	if len(options.Filenames) > 0 {
		builder = builder.FilenameParam(false, &options)
	}
	infos, err := builder.Flatten().Do().Infos()
	if err != nil {
		return nil, exitError{code: ExitError, err: err}
	}
	return infos, nil
}

// orEmpty returns a reader that may be nil as one.
func orEmpty(in io.Reader) io.Reader {
	if in == nil {
		return strings.NewReader("")
	}
	return in
}

// isSequentialJob says whether an object claims to be one, of whatever version.
func isSequentialJob(o *unstructured.Unstructured) bool {
	return o.GroupVersionKind().GroupKind() == schema.GroupKind{Group: v1alpha1.GroupName, Kind: v1alpha1.SequentialJobKind}
}

func nameOf(o *unstructured.Unstructured) string {
	if o.GetName() == "" {
		return shortName(o.GetKind(), o.GetGenerateName())
	}
	return shortName(o.GetKind(), o.GetName())
}

func shortName(kind, name string) string { return strings.ToLower(kind) + "/" + name }

// sizeInWords says how much there is in a sequence.
func sizeInWords(sj *v1alpha1.SequentialJob) string {
	words := fmt.Sprintf("%d steps", len(sj.Spec.Containers))
	if len(sj.Spec.Containers) == 1 {
		words = "1 step"
	}
	if n := len(sj.Spec.Finally); n > 0 {
		words += fmt.Sprintf(", %d finally", n)
	}
	return words
}
