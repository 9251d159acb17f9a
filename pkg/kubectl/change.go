package kubectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// maxConflicts is how often a change is decided again because somebody else has changed the SequentialJob meanwhile.
const maxConflicts = 10

// fieldManager is who has made a change, in the managed fields.
const fieldManager = "kubectl-sequentialjob"

var (
	errDropped  = errors.New("the API server dropped")
	errReplaced = errors.New("was deleted meanwhile, and created again: nothing was changed")
)

// change is what a command does to a SequentialJob.
type change struct {
	// path is where the value goes, as a JSON pointer; "" if there is nothing to change.
	path  string
	value any
	// field is the path as people write it.
	field string
	// isDone says whether the SequentialJob has it.
	isDone func(*v1alpha1.SequentialJob) bool
}

// change reads a SequentialJob, decides on it, and changes it only as it was read. If somebody else was faster, it starts again. It
// returns the SequentialJob as it is then.
func (t *Tool) change(ctx context.Context, c Clients, name string, decide func(*v1alpha1.SequentialJob) (change, error)) (*v1alpha1.SequentialJob, error) {
	var uid types.UID
	var version string
	var last error
	for range maxConflicts {
		sj, err := t.find(ctx, c, name)
		switch {
		case err != nil:
			return nil, err
		case last == nil:
			uid = sj.UID
		case sj.UID != uid:
			return nil, exitError{code: ExitError, err: fmt.Errorf("%s %w", name, errReplaced)}
		case sj.ResourceVersion == version:
			return nil, last // nobody has changed it: it is what was asked for that is refused
		}
		what, err := decide(sj)
		if err != nil || what.path == "" {
			return sj, err
		}
		after, err := t.patch(ctx, c, sj, what)
		// A path may lead nowhere if a list was changed meanwhile.
		if !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) {
			return after, err
		}
		last, version = err, sj.ResourceVersion
	}
	return nil, fmt.Errorf("%s is changed by somebody else again and again; try again (%w)", name, last)
}

// patch changes a SequentialJob if it is as it was seen. An API server with an older CRD drops what it does not know without an error.
func (t *Tool) patch(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob, what change) (*v1alpha1.SequentialJob, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	body, err := json.Marshal([]operation{
		{"add", "/metadata/uid", sj.UID},
		{"add", "/metadata/resourceVersion", sj.ResourceVersion},
		{"add", what.path, what.value},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the change: %w", err)
	}
	after, err := c.SequentialJobs.BatchV1alpha1().SequentialJobs(sj.Namespace).Patch(ctx, sj.Name, types.JSONPatchType, body,
		metav1.PatchOptions{FieldManager: fieldManager})
	switch {
	case err != nil:
		return nil, t.explain(err, access{verb: "patch", resource: resourceSequentialJobs, namespace: sj.Namespace, name: sj.Name})
	case !what.isDone(after):
		return nil, exitError{code: ExitError, err: fmt.Errorf("%w %s: its CRD is older than this plugin; upgrade it (`%s` tells which is which)",
			errDropped, what.field, t.commands().Plugin("version"))}
	}
	return after, nil
}

// refusal returns why a command does not do what it was asked to.
func refusal(sj *v1alpha1.SequentialJob, what string, why error) error {
	return exitError{code: ExitFailed, err: fmt.Errorf("cannot %s %s: %w", what, sj.Name, why)}
}

// advised adds to a refusal what can be done instead.
func (t *Tool) advised(refused error, sj *v1alpha1.SequentialJob, advice sequence.Advice) error {
	lines := []string{refused.Error()}
	if advice.Text != "" {
		lines = append(lines, advice.Text)
	}
	for _, command := range t.commands().For(sj, advice) {
		lines = append(lines, "  "+command)
	}
	return exitError{code: ExitFailed, err: explained{strings.Join(lines, "\n"), refused}}
}

// needName wants one name: what changes something never guesses.
func needName(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return usageError("%s needs the NAME of a SequentialJob; see `%s --help`", cmd.Name(), cmd.CommandPath())
	case len(args) > 1:
		return usageError("%s takes one NAME, and got %d; see `%s --help`", cmd.Name(), len(args), cmd.CommandPath())
	}
	_, err := sequenceName(args[0])
	return err
}

// connect returns a connection to the cluster, and the name in an argument.
func (t *Tool) connect(argument string) (Clients, string, error) {
	name, err := sequenceName(argument)
	if err != nil {
		return Clients{}, "", err
	}
	c, err := t.Clients()
	return c, name, err
}
