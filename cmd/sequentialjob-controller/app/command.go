// Package app is the command line of sequentialjob-controller.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/component-base/cli/flag"
	"k8s.io/component-base/featuregate"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/term"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/buildinfo"
	"github.com/example/sequential-job-operator/pkg/controller"
)

const (
	// probeTimeout bounds how long the health check waits for the API server.
	probeTimeout = 3 * time.Second
	// probeTTL is for how long its answer stands: the API server is asked no more often than that.
	probeTTL = 5 * time.Second
	// shutdownTimeout bounds how long the end of the process waits for the caches, which may be in a back-off.
	shutdownTimeout = 5 * time.Second
)

var errEnded = errors.New("the controller ended without a cause")

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
			if o.version {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), v1alpha1.ControllerName, buildinfo.Get())
				return err
			}
			if err := o.validate(cmd.Flags()); err != nil {
				return err
			}
			readClientFeatures()
			logs.InitLogs()
			defer logs.FlushLogs()
			if err := applyLogging(o.logging); err != nil {
				return fmt.Errorf("logging flags: %w", err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			// Whoever asks again does not want to wait any more.
			context.AfterFunc(ctx, stop)
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

// run works until ctx is done, which is no error, or until something fails.
func run(ctx context.Context, o *options, flags *pflag.FlagSet) error {
	logger := klog.FromContext(ctx)
	logStart(logger, flags)
	config, namespace, err := o.restConfig()
	if err != nil {
		return err
	}
	clients, err := controller.NewClients(config)
	if err != nil {
		return err
	}
	informers, err := controller.NewInformers(clients.Kube, clients.SequentialJobs, o.namespaces...)
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	asked := ctx
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	c := controller.New(clients, informers)
	watchDog := leaderelection.NewLeaderHealthzAdaptor(o.election.RenewDeadline.Duration)
	if o.serving.port > 0 {
		if err := serveAll(ctx, o, config, informers, watchDog, flags, fail); err != nil {
			return err
		}
	}
	// Those that stand by fill their caches, too, so that they can begin at once.
	informers.Start(ctx)
	defer failUnlessFilled(ctx, informers, o.cacheTimeout, fail)()
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
	// What made it end comes before what that led to.
	cause := context.Cause(ctx)
	fail(err)
	within(shutdownTimeout, informers.Shutdown)
	if asked.Err() != nil && errors.Is(cause, context.Cause(asked)) {
		logger.Info("Stopped on request")
		return nil
	}
	return cmp.Or(cause, err, errEnded)
}

// failUnlessFilled tells fail if the caches are not filled in time: a process that cannot read what it works on, maybe for
// want of the CRD or of a permission, is of no use, and must not keep the lease from one that can.
func failUnlessFilled(ctx context.Context, informers *controller.Informers, timeout time.Duration, fail func(error)) (stop func() bool) {
	return time.AfterFunc(timeout, func() {
		if err := informers.Unfilled(); err != nil && ctx.Err() == nil {
			fail(fmt.Errorf("%w, %s after the start", err, timeout))
		}
	}).Stop
}

// within waits for f, but no longer than that: a process that ends leaves nothing behind.
func within(timeout time.Duration, f func()) {
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(timeout):
	}
}

// serveAll serves health, metrics and flags. If that ends before ctx is done, fail is told why.
func serveAll(
	ctx context.Context, o *options, config *rest.Config, informers *controller.Informers,
	watchDog *leaderelection.HealthzAdaptor, flags *pflag.FlagSet, fail func(error),
) error {
	// Not the controller's own client: what is asked on behalf of others must not wait for its work, nor hold it up.
	config = rest.CopyConfig(config)
	config.QPS, config.Timeout = -1, probeTimeout
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("client for health: %w", err)
	}
	protection, err := newProtection(config, newReviewLimits())
	if err != nil {
		return err
	}
	apiServer := &keptCheck{ttl: probeTTL, now: time.Now, check: func(ctx context.Context) error {
		return kube.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Error()
	}}
	e := &endpoints{
		live: []healthz.HealthChecker{healthz.PingHealthz, watchDog},
		ready: []healthz.HealthChecker{
			healthz.NamedCheck("caches", func(*http.Request) error { return informers.Unfilled() }),
			healthz.NamedCheck("api-server", apiServer.Check),
			healthz.NewShutdownHealthz(ctx.Done()),
		},
		flags: flags, protect: protection.protect, undecodable: informers.Undecodable,
	}
	listener, err := listen(ctx, &o.serving)
	if err != nil {
		return err
	}
	serve(ctx, listener, e.handler(&o.serving), fail)
	klog.FromContext(ctx).Info("Serving health and metrics", "address", listener.Addr().String(), "tls", o.serving.tls)
	return nil
}
