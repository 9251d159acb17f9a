package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/example/sequential-job-operator/pkg/buildinfo"
)

// execute runs the command as main does and returns what it prints and its error.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := NewCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// withoutCluster makes sure that a command which gets as far as looking for an API server finds none.
func withoutCluster(t *testing.T) {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
}

func TestABadFlagIsRefusedByName(t *testing.T) {
	withoutCluster(t)
	for _, tc := range []struct{ args, name string }{
		{"--workers=0", "--workers"},
		{"--workers=-3", "--workers"},
		{"--workers=many", "--workers"},
		{"--kube-api-burst=0", "--kube-api-burst"},
		{"--kube-api-qps=fast", "--kube-api-qps"},
		{"--kube-api-qps=NaN", "--kube-api-qps"},
		{"--kube-api-qps=Inf", "--kube-api-qps"},
		{"--kube-api-qps=-Inf", "--kube-api-qps"},
		{"--kube-api-qps=0", "--kube-api-qps"},
		{"--kube-api-burst=-1", "--kube-api-burst"},
		{"--kube-api-qps=-1 --kube-api-burst=-1", "--kube-api-burst"},
		{"--no-such-flag", "--no-such-flag"},
		{"--logging-format=xml", "xml"},
		{"--namespace=Team_A", "--namespace"},
		{"--namespace=team-a,", "--namespace"},
		{"--namespace=", "--namespace"},
		{"--port=-1", "--port"},
		{"--port=70000", "--port"},
		{"--bind-address=localhost", "--bind-address"},
		{"--tls-cert-file=tls.crt", "--tls-private-key-file"},
		{"--tls-cert-file=a --tls-private-key-file=b --tls=false", "--tls"},
		{"--leader-elect --leader-elect-lease-duration=5s", "leaseDuration"},
		{"--leader-elect --leader-elect-retry-period=0s", "retryPeriod"},
		{"--leader-elect --leader-elect-resource-name=", "resourceName"},
		{"--leader-elect --leader-elect-lease-duration=-1s", "leaseDuration"},
		{"--leader-elect --leader-elect-renew-deadline=20s", "leaseDuration"},
		{"--leader-elect --leader-elect-renew-deadline=1s", "--leader-elect-renew-deadline"},
		{"--leader-elect --leader-elect-lease-duration=900ms --leader-elect-renew-deadline=500ms --leader-elect-retry-period=100ms",
			"--leader-elect-lease-duration"},
		{"--leader-elect --leader-elect-resource-lock=endpoints", `--leader-elect-resource-lock is "endpoints": it has to be "leases"`},
		{"--leader-elect --leader-elect-resource-lock=endpointsleases", "--leader-elect-resource-lock"},
		{"--leader-elect --leader-elect-resource-lock=", "resourceLock"},
		{"--leader-elect --leader-elect-resource-name=Two_Words", "--leader-elect-resource-name"},
		{"--leader-elect --leader-elect-resource-namespace=Team_A", "--leader-elect-resource-namespace"},
		{"an-argument", "an-argument"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			if _, err := execute(t, strings.Fields(tc.args)...); err == nil || !strings.Contains(err.Error(), tc.name) {
				t.Errorf("error %v, want one that names %s", err, tc.name)
			}
		})
	}
}

func TestWithoutLimitTheBurstDoesNotMatter(t *testing.T) {
	o := newOptions()
	o.qps, o.burst = -1, 0
	if err := o.validate(NewCommand().Flags()); err != nil {
		t.Error(err)
	}
}

func TestTheDefaultsAreValid(t *testing.T) {
	if err := newOptions().validate(NewCommand().Flags()); err != nil {
		t.Error(err)
	}
}

func TestHelpMentionsEveryFlag(t *testing.T) {
	help, err := execute(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	NewCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && !strings.Contains(help, "--"+f.Name) {
			t.Errorf("--help does not mention --%s", f.Name)
		}
		if f.Usage == "" {
			t.Errorf("--%s is not explained", f.Name)
		}
	})
	for _, section := range []string{"Cluster flags:", "Controller flags:", "Leader election flags:", "Serving flags:", "Logging flags:"} {
		if !strings.Contains(help, section) {
			t.Errorf("--help has no section %q", section)
		}
	}
}

func TestKubeconfigFlagsReachTheClient(t *testing.T) {
	withoutCluster(t)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(`{"clusters":[{"name":"c","cluster":{"server":"http://example.com"}}],
		"contexts":[{"name":"c","context":{"cluster":"c"}}],"current-context":"c"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOptions()
	o.kubeconfig, o.qps, o.burst = file, 7, 8
	config, _, err := o.restConfig()
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "http://example.com" || config.QPS != 7 || config.Burst != 8 ||
		!strings.Contains(config.UserAgent, "sequentialjob-controller") {
		t.Errorf("config %+v", config)
	}
}

func TestVersionSaysWhatThisIs(t *testing.T) {
	out, err := execute(t, "--version")
	if want := "sequentialjob-controller " + buildinfo.Get().String() + "\n"; err != nil || out != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}

func TestAKubeconfigThatIsMissingOrEmptyIsNamedWithWhatToDo(t *testing.T) {
	withoutCluster(t)
	missing, empty := filepath.Join(t.TempDir(), "missing"), filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ environment, flag, want string }{
		"nothing is set":          {"", "", "set KUBECONFIG to a file that names a cluster, or use --kubeconfig"},
		"KUBECONFIG is missing":   {missing, "", `KUBECONFIG is "` + missing + `", which does not exist: correct it, or use --kubeconfig`},
		"KUBECONFIG is empty":     {empty, "", `KUBECONFIG is "` + empty + `", where no cluster is named: correct it, or use --kubeconfig`},
		"--kubeconfig is missing": {empty, missing, `--kubeconfig is "` + missing + `", which does not exist: correct the path`},
		"--kubeconfig is empty":   {missing, empty, `--kubeconfig is "` + empty + `", where no cluster is named: correct the path`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", tc.environment)
			o := newOptions()
			o.kubeconfig = tc.flag
			want := "find the API server: no cluster is configured: " + tc.want
			if _, _, err := o.restConfig(); err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}
