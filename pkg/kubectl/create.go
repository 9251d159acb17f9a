package kubectl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What --dry-run may be.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

type create struct {
	*Tool
	print *genericclioptions.PrintFlags

	image    string
	steps    []string
	from     string
	fromStep string
	dryRun   string
	follow   bool
}

func newCreateCommand(t *Tool) *cobra.Command {
	o := &create{Tool: t, print: genericclioptions.NewPrintFlags("created")}
	cmd := &cobra.Command{
		Use:   "create NAME (--image=IMAGE --step=STEP=COMMAND... | --from=sj/NAME)",
		Short: "Create a SequentialJob from commands, or run one again",
		Long: strings.TrimSpace(`
Create a SequentialJob from commands, or run one again.

With --image and --step, each command is a step and runs as "sh -c COMMAND" in the image. For an image without a shell, for volumes and
for all else write YAML; --dry-run=client -o yaml makes a beginning.

With --from, a new SequentialJob is created that has the spec, labels and annotations of another one. "cancel" and "suspend" are
left out, so that it runs, and so are the labels and annotations by which Argo CD, Flux and Helm know what is theirs: they would delete
the new one. Steps that wait for approval wait again. With --from-step, the steps before that one are left out:
they do not run, so what they have made must still be there.`),
		Example: indent(t, `
# Run two commands, one after the other
%[1]s create etl --image=busybox --step='extract=echo extract' --step='load=echo load'

# The same, and follow the logs until the end
%[1]s create etl --image=busybox --step='extract=echo extract' --step='load=echo load' -f

# Write the manifest, and create nothing
%[1]s create etl --image=busybox --step='extract=echo extract' --dry-run=client -o yaml >etl.yaml

# Run etl again
%[1]s create etl-2 --from=sj/etl

# Run etl again, from the step load on
%[1]s create etl-2 --from=sj/etl --from-step=load`),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("%s needs one NAME, and got %d; see `%s --help`", cmd.CommandPath(), len(args), cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions, // it is a new name
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.image, "image", "", "The image in which the commands run.")
	flags.StringArrayVar(&o.steps, "step", nil, "A step, as NAME=COMMAND. May be given several times; the order is that in which they run.")
	flags.StringVar(&o.from, "from", "", "The SequentialJob to run again, such as sj/etl.")
	flags.StringVar(&o.fromStep, "from-step", "", "With --from: the step to begin with. Those before it are left out.")
	flags.StringVar(&o.dryRun, "dry-run", dryRunNone, `"none", "client" or "server". With client, only print the object that would be sent. With server, send it without storing it.`)
	flags.BoolVarP(&o.follow, "follow", "f", false, "Follow the logs until the SequentialJob ends, and exit as \"wait\" does.")
	o.print.AddFlags(cmd)
	return cmd
}

func (o *create) validate() error {
	switch {
	case o.from == "" && (o.image == "" || len(o.steps) == 0):
		return usageError("say what to run: --image=IMAGE --step=NAME=COMMAND, or --from=sj/NAME")
	case o.from != "" && (o.image != "" || len(o.steps) > 0):
		return usageError("--from takes image and steps from another SequentialJob: leave out --image and --step")
	case o.from == "" && o.fromStep != "":
		return usageError("--from-step needs --from")
	case o.dryRun != dryRunNone && o.dryRun != dryRunClient && o.dryRun != dryRunServer:
		return usageError("--dry-run is %q: use none, client or server", o.dryRun)
	case o.follow && o.dryRun != dryRunNone:
		return usageError("there is nothing to follow in a dry run: leave out --follow or --dry-run")
	}
	return nil
}

func (o *create) run(ctx context.Context, name string) error {
	if err := o.validate(); err != nil {
		return err
	}
	if err := o.completePrinter(); err != nil {
		return err
	}
	if o.dryRun == dryRunClient && o.from == "" {
		made, err := newSequence(name, o.image, o.steps)
		if err != nil {
			return err
		}
		made.SetNamespace(ptr.Deref(o.flags.Namespace, ""))
		return o.printTo(made)
	}
	c, err := o.Clients()
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		return fmt.Errorf("client for SequentialJobs: %w", err)
	}
	made, err := o.make(ctx, c, client.Resource(sequentialJobs), name)
	if err != nil {
		return err
	}
	if o.dryRun == dryRunClient {
		made.SetNamespace(ptr.Deref(o.flags.Namespace, ""))
		return o.printTo(made)
	}
	return o.send(ctx, c, client.Resource(sequentialJobs), made)
}

// completePrinter has the printer say if nothing was stored.
func (o *create) completePrinter() error {
	format := "%s"
	switch o.dryRun {
	case dryRunClient:
		format = "%s (dry run)"
	case dryRunServer:
		format = "%s (server dry run)"
	}
	if err := o.print.Complete(format); err != nil {
		return err
	}
	if _, err := o.print.ToPrinter(); err != nil {
		return usageError("%w", err)
	}
	return nil
}

// make returns the SequentialJob to create.
func (o *create) make(ctx context.Context, c Clients, client dynamic.NamespaceableResourceInterface, name string) (*unstructured.Unstructured, error) {
	if o.from == "" {
		return newSequence(name, o.image, o.steps)
	}
	source, err := parseSource(o.from)
	if err != nil {
		return nil, err
	}
	old, err := client.Namespace(c.Namespace).Get(ctx, source, metav1.GetOptions{})
	if err != nil {
		return nil, o.explain(err, access{verb: "get", resource: resourceSequentialJobs, namespace: c.Namespace, name: source})
	}
	made, err := rerunOf(old, name, o.fromStep)
	if err != nil {
		return nil, err
	}
	if o.dryRun != dryRunClient {
		o.tellApprovals(made)
	}
	return made, nil
}

func (o *create) tellApprovals(made *unstructured.Unstructured) {
	for _, approval := range approvalsOf(made) {
		if approval.isDue {
			fmt.Fprintf(o.ErrOut, "Step %s waits for approval: %s\n", approval.step, o.commands().Plugin("resume", made.GetName(), "--step", approval.step))
		} else {
			fmt.Fprintf(o.ErrOut, "Step %s does not wait for approval: it has it from before\n", approval.step)
		}
	}
}

func (o *create) send(ctx context.Context, c Clients, client dynamic.NamespaceableResourceInterface, made *unstructured.Unstructured) error {
	made.SetNamespace(c.Namespace)
	options := metav1.CreateOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict}
	if o.dryRun == dryRunServer {
		options.DryRun = []string{metav1.DryRunAll}
	}
	created, err := client.Namespace(c.Namespace).Create(ctx, made, options)
	if err != nil {
		return o.explainCreate(err, c.Namespace, made.GetName())
	}
	if lost := lostFields(made, created); len(lost) > 0 {
		fmt.Fprintf(o.ErrOut, "Warning: what is stored lacks %s: see %s\n", strings.Join(lost, ", "), o.commands().Plugin("version"))
	}
	if err := o.printTo(created); err != nil || !o.follow {
		return err
	}
	sj, err := c.SequentialJobs.BatchV1alpha1().SequentialJobs(c.Namespace).Get(ctx, created.GetName(), metav1.GetOptions{})
	if err != nil {
		return o.explain(err, access{verb: "get", resource: resourceSequentialJobs, namespace: c.Namespace, name: created.GetName()})
	}
	if sj.UID != created.GetUID() {
		return exitError{code: ExitError, err: fmt.Errorf("%s %w", sj.Name, errGone)}
	}
	return o.followLogs(ctx, c, sj)
}

// printTo prints the object; where logs are to follow, not among them.
func (o *create) printTo(made *unstructured.Unstructured) error {
	printer, err := o.print.ToPrinter()
	if err != nil {
		return usageError("%w", err)
	}
	if o.follow {
		return printer.PrintObj(made, o.ErrOut)
	}
	return printer.PrintObj(made, o.Out)
}

func (o *create) explainCreate(err error, namespace, name string) error {
	switch {
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("there is a SequentialJob %q in namespace %q already: choose another name, or delete that one first: `%s` (%w)",
			name, namespace, o.commands().Kubectl("delete", "sj", name), err)
	case isMissingJobs(err):
		return o.explain(err, access{verb: "create", resource: resourceJobs, namespace: namespace})
	case strings.Contains(err.Error(), "strict decoding error"):
		return fmt.Errorf("%w: the cluster has another version of SequentialJobs than this plugin: see `%s`", err, o.commands().Plugin("version"))
	case refusalOf(err).Class == sequence.NamespaceGone:
		return fmt.Errorf("namespace %q does not exist: create it, or name another one with -n (%w)", namespace, err)
	}
	return o.explain(err, access{verb: "create", resource: resourceSequentialJobs, namespace: namespace})
}
