package app

import (
	"os"
	"strings"
	"sync"

	"github.com/spf13/pflag"
	clientfeatures "k8s.io/client-go/features"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/buildinfo"
)

var buildMetric = metrics.NewGaugeVec(&metrics.GaugeOpts{
	Subsystem: "sequentialjob", Name: "build_info", StabilityLevel: metrics.ALPHA,
	Help: "Always 1. The labels say which build of the controller this is.",
}, []string{"version", "commit", "go_version", "platform"})

// registerBuildMetric makes the metric part of what the process exposes, once, however often it serves.
var registerBuildMetric = sync.OnceFunc(func() {
	legacyregistry.MustRegister(buildMetric)
	build := buildinfo.Get()
	buildMetric.WithLabelValues(build.Version, build.Commit, build.GoVersion, build.Platform).Set(1)
})

// readClientFeatures makes client-go read its feature gates. It logs the state of each when it first needs one, from
// verbosity 1 on; before the logging flags are applied only a wrong value is worth a line to it.
func readClientFeatures() {
	clientfeatures.FeatureGates().Enabled(clientfeatures.WatchListClient)
}

// featurePrefix is what the environment variables begin with that set a feature gate of client-go.
const featurePrefix = "KUBE_FEATURE_"

// logStart says what was started, and how.
func logStart(logger klog.Logger, flags *pflag.FlagSet) {
	build := buildinfo.Get()
	values := []any{"version", build.Version}
	if build.Commit != "" {
		values = append(values, "commit", build.Commit)
	}
	values = append(values, "goVersion", build.GoVersion, "platform", build.Platform, "flags", given(flags))
	if gates := givenFeatures(os.Environ()); len(gates) > 0 {
		values = append(values, "featureGates", gates)
	}
	logger.Info("Starting "+v1alpha1.ControllerName, values...)
}

// given returns the flags that were set, each as it can be written on a command line.
func given(flags *pflag.FlagSet) []string {
	out := []string{}
	flags.Visit(func(f *pflag.Flag) { out = append(out, "--"+f.Name+"="+f.Value.String()) })
	return out
}

// givenFeatures returns the feature gates that the environment sets.
func givenFeatures(environment []string) []string {
	var out []string
	for _, variable := range environment {
		if gate, isGate := strings.CutPrefix(variable, featurePrefix); isGate {
			out = append(out, gate)
		}
	}
	return out
}
