//go:build integration

package faults_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// gate stands between a controller and the API server. It can hold back what the watch of one resource tells, or pass it
// on late, and freeze the controller as a whole in the middle of a call.
type gate struct {
	mu     sync.Mutex
	closed map[string]chan struct{} // by resource, or everything; the channel is closed when the gate opens
	lag    map[string]time.Duration
	// freezeAt chooses the call before which everything freezes; frozen is closed when that happens.
	freezeAt func(*http.Request) bool
	frozen   chan struct{}
}

const (
	everything     = ""
	watchOfJobs    = "jobs"
	watchOfParents = "sequentialjobs"
)

func newGate() *gate {
	return &gate{closed: map[string]chan struct{}{}, lag: map[string]time.Duration{}, frozen: make(chan struct{})}
}

// hold keeps back what comes from now on.
func (g *gate) hold(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holdLocked(what)
}

func (g *gate) holdLocked(what string) {
	if g.closed[what] == nil {
		g.closed[what] = make(chan struct{})
	}
}

// release lets through what was held, in its order.
func (g *gate) release(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if opened := g.closed[what]; opened != nil {
		close(opened)
		delete(g.closed, what)
	}
}

func (g *gate) isHeld(what string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed[what] != nil
}

// delay makes every piece of a watch late. 0 ends that.
func (g *gate) delay(what string, lag time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lag[what] = lag
}

// openAll ends everything that holds or delays.
func (g *gate) openAll() {
	for _, what := range []string{everything, watchOfJobs, watchOfParents} {
		g.delay(what, 0)
		g.release(what)
	}
}

// freezeBefore freezes the whole controller before the first call that is chosen.
func (g *gate) freezeBefore(chosen func(*http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.freezeAt = chosen
}

// pass blocks until none of these is held.
func (g *gate) pass(ctx context.Context, what ...string) error {
	for {
		opened := g.firstHeld(what)
		if opened == nil {
			return nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (g *gate) firstHeld(what []string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range what {
		if opened := g.closed[w]; opened != nil {
			return opened
		}
	}
	return nil
}

func (g *gate) wrap(next http.RoundTripper) http.RoundTripper {
	return framework.RoundTripperFunc(func(request *http.Request) (*http.Response, error) {
		g.mu.Lock()
		if g.freezeAt != nil && g.freezeAt(request) {
			g.freezeAt = nil
			g.holdLocked(everything)
			close(g.frozen)
		}
		g.mu.Unlock()
		if err := g.pass(request.Context(), everything); err != nil {
			return nil, err
		}
		response, err := next.RoundTrip(request)
		if err != nil || request.URL.Query().Get("watch") == "" {
			return response, err
		}
		// The body is read by another goroutine, also after the context of the request has ended.
		ctx, stop := context.WithCancel(request.Context())
		path := strings.TrimSuffix(request.URL.Path, "/")
		response.Body = &gatedBody{g: g, what: path[strings.LastIndex(path, "/")+1:], body: response.Body, ctx: ctx, stop: stop}
		return response, nil
	})
}

// gatedBody is the stream of a watch.
type gatedBody struct {
	g    *gate
	what string
	body io.ReadCloser
	ctx  context.Context
	stop context.CancelFunc
}

func (b *gatedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.g.mu.Lock()
	lag := b.g.lag[b.what]
	b.g.mu.Unlock()
	if lag > 0 {
		select {
		case <-time.After(lag):
		case <-b.ctx.Done():
		}
	}
	if held := b.g.pass(b.ctx, b.what, everything); held != nil {
		return 0, held
	}
	return n, err
}

func (b *gatedBody) Close() error {
	b.stop()
	return b.body.Close()
}

// creation chooses the request that creates a Job, not a dry run of one, for the nth time. A gate asks it about one request
// at a time.
func creation(nth int) func(*http.Request) bool {
	return func(request *http.Request) bool {
		if request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/jobs") && !request.URL.Query().Has("dryRun") {
			nth--
			return nth == 0
		}
		return false
	}
}

// statusWrite chooses a request that stores a status.
func statusWrite(request *http.Request) bool {
	return request.Method == http.MethodPut && strings.HasSuffix(request.URL.Path, "/status")
}
