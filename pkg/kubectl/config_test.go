package kubectl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// outsideOfCluster makes a kubeconfig all that says where a cluster is.
func outsideOfCluster(t *testing.T, kubeconfig string) {
	t.Helper()
	t.Setenv("KUBECONFIG", kubeconfig)
	t.Setenv("KUBERNETES_MASTER", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
}

// configFile writes a kubeconfig with some contexts, all of one cluster.
func configFile(t *testing.T, current string, contexts ...string) string {
	t.Helper()
	text := "clusters: [{name: c, cluster: {server: 'http://example.com'}}]\ncurrent-context: '" + current + "'\ncontexts:\n"
	for _, name := range contexts {
		text += fmt.Sprintf("- {name: %s, context: {cluster: c}}\n", name)
	}
	return fileWith(t, text)
}

func fileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAKubeconfigThatCannotBeUsedIsNamedWithWhatToDo(t *testing.T) {
	missing, empty := filepath.Join(t.TempDir(), "config"), fileWith(t, "")
	named := configFile(t, "prod", "prod", "dev")
	for name, tc := range map[string]struct{ environment, flag, context, want string }{
		"KUBECONFIG is missing": {missing, "", "",
			`no cluster is configured: KUBECONFIG is "` + missing + `", which does not exist: correct it, or use --kubeconfig`},
		"KUBECONFIG is empty": {empty, "", "",
			`no cluster is configured: KUBECONFIG is "` + empty + `", where no cluster is named: correct it, or use --kubeconfig`},
		"KUBECONFIG is missing, and a context is asked for": {missing, "", "prod",
			`no cluster is configured: KUBECONFIG is "` + missing + `", which does not exist: correct it, or use --kubeconfig`},
		"--kubeconfig is missing": {named, missing, "",
			`no cluster is configured: --kubeconfig is "` + missing + `", which does not exist: correct the path`},
		"--kubeconfig is empty": {named, empty, "",
			`no cluster is configured: --kubeconfig is "` + empty + `", where no cluster is named: correct the path`},
		"the context is unknown":         {named, "", "stage", `the kubeconfig has no context "stage": choose one with --context: dev, prod`},
		"the current context is unknown": {"", configFile(t, "gone", "dev"), "", `the kubeconfig has no context "gone": choose one with --context: dev`},
		"no context is the current one":  {"", configFile(t, "", "dev"), "", `the kubeconfig has no current context: choose one with --context: dev`},
		"there are no contexts": {"", configFile(t, ""), "",
			`the kubeconfig has no current context: it has no contexts at all; use another one with --kubeconfig`},
		"there are many contexts": {"", configFile(t, "", strings.Fields("a b c d e f g h i j k")...), "",
			"the kubeconfig has no current context: choose one with --context; `kubectl config get-contexts` lists them"},
	} {
		t.Run(name, func(t *testing.T) {
			outsideOfCluster(t, tc.environment)
			flags := genericclioptions.NewConfigFlags(true)
			*flags.KubeConfig, *flags.Context = tc.flag, tc.context
			_, err := (&Tool{flags: flags}).Clients()
			if err == nil || err.Error() != tc.want || ExitCode(err) != ExitError {
				t.Errorf("exit code %d\n got %v\nwant %s", ExitCode(err), err, tc.want)
			}
		})
	}
}

func TestAServerThatIsNamedNeedsNoKubeconfig(t *testing.T) {
	outsideOfCluster(t, filepath.Join(t.TempDir(), "config"))
	flags := genericclioptions.NewConfigFlags(true)
	*flags.APIServer = defaultServer
	if c, err := (&Tool{flags: flags}).Clients(); err != nil || c.Config.Host != defaultServer {
		t.Errorf("who names that cluster does not get it: %v", err)
	}
}
