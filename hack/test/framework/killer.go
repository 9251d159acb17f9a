package framework

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Killer stands between a controller's process and the API server, and kills the process at one of its requests.
type Killer struct {
	c          *Cluster
	kubeconfig string
	forward    http.Handler
	isDue      func(*http.Request) bool
	after      bool

	mu     sync.Mutex
	victim *os.Process
	killed chan struct{}
}

// StartKiller returns one that kills at the first request for which isDue returns true: before the API server learns of it or,
// with after, once it has answered and the process has not learned of that. isDue is called once a request, for several at a time.
func StartKiller(c *Cluster, isDue func(*http.Request) bool, after bool) *Killer {
	c.T.Helper()
	config := RestConfig(c.T)
	transport, err := rest.TransportFor(config)
	Must(c.T, err)
	target, err := url.Parse(config.Host)
	Must(c.T, err)
	k := &Killer{c: c, isDue: isDue, after: after, killed: make(chan struct{}), forward: &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // watches
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		// A process that was killed leaves requests behind; that is what this test is about.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	server := httptest.NewServer(k)
	c.T.Cleanup(server.Close)
	k.kubeconfig = filepath.Join(c.T.TempDir(), "kubeconfig")
	Must(c.T, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"proxy": {Server: server.URL}},
		Contexts:       map[string]*clientcmdapi.Context{"proxy": {Cluster: "proxy"}},
		CurrentContext: "proxy",
	}, k.kubeconfig))
	return k
}

// NthWrite is an isDue of StartKiller: it chooses the nth request that changes something, from 1.
func NthWrite(nth int) func(*http.Request) bool {
	var writes atomic.Int64
	return func(request *http.Request) bool { return IsWrite(request) && writes.Add(1) == int64(nth) }
}

func (k *Killer) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if !k.isDue(request) {
		k.forward.ServeHTTP(w, request)
		return
	}
	if k.after {
		k.forward.ServeHTTP(httptest.NewRecorder(), request)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// It may have ended by itself, which the run will show: nobody would go on.
	_ = k.victim.Kill()
	close(k.killed)
	panic(http.ErrAbortHandler)
}

// StartVictim starts the process that is to be killed, and another one as soon as it is. Both end with the test.
func (k *Killer) StartVictim(binary string) {
	k.c.T.Helper()
	k.mu.Lock() // the first request waits until it is known whom to kill
	k.victim = k.startProcess(binary)
	k.mu.Unlock()
	done := make(chan struct{})
	ctx := k.c.T.Context()
	go func() {
		defer close(done)
		select {
		case <-k.killed:
			k.startProcess(binary)
		case <-ctx.Done():
		}
	}()
	k.c.T.Cleanup(func() { <-done })
}

// WaitForKill waits until the process has been killed.
func (k *Killer) WaitForKill() {
	k.c.T.Helper()
	select {
	case <-k.killed:
	case <-k.c.T.Context().Done():
		k.c.T.Fatal("the controller was never killed")
	}
}

// startProcess starts the controller and ends it with the test.
func (k *Killer) startProcess(binary string) *os.Process {
	k.c.T.Helper()
	var log strings.Builder
	process := exec.Command(binary, "--v=2", "--namespace="+k.c.Namespace)
	process.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig)
	process.Stdout, process.Stderr = &log, &log
	Must(k.c.T, process.Start())
	k.c.T.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if k.c.T.Failed() || strings.Contains(log.String(), "DATA RACE") {
			k.c.T.Errorf("log of the controller:\n%s", log.String())
		}
	})
	return process.Process
}
