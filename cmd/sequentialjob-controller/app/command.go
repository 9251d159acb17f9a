// Package app is the command line of sequentialjob-controller.
package app

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/cli/flag"
	"k8s.io/component-base/featuregate"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/term"
	"k8s.io/component-base/version"
	"k8s.io/component-base/version/verflag"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/controller"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

// NewCommand returns the command.
func NewCommand() *cobra.Command {
	o := newOptions()
	sets := o.addFlags()
	cmd := &cobra.Command{
		Use:   "sequentialjob-controller",
		Short: "Runs the steps of SequentialJobs one after another, each as a Kubernetes Job",
		Long: `sequentialjob-controller watches SequentialJobs (batch.example.com/v1alpha1) and runs the containers that each
lists one after another, each to completion, each as a Kubernetes Job of its own.

In a pod it needs no flags. Elsewhere it finds the API server as kubectl does.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			verflag.PrintAndExitIfRequested()
			if err := o.validate(); err != nil {
				return err
			}
			logs.InitLogs()
			defer logs.FlushLogs()
			if err := applyLogging(o.logging); err != nil {
				return fmt.Errorf("logging flags: %w", err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return run(ctx, o)
		},
	}
	for _, set := range sets.FlagSets {
		cmd.Flags().AddFlagSet(set)
	}
	width, _, _ := term.TerminalSize(cmd.OutOrStdout())
	flag.SetUsageAndHelpFunc(cmd, *sets, width)
	return cmd
}

func applyLogging(logging *logsapi.LoggingConfiguration) error {
	gates := featuregate.NewFeatureGate()
	if err := logsapi.AddFeatureGates(gates); err != nil {
		return err
	}
	return logsapi.ValidateAndApply(logging, gates)
}

func run(ctx context.Context, o *options) error {
	logger := klog.FromContext(ctx)
	logger.Info("Starting sequentialjob-controller", "version", version.Get().GitVersion)
	config, err := o.restConfig()
	if err != nil {
		return err
	}
	kube, client, err := newClients(config)
	if err != nil {
		return err
	}
	jobs := controller.NewJobInformers(kube)
	sequentialJobs := controller.NewSequentialJobInformers(client)
	c, err := controller.New(ctx, kube, client,
		sequentialJobs.Batch().V1alpha1().SequentialJobs(), jobs.Batch().V1().Jobs())
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	jobs.StartWithContext(ctx)
	sequentialJobs.StartWithContext(ctx)
	err = c.Run(ctx, o.workers)
	jobs.Shutdown()
	sequentialJobs.Shutdown()
	if ctx.Err() != nil {
		logger.Info("Stopped on request")
		return nil
	}
	return err
}

// newClients returns a client for the built-in types, which speaks protobuf, and one for SequentialJobs, for which the
// API server knows JSON only.
func newClients(config *rest.Config) (kubernetes.Interface, versioned.Interface, error) {
	protobuf := rest.CopyConfig(config)
	protobuf.ContentType = runtime.ContentTypeProtobuf
	protobuf.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	kube, err := kubernetes.NewForConfig(protobuf)
	if err != nil {
		return nil, nil, fmt.Errorf("client for Jobs: %w", err)
	}
	client, err := versioned.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("client for SequentialJobs: %w", err)
	}
	return kube, client, nil
}
