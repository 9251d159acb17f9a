package app

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/component-base/cli/flag"
	"k8s.io/component-base/config"
	configoptions "k8s.io/component-base/config/options"
	configvalidation "k8s.io/component-base/config/validation"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubeconfig"
)

// options are what the flags of the command set.
type options struct {
	kubeconfig string
	qps        float32
	burst      int
	namespaces []string
	workers    int
	election   config.LeaderElectionConfiguration
	serving    servingOptions
	logging    *logsapi.LoggingConfiguration
	version    bool
	// cacheTimeout is how long the caches may take to be filled for the first time. No flag sets it.
	cacheTimeout time.Duration
}

func newOptions() *options {
	return &options{
		qps: 500, burst: 1000, workers: 50,
		election: config.LeaderElectionConfiguration{
			LeaseDuration: metav1.Duration{Duration: 15 * time.Second},
			RenewDeadline: metav1.Duration{Duration: 10 * time.Second},
			// Half of what Kubernetes' own components have: it decides how soon another replica notices that the lease is free.
			RetryPeriod:  metav1.Duration{Duration: time.Second},
			ResourceLock: resourcelock.LeasesResourceLock,
			ResourceName: v1alpha1.ControllerName,
		},
		serving: servingOptions{tls: true, metrics: true},
		logging: logsapi.NewLoggingConfiguration(),
		// As in controller-runtime.
		cacheTimeout: 2 * time.Minute,
	}
}

func (o *options) addFlags() *flag.NamedFlagSets {
	sets := &flag.NamedFlagSets{}
	cluster := sets.FlagSet("cluster")
	cluster.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig,
		"Path of a kubeconfig file. Unset: as kubectl ($KUBECONFIG, then ~/.kube/config), else the service account of the pod.")
	cluster.Float32Var(&o.qps, "kube-api-qps", o.qps,
		"Requests per second to the API server on average, above 0; events not counted, which may be as many. "+
			"Negative: no limit but the API server's own.")
	cluster.IntVar(&o.burst, "kube-api-burst", o.burst, "Requests to the API server at once, above the average.")

	controller := sets.FlagSet("controller")
	controller.StringSliceVar(&o.namespaces, "namespace", o.namespaces,
		"Namespace whose SequentialJobs are run; repeat it for more of them. Unset: all namespaces.")
	controller.IntVar(&o.workers, "workers", o.workers, "How many SequentialJobs are worked on at the same time.")

	configoptions.BindLeaderElectionFlags(&o.election, sets.FlagSet("leader election"))
	o.serving.addFlags(sets.FlagSet("serving"))
	logsapi.AddFlags(o.logging, sets.FlagSet("logging"))
	sets.FlagSet("misc").BoolVar(&o.version, "version", o.version, "Print name, version, commit and Go version, and quit.")
	return sets
}

// validate checks what the flags are set to, as far as that can be known without the cluster.
func (o *options) validate(flags *pflag.FlagSet) error {
	if o.workers < 1 {
		return fmt.Errorf("--workers is %d: it has to be 1 or more", o.workers)
	}
	if err := o.validateLimits(); err != nil {
		return err
	}
	if len(o.namespaces) == 0 && flags.Changed("namespace") {
		return errors.New("--namespace is empty: leave it out to look after all namespaces")
	}
	for _, namespace := range o.namespaces {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			return fmt.Errorf("--namespace is %q: %s", namespace, problems[0])
		}
	}
	if o.election.LeaderElect {
		if err := validateElection(o.election); err != nil {
			return err
		}
	}
	return o.serving.validate()
}

func (o *options) validateLimits() error {
	switch qps := float64(o.qps); {
	case qps == 0 || math.IsNaN(qps) || math.IsInf(qps, 0):
		return fmt.Errorf("--kube-api-qps is %v: it has to be a number above 0, or below it for no limit", o.qps)
	case o.burst < 0:
		return fmt.Errorf("--kube-api-burst is %d: it cannot be negative", o.burst)
	case qps > 0 && o.burst < 1:
		return fmt.Errorf("--kube-api-burst is %d: it has to be 1 or more while --kube-api-qps is a limit", o.burst)
	}
	return nil
}

// validateElection refuses all that the library would refuse later, and what the API server would.
func validateElection(election config.LeaderElectionConfiguration) error {
	if namespace := election.ResourceNamespace; namespace == "" {
		election.ResourceNamespace = "unset" // it is found out later
	} else if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
		return fmt.Errorf("--leader-elect-resource-namespace is %q: %s", namespace, problems[0])
	}
	if err := configvalidation.ValidateLeaderElectionConfiguration(&election, field.NewPath("--leader-elect")).ToAggregate(); err != nil {
		return err
	}
	if election.ResourceLock != resourcelock.LeasesResourceLock {
		return fmt.Errorf("--leader-elect-resource-lock is %q: it has to be %q", election.ResourceLock, resourcelock.LeasesResourceLock)
	}
	if problems := validation.IsDNS1123Subdomain(election.ResourceName); len(problems) > 0 {
		return fmt.Errorf("--leader-elect-resource-name is %q: %s", election.ResourceName, problems[0])
	}
	if lease := election.LeaseDuration.Duration; lease < time.Second {
		return fmt.Errorf("--leader-elect-lease-duration is %s: a lease lasts whole seconds, so it has to be 1s or more", lease)
	}
	shortest := time.Duration(leaderelection.JitterFactor * float64(election.RetryPeriod.Duration))
	if deadline := election.RenewDeadline.Duration; deadline <= shortest {
		return fmt.Errorf("--leader-elect-renew-deadline is %s: it has to be more than %v times --leader-elect-retry-period, which is %s",
			deadline, leaderelection.JitterFactor, election.RetryPeriod.Duration)
	}
	return nil
}

// restConfig finds the API server the way kubectl does, or from within a pod. It also returns the namespace of the pod, or
// that of the current context.
func (o *options) restConfig() (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("find the API server: %w", kubeconfig.Explain(err, o.kubeconfig))
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("find the own namespace: %w", err)
	}
	config.QPS, config.Burst = o.qps, o.burst
	return rest.AddUserAgent(config, v1alpha1.ControllerName), namespace, nil
}
