package app

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version/verflag"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// options are what the flags of the command set.
type options struct {
	kubeconfig string
	qps        float32
	burst      int
	workers    int
	logging    *logsapi.LoggingConfiguration
}

func newOptions() *options {
	return &options{qps: 200, burst: 400, workers: 10, logging: logsapi.NewLoggingConfiguration()}
}

func (o *options) addFlags() *flag.NamedFlagSets {
	sets := &flag.NamedFlagSets{}
	cluster := sets.FlagSet("cluster")
	cluster.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig,
		"Path of a kubeconfig file. Unset: as kubectl ($KUBECONFIG, then ~/.kube/config), else the service account of the pod.")
	cluster.Float32Var(&o.qps, "kube-api-qps", o.qps,
		"Requests per second to the API server on average. Negative: no limit but the API server's own.")
	cluster.IntVar(&o.burst, "kube-api-burst", o.burst, "Requests to the API server at once, above the average.")

	controller := sets.FlagSet("controller")
	controller.IntVar(&o.workers, "workers", o.workers, "How many SequentialJobs are worked on at the same time.")

	logsapi.AddFlags(o.logging, sets.FlagSet("logging"))
	verflag.AddFlags(sets.FlagSet("misc"))
	return sets
}

func (o *options) validate() error {
	if o.workers < 1 {
		return fmt.Errorf("--workers is %d: it has to be 1 or more", o.workers)
	}
	if o.qps > 0 && o.burst < 1 {
		return fmt.Errorf("--kube-api-burst is %d: it has to be 1 or more while --kube-api-qps is a limit", o.burst)
	}
	return nil
}

// restConfig finds the API server the way kubectl does, or from within a pod.
func (o *options) restConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS, config.Burst = o.qps, o.burst
	return rest.AddUserAgent(config, v1alpha1.ControllerName), nil
}
