// Package app is the command line of sequentialjob-controller.
package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
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

// probeTimeout bounds how long the health check waits for the API server.
const probeTimeout = 3 * time.Second

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
			return run(ctx, o, cmd.Flags())
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

func run(ctx context.Context, o *options, flags *pflag.FlagSet) error {
	logger := klog.FromContext(ctx)
	logger.Info("Starting sequentialjob-controller", "version", version.Get().GitVersion)
	config, namespace, err := o.restConfig()
	if err != nil {
		return err
	}
	kube, client, err := newClients(config)
	if err != nil {
		return err
	}
	informers, err := controller.NewInformers(kube, client, o.namespaces...)
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	c := controller.New(ctx, kube, client, informers)
	watchDog := leaderelection.NewLeaderHealthzAdaptor(o.election.RenewDeadline.Duration)
	if o.serving.port > 0 {
		if err := serveAll(ctx, o, config, informers, watchDog, flags); err != nil {
			return err
		}
	}
	// Those that stand by fill their caches, too, so that they can begin at once.
	informers.Start(ctx)
	work := func(ctx context.Context) error { return c.Run(ctx, o.workers) }
	if o.election.LeaderElect {
		if o.election.ResourceNamespace == "" {
			o.election.ResourceNamespace = namespace
		}
		err = lead(ctx, o.election, config, watchDog, work)
	} else {
		err = work(ctx)
	}
	if errors.Is(err, errLeaseLost) {
		return err
	}
	informers.Shutdown()
	if ctx.Err() != nil {
		logger.Info("Stopped on request")
		return nil
	}
	return err
}

// serveAll serves health, metrics and flags.
func serveAll(
	ctx context.Context, o *options, config *rest.Config, informers *controller.Informers,
	watchDog *leaderelection.HealthzAdaptor, flags *pflag.FlagSet,
) error {
	// Not the controller's own client: what is asked on behalf of others must not wait for its work, nor hold it up.
	config = rest.CopyConfig(config)
	config.QPS, config.Timeout = -1, probeTimeout
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("client for health and metrics: %w", err)
	}
	protect, err := protectBy(kube)
	if err != nil {
		return err
	}
	e := &endpoints{
		live: []healthz.HealthChecker{healthz.PingHealthz, watchDog},
		ready: []healthz.HealthChecker{
			healthz.NamedCheck("caches", func(*http.Request) error {
				if !informers.HaveSynced() {
					return errors.New("not filled yet")
				}
				return nil
			}),
			healthz.NamedCheck("api-server", func(r *http.Request) error {
				return kube.Discovery().RESTClient().Get().AbsPath("/version").Do(r.Context()).Error()
			}),
			healthz.NewShutdownHealthz(ctx.Done()),
		},
		flags: flags, protect: protect,
	}
	address, err := serve(ctx, &o.serving, e.handler(&o.serving))
	if err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Serving health and metrics", "address", address.String(), "tls", o.serving.tls)
	return nil
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
