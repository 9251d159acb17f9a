//go:build integration

package controller_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// writesOfThreeSteps is what a controller writes for three steps: finalizer on, dry run, three times Job and status,
// last status, finalizer off.
const writesOfThreeSteps = 10

// Wherever between two requests the controller is killed: started again, it loses nothing and repeats nothing.
func TestIntegrationAKilledControllerLosesAndRepeatsNothing(t *testing.T) {
	binary := buildController(t)
	for _, moment := range []string{"before", "after"} {
		for write := 1; write <= writesOfThreeSteps; write++ {
			t.Run(fmt.Sprintf("%s write %d", moment, write), func(t *testing.T) {
				c := newByHandCluster(t)
				c.jobs.completeAll()
				p := startProxy(c)
				first := p.startProcess(binary)
				p.killAt(first, write, moment == "after")
				c.create(newSequence("etl", "extract", "transform", "load"))
				p.waitForKill()
				p.startProcess(binary)
				sj := c.waitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
					return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
				})
				c.jobs.want("etl-0", "etl-1", "etl-2")
				for i, step := range sj.Status.Steps {
					if job := c.job(fmt.Sprintf("etl-%d", i)); step.JobUID != job.UID || step.State != v1alpha1.StepCompleted {
						t.Errorf("step %+v, Job %s", step, job.UID)
					}
				}
			})
		}
	}
}

// buildController returns the controller's binary, which is built once for all tests.
func buildController(t *testing.T) string {
	t.Helper()
	name, err := controllerBinary()
	must(t, err)
	return name
}

// controllerDir is where the binary is, once a test has asked for it. It is removed after the last test.
var controllerDir string

var controllerBinary = sync.OnceValues(func() (name string, err error) {
	if controllerDir, err = os.MkdirTemp("", "controller-"); err != nil {
		return "", err
	}
	name = filepath.Join(controllerDir, "sequentialjob-controller")
	build := exec.Command("go", "build", "-race", "-o", name, "./cmd/sequentialjob-controller")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return name, nil
})

// proxy stands between a controller process and the API server, counts what the process writes (events excluded), and
// kills it at a chosen moment.
type proxy struct {
	c          *cluster
	kubeconfig string
	forward    http.Handler

	mu     sync.Mutex
	victim *os.Process
	write  int  // the write at which to kill, counted down
	after  bool // once the API server has answered, but before the process learns of it
	killed chan struct{}
}

func startProxy(c *cluster) *proxy {
	c.t.Helper()
	config := restConfig(c.t)
	transport, err := rest.TransportFor(config)
	must(c.t, err)
	target, err := url.Parse(config.Host)
	must(c.t, err)
	p := &proxy{c: c, killed: make(chan struct{}), forward: &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // watches
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		// A process that was killed leaves requests behind; that is what this test is about.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	server := httptest.NewServer(p)
	c.t.Cleanup(server.Close)
	p.kubeconfig = filepath.Join(c.t.TempDir(), "kubeconfig")
	must(c.t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"proxy": {Server: server.URL}},
		Contexts:       map[string]*clientcmdapi.Context{"proxy": {Cluster: "proxy"}},
		CurrentContext: "proxy",
	}, p.kubeconfig))
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if !isWrite(request) || !p.isDue() {
		p.forward.ServeHTTP(w, request)
		return
	}
	if p.after {
		p.forward.ServeHTTP(httptest.NewRecorder(), request)
	}
	// It may have ended by itself already; waitForKill shows what counts.
	_ = p.victim.Kill()
	close(p.killed)
	panic(http.ErrAbortHandler)
}

// isDue counts a write and says whether it is the one to kill at.
func (p *proxy) isDue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write--
	return p.victim != nil && p.write == 0
}

func (p *proxy) killAt(victim *os.Process, write int, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.victim, p.write, p.after = victim, write, after
}

func (p *proxy) waitForKill() {
	p.c.t.Helper()
	select {
	case <-p.killed:
	case <-p.c.t.Context().Done():
		p.c.t.Fatal("the controller was never killed")
	}
}

// startProcess starts the controller and ends it with the test.
func (p *proxy) startProcess(binary string) *os.Process {
	p.c.t.Helper()
	var log strings.Builder
	process := exec.Command(binary, "--v=2", "--namespace="+p.c.ns)
	process.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig)
	process.Stdout, process.Stderr = &log, &log
	must(p.c.t, process.Start())
	p.c.t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if p.c.t.Failed() || strings.Contains(log.String(), "DATA RACE") {
			p.c.t.Errorf("log of the controller:\n%s", log.String())
		}
	})
	return process.Process
}
