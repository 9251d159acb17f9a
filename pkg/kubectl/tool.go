package kubectl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

// Tool is what all commands share: how they were called, where they read and write, and the cluster.
type Tool struct {
	genericiooptions.IOStreams
	// Name is how the user calls it: "kubectl sj" or "kubectl sequentialjob".
	Name  string
	flags *genericclioptions.ConfigFlags
}

// Clients are a connection to a cluster.
type Clients struct {
	Config         *rest.Config
	Kube           kubernetes.Interface
	SequentialJobs versioned.Interface
	// Namespace is the one that the user means.
	Namespace string
}

// Clients connects to the cluster that the flags name. Nothing is sent yet.
func (t *Tool) Clients() (Clients, error) {
	namespace, _, err := t.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return Clients{}, t.explainConfig(err)
	}
	config, err := t.restConfig()
	if err != nil {
		return Clients{}, err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Clients{}, fmt.Errorf("client for Jobs: %w", err)
	}
	client, err := versioned.NewForConfig(config)
	if err != nil {
		return Clients{}, fmt.Errorf("client for SequentialJobs: %w", err)
	}
	return Clients{Config: config, Kube: kube, SequentialJobs: client, Namespace: namespace}, nil
}

// commands says how commands that are suggested to the user are to be typed.
func (t *Tool) commands() view.Commands {
	commands := view.Commands{Tool: t.Name}
	for _, flag := range []struct {
		name  string
		value *string
	}{
		{"--kubeconfig", t.flags.KubeConfig}, {"--context", t.flags.Context}, {"--cluster", t.flags.ClusterName},
		{"--user", t.flags.AuthInfoName}, {"--server", t.flags.APIServer}, {"-n", t.flags.Namespace},
	} {
		if flag.value != nil && *flag.value != "" {
			commands.Flags = append(commands.Flags, flag.name, *flag.value)
		}
	}
	return commands
}

// sequenceName returns the name that an argument means: etl, sj/etl or sequentialjob/etl.
func sequenceName(argument string) (string, error) {
	kind, name, found := strings.Cut(argument, "/")
	if !found {
		kind, name = "sj", argument
	}
	kinds := []string{"sj", "sequentialjob", "sequentialjobs", "sequentialjob." + v1alpha1.GroupName, resourceSequentialJobs}
	if !slices.Contains(kinds, strings.ToLower(kind)) || name == "" || strings.Contains(name, "/") {
		return "", usageError("%q is not the name of a SequentialJob: write NAME or sj/NAME", argument)
	}
	return name, nil
}

// find returns the SequentialJob that an argument means; without one the newest of the namespace, and says so.
func (t *Tool) find(ctx context.Context, c Clients, argument string) (*v1alpha1.SequentialJob, error) {
	client := c.SequentialJobs.BatchV1alpha1().SequentialJobs(c.Namespace)
	if argument != "" {
		name, err := sequenceName(argument)
		if err != nil {
			return nil, err
		}
		sj, err := client.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) && !isUnknownResource(err) && isNamespaceMissing(ctx, c) {
			return nil, noNamespace(c)
		}
		return sj, t.explain(err, access{verb: "get", resource: resourceSequentialJobs, namespace: c.Namespace, name: name})
	}
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, t.explain(err, access{verb: "list", resource: resourceSequentialJobs, namespace: c.Namespace})
	}
	switch {
	case len(list.Items) == 0 && isNamespaceMissing(ctx, c):
		return nil, noNamespace(c)
	case len(list.Items) == 0:
		return nil, fmt.Errorf("%w in namespace %q", errNone, c.Namespace)
	}
	newest := slices.MaxFunc(list.Items, func(a, b v1alpha1.SequentialJob) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
	})
	fmt.Fprintf(t.ErrOut, "%s is the newest SequentialJob in namespace %q\n", newest.Name, c.Namespace)
	return &newest, nil
}

// isNamespaceMissing says whether the namespace is known not to exist. Not everybody may ask that.
func isNamespaceMissing(ctx context.Context, c Clients) bool {
	_, err := c.Kube.CoreV1().Namespaces().Get(ctx, c.Namespace, metav1.GetOptions{})
	return apierrors.IsNotFound(err)
}

func noNamespace(c Clients) error {
	return fmt.Errorf("%w %q: choose another one with --namespace", errNoNamespace, c.Namespace)
}

// optionalName is the name in the arguments of a command that needs none; "" if there is none.
func optionalName(args []string) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	return sequenceName(args[0])
}
