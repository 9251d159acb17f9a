package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/component-base/cli"
)

// optionsFor are those of a replica that looks often whether it leads.
func optionsFor(c *fakeCluster) *options {
	o := newOptions()
	o.kubeconfig = c.kubeconfig
	o.election.LeaderElect = true
	o.election.RetryPeriod = metav1.Duration{Duration: 50 * time.Millisecond}
	return o
}

// until waits for a condition.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return done(), nil
	}); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

func TestWhateverFailsEndsTheProcessWithItsError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the subtests, which run in parallel
	const crd, leases = "GET /apis/batch.example.com", " /apis/coordination.k8s.io"
	for name, tc := range map[string]struct {
		prepare func(*fakeCluster, *options)
		want    string
	}{
		"the port is taken": {func(_ *fakeCluster, o *options) {
			o.serving.address, o.serving.port = "127.0.0.1", taken.Addr().(*net.TCPAddr).Port
		}, "--port: listen tcp 127.0.0.1"},
		"there is no certificate": {func(_ *fakeCluster, o *options) {
			o.serving.address, o.serving.port = "127.0.0.1", freePort(t)
			o.serving.certFile, o.serving.keyFile = "/nowhere/tls.crt", "/nowhere/tls.key"
		}, "--tls-cert-file: open /nowhere/tls.crt"},
		"a lock that there is not": {func(_ *fakeCluster, o *options) { o.election.ResourceLock = "endpoints" }, "leader election: endpoints lock is removed"},
		"durations that do not fit": {func(_ *fakeCluster, o *options) { o.election.RetryPeriod = o.election.RenewDeadline },
			"leader election: renewDeadline must be greater"},
		"the lease may not be read": {func(c *fakeCluster, _ *options) { c.refuse("GET"+leases, http.StatusForbidden) },
			"leader election: answered with 403"},
		"the lease may not be created": {func(c *fakeCluster, _ *options) { c.refuse("POST"+leases, http.StatusForbidden) },
			"leader election: answered with 403"},
		"the namespace of the lease is not there": {func(c *fakeCluster, _ *options) { c.refuse("POST"+leases, http.StatusNotFound) },
			"leader election: answered with 404"},
		"the lease may not be renewed": {func(c *fakeCluster, _ *options) { c.refuse("PUT"+leases, http.StatusForbidden) }, errLeaseLost.Error()},
		"caches that do not fill while it leads": {func(c *fakeCluster, o *options) {
			c.refuse(crd, http.StatusNotFound)
			o.cacheTimeout = 300 * time.Millisecond
		}, "the caches are not filled"},
		"caches that do not fill while it stands by": {func(c *fakeCluster, o *options) {
			c.refuse(crd, http.StatusForbidden)
			c.refuse("POST"+leases, http.StatusInternalServerError)
			o.cacheTimeout = 300 * time.Millisecond
		}, "the caches are not filled"},
		"caches that do not fill without an election": {func(c *fakeCluster, o *options) {
			c.refuse("GET /apis/batch/v1/jobs", http.StatusForbidden)
			o.election.LeaderElect, o.cacheTimeout = false, 300*time.Millisecond
		}, "the caches are not filled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newFakeCluster(t)
			o := optionsFor(c)
			o.election.RenewDeadline = metav1.Duration{Duration: 300 * time.Millisecond} // it gives up soon
			tc.prepare(c, o)
			if err := run(t.Context(), o, pflag.NewFlagSet("", pflag.ContinueOnError)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func TestWhoeverIsAskedToEndEndsWithoutAnError(t *testing.T) {
	for name, prepare := range map[string]func(*fakeCluster, *options){
		"it leads":                   func(*fakeCluster, *options) {},
		"its caches are not filled":  func(c *fakeCluster, _ *options) { c.refuse("GET /apis/batch.example.com", http.StatusNotFound) },
		"it works without the lease": func(_ *fakeCluster, o *options) { o.election.LeaderElect = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newFakeCluster(t)
			o := optionsFor(c)
			prepare(c, o)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, o, pflag.NewFlagSet("", pflag.ContinueOnError)) }()
			if o.election.LeaderElect {
				until(t, "a leader", c.led)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if leader := c.leader(); leader != "" {
				t.Errorf("%s still holds the lease", leader)
			}
		})
	}
}

func TestWorkThatFailsGivesTheLeaseBack(t *testing.T) {
	c := newFakeCluster(t)
	o := optionsFor(c)
	config, namespace, err := o.restConfig()
	if err != nil {
		t.Fatal(err)
	}
	o.election.ResourceNamespace = namespace
	failure := errors.New("it broke")
	err = lead(t.Context(), o.election, config, leaderelection.NewLeaderHealthzAdaptor(time.Second), func(context.Context) error { return failure })
	if !errors.Is(err, failure) {
		t.Errorf("error %v, want %v", err, failure)
	}
	if leader := c.leader(); leader != "" {
		t.Errorf("%s still holds the lease", leader)
	}
}

// The process as it is started: it says on stderr what is wrong, and its exit code is not 0.
func TestTheProcessEndsWithItsErrorAndACode(t *testing.T) {
	if args := os.Getenv(startController); args != "" {
		cmd := NewCommand()
		cmd.SetArgs(strings.Fields(args))
		os.Exit(cli.Run(cmd))
	}
	c := newFakeCluster(t)
	c.refuse("GET /apis/coordination.k8s.io", http.StatusForbidden)
	const quick = " --leader-elect --leader-elect-lease-duration=2s --leader-elect-renew-deadline=1s --leader-elect-retry-period=100ms"
	for args, want := range map[string]string{
		"--leader-elect --leader-elect-resource-lock=endpoints": "--leader-elect-resource-lock is",
		"--no-such-flag":                   "unknown flag: --no-such-flag",
		"--kubeconfig=/nowhere/kubeconfig": "/nowhere/kubeconfig",
		"--kubeconfig=" + c.kubeconfig + " --port=9 --bind-address=127.0.0.1 --tls-cert-file=/nowhere/a --tls-private-key-file=/nowhere/b": "/nowhere/a",
		"--kubeconfig=" + c.kubeconfig + quick: "leader election: answered with 403",
	} {
		t.Run(args, func(t *testing.T) {
			stderr, err := runProcess(t, args)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(stderr, want) {
				t.Errorf("%v, stderr: %s\nwant exit code 1 and %q", err, stderr, want)
			}
		})
	}
}

// The log of a process begins with what it is. Feature gates are told only if somebody set them.
func TestTheLogBeginsWithWhatWasStarted(t *testing.T) {
	c := newFakeCluster(t)
	c.refuse("GET /apis/coordination.k8s.io", http.StatusForbidden)
	const args = " --v=2 --leader-elect --leader-elect-lease-duration=2s --leader-elect-renew-deadline=1s --leader-elect-retry-period=100ms"
	for name, tc := range map[string]struct {
		environment string
		want        []string
	}{
		"plain": {"UNRELATED=1", []string{
			`"Starting sequentialjob-controller" version="`, ` goVersion="go`, ` platform="`,
			`flags=["--kubeconfig=` + c.kubeconfig + `","--leader-elect=true"`,
		}},
		"with a feature gate": {"KUBE_FEATURE_WatchListClient=false", []string{`featureGates=["WatchListClient=false"]`}},
	} {
		t.Run(name, func(t *testing.T) {
			stderr, _ := runProcess(t, "--kubeconfig="+c.kubeconfig+args, tc.environment)
			first, rest, _ := strings.Cut(stderr, "\n")
			if strings.Contains(first, "Data race detection enabled") { // of a program that is built with -race
				first, rest, _ = strings.Cut(rest, "\n")
			}
			for _, want := range tc.want {
				if !strings.Contains(first, want) {
					t.Errorf("the log begins with %s, want %s in it", first, want)
				}
			}
			if strings.Contains(rest, "Feature gate") {
				t.Errorf("feature gates that nobody set are told:\n%s", rest)
			}
		})
	}
}

// startController is set for the process that the tests start: its value is the command line.
const startController = "RUN_CONTROLLER_WITH"

// runProcess runs the command in a process of its own and returns its error and what it writes to stderr.
func runProcess(t *testing.T, args string, environment ...string) (stderr string, failure error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), self, "-test.run=^TestTheProcessEndsWithItsErrorAndACode$")
	process.Env = append(append(os.Environ(), startController+"="+args), environment...)
	var out strings.Builder
	process.Stderr = &out
	failure = process.Run()
	return out.String(), failure
}
