//go:build integration

package controller_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
)

// killer is a proxy between a controller's process and the API server that kills the process at one of its calls.
type killer struct {
	*proxy
	calls   *calls
	after   bool // once the API server has answered, but before the process learns of it
	forward http.Handler

	mu     sync.Mutex
	victim *os.Process
	killed chan struct{}
}

func startKiller(c *cluster, at int, after bool) *killer {
	c.t.Helper()
	p := startProxy(c)
	k := &killer{proxy: p, calls: &calls{at: at}, after: after, forward: p.forward, killed: make(chan struct{})}
	p.forward = k
	return k
}

func (k *killer) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if !isCall(request) || !k.calls.next(request) {
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

// startProcess starts the process that is to be killed.
func (k *killer) startProcess(binary string) {
	k.c.t.Helper()
	k.mu.Lock() // the first call waits until it is known whom to kill
	defer k.mu.Unlock()
	k.victim = k.proxy.startProcess(binary)
}

// restartOnce starts another process as soon as the first one is killed.
func (k *killer) restartOnce(binary string) {
	done := make(chan struct{})
	ctx := k.c.t.Context()
	go func() {
		defer close(done)
		select {
		case <-k.killed:
			k.proxy.startProcess(binary)
		case <-ctx.Done():
		}
	}()
	k.c.t.Cleanup(func() { <-done })
}
