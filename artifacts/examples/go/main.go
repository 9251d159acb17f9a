// Command go shows how a Go program uses SequentialJobs: it creates one, prints how it gets on until it has ended, and then its
// steps.
//
//	go run ./artifacts/examples/go                       # in the cluster of "make demo"
//	go run ./artifacts/examples/go -image busybox:1.36   # in any cluster that can pull this image
//
// The default image, data-tools/shell:v1, exists only in the cluster of "make demo". The program finds the cluster as kubectl does.
//
// It exits with 0 if the sequence completed, 1 if it failed or there was another error, 2 if a flag is wrong, 124 after a
// time-out and 130 after Ctrl-C. "go run" itself exits with 1 instead of any of these but 0.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

// The exit codes of kubectl sj, too.
const (
	exitFailed      = 1
	exitTimeout     = 124
	exitInterrupted = 130
)

var errTimeout = errors.New("time-out")

func main() {
	namespace := flag.String("namespace", "", "where to create the SequentialJob (default: the namespace of the kubectl context)")
	image := flag.String("image", "data-tools/shell:v1",
		"`image` of the steps, which has the command echo. Only the cluster of \"make demo\" has the default one;\n"+
			"with any other cluster use one that it can pull, such as busybox:1.36")
	timeout := flag.Duration("timeout", 5*time.Minute, "how long to wait for the end of the sequence")
	flag.Parse()
	os.Exit(run(*namespace, *image, *timeout))
}

func run(namespace, image string, timeout time.Duration) (exitCode int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()

	client, contextNamespace, err := connect()
	if err != nil {
		return fail(err)
	}
	if namespace == "" {
		namespace = contextNamespace
	}
	sequentialJobs := client.BatchV1alpha1().SequentialJobs(namespace)
	created, err := sequentialJobs.Create(ctx, hello(image), metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return fail(fmt.Errorf("create: %w", err))
	}
	printCreated(os.Stdout, created)
	defer printCleanUp(os.Stdout, created)

	progress := &progress{out: os.Stdout, since: time.Now()}
	ended, err := waitForEnd(ctx, sequentialJobs, created, progress.print)
	switch {
	case err == nil:
		return printEnd(os.Stdout, ended)
	case errors.Is(context.Cause(ctx), errTimeout):
		fmt.Fprintf(os.Stderr, "Time-out: the sequence has not ended within %s, and continues. Its last message:\n  %s\n", timeout, progress)
		return exitTimeout
	case ctx.Err() != nil:
		fmt.Fprintf(os.Stderr, "Interrupted: the sequence continues. Its last message:\n  %s\n", progress)
		return exitInterrupted
	}
	return fail(fmt.Errorf("wait for the end: %w", err))
}

func fail(err error) (exitCode int) {
	fmt.Fprintln(os.Stderr, "error:", err)
	return exitFailed
}

func connect() (client versioned.Interface, namespace string, err error) {
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), nil)
	config, err := kubeconfig.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, "", errors.New("no cluster is configured: KUBECONFIG has to name the configuration of one, as for kubectl")
	}
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
func hello(image string) *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{GenerateName: "hello-"}}
	for _, step := range []string{"prepare", "work", "report"} {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{
			Name:    step,
			Image:   image,
			Command: []string{"echo", "Hello from step " + step},
		})
	}
	sj.Spec.BackoffLimit = new(int32(0)) // an echo that fails once, fails again
	sj.Spec.Template.Labels = map[string]string{"app": "hello"}
	return sj
}
