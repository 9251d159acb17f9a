package kubectl

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/kubeconfig"
)

// defaultServer is where client-go looks for a cluster if none is named.
const defaultServer = "http://localhost:8080"

// restConfig is how the cluster is reached. What the API server warns of goes to the standard error.
func (t *Tool) restConfig() (*rest.Config, error) {
	// Many sequences may be watched at once; the API server has limits of its own.
	const queries, burst = 50, 300
	config, err := t.flags.ToRESTConfig()
	if err != nil {
		return nil, t.explainConfig(err)
	}
	if config.Host == defaultServer && !t.isServerNamed() {
		if err := t.withoutServer(); err != nil {
			return nil, err
		}
	}
	config.QPS, config.Burst = queries, burst
	config.WarningHandler = rest.NewWarningWriter(t.ErrOut, rest.WarningWriterOptions{
		Deduplicate: true, Color: printers.AllowsColorOutput(t.ErrOut),
	})
	return config, nil
}

func (t *Tool) isServerNamed() bool {
	return ptr.Deref(t.flags.APIServer, "") != "" || os.Getenv("KUBERNETES_MASTER") != ""
}

// withoutServer says why no server is named. It is nil if the kubeconfig names the default one.
func (t *Tool) withoutServer() error {
	loaded, err := t.flags.ToRawKubeConfigLoader().RawConfig()
	isChosen := ptr.Deref(t.flags.Context, "") != "" || ptr.Deref(t.flags.ClusterName, "") != ""
	switch {
	case err != nil:
		return t.explainConfig(err)
	case api.IsConfigEmpty(&loaded):
		return kubeconfig.NoCluster(ptr.Deref(t.flags.KubeConfig, ""))
	case loaded.CurrentContext == "" && !isChosen:
		return fmt.Errorf("the kubeconfig has no current context: %s", chooseContext(&loaded))
	}
	return nil
}

// explainConfig says what a kubeconfig that cannot be used means.
func (t *Tool) explainConfig(err error) error {
	loaded, unreadable := t.flags.ToRawKubeConfigLoader().RawConfig()
	if unreadable != nil || !clientcmd.IsContextNotFound(err) {
		return kubeconfig.Explain(err, ptr.Deref(t.flags.KubeConfig, ""))
	}
	if api.IsConfigEmpty(&loaded) {
		return kubeconfig.NoCluster(ptr.Deref(t.flags.KubeConfig, ""))
	}
	asked := ptr.Deref(t.flags.Context, "")
	if asked == "" {
		asked = loaded.CurrentContext
	}
	return fmt.Errorf("the kubeconfig has no context %q: %s", asked, chooseContext(&loaded))
}

// chooseContext says which contexts there are.
func chooseContext(config *api.Config) string {
	const most = 10
	names := slices.Sorted(maps.Keys(config.Contexts))
	switch {
	case len(names) == 0:
		return "it has no contexts at all; use another one with --kubeconfig"
	case len(names) > most:
		return "choose one with --context; `kubectl config get-contexts` lists them"
	}
	return "choose one with --context: " + strings.Join(names, ", ")
}
