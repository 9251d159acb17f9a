// Command go shows how a Go program uses SequentialJobs: it creates one, watches it to its end and prints its steps.
//
//	go run ./artifacts/examples/go -namespace default
//
// It finds the cluster as kubectl does, and exits with 1 if the sequence fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
	typed "github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/typed/batch/v1alpha1"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	namespace := flag.String("namespace", "", "where to create the SequentialJob (default: that of the kubectl context)")
	timeout := flag.Duration("timeout", 5*time.Minute, "how long to wait for its end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()

	client, contextNamespace, err := connect()
	if err != nil {
		return err
	}
	if *namespace == "" {
		*namespace = contextNamespace
	}
	sequentialJobs := client.BatchV1alpha1().SequentialJobs(*namespace)
	created, err := sequentialJobs.Create(ctx, hello(), metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	ended, err := waitForEnd(ctx, sequentialJobs, created)
	if err != nil {
		return fmt.Errorf("wait for SequentialJob %s: %w", created.Name, err)
	}
	if err := printSteps(os.Stdout, ended); err != nil {
		return err
	}
	if ended.Status.Phase != v1alpha1.SequentialJobCompleted {
		return fmt.Errorf("SequentialJob %s: %s", ended.Name, ended.Status.Phase)
	}
	return nil
}

func connect() (client versioned.Interface, namespace string, err error) {
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil)
	config, err := kubeconfig.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("find the API server: %w", err)
	}
	namespace, _, err = kubeconfig.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("find the namespace: %w", err)
	}
	client, err = versioned.NewForConfig(config)
	return client, namespace, err
}

// hello returns a sequence of three steps. Its template has no containers: these are the steps.
func hello() *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{GenerateName: "hello-"}}
	for _, step := range []string{"prepare", "work", "report"} {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{
			Name:    step,
			Image:   "busybox:1.37",
			Command: []string{"echo", "Hello from step " + step},
		})
	}
	sj.Spec.Template.Labels = map[string]string{"app": "hello"}
	return sj
}

// waitForEnd watches a SequentialJob until it has completed or failed. It survives lost connections.
func waitForEnd(
	ctx context.Context, client typed.SequentialJobInterface, created *v1alpha1.SequentialJob,
) (*v1alpha1.SequentialJob, error) {
	only := fields.OneTermEqualSelector("metadata.name", created.Name).String()
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = only
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = only
			return client.Watch(ctx, options)
		},
	}
	last, err := watchtools.UntilWithSync(ctx, source, &v1alpha1.SequentialJob{}, nil, func(event watch.Event) (bool, error) {
		sj, ok := event.Object.(*v1alpha1.SequentialJob)
		if !ok || event.Type == watch.Deleted {
			return false, errors.New("it was deleted")
		}
		return sj.Status.CompletionTime != nil, nil
	})
	if err != nil {
		return nil, err
	}
	return last.Object.(*v1alpha1.SequentialJob), nil
}

func printSteps(out io.Writer, sj *v1alpha1.SequentialJob) error {
	fmt.Fprintf(out, "SequentialJob %s/%s: %s\n", sj.Namespace, sj.Name, sj.Status.Phase)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STEP\tJOB\tSTATE\tDURATION\tMESSAGE")
	for _, step := range sj.Status.Steps {
		duration := "-"
		if step.StartTime != nil && step.CompletionTime != nil {
			duration = step.CompletionTime.Sub(step.StartTime.Time).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", step.Name, step.JobName, step.State, duration, step.Message)
	}
	return table.Flush()
}
