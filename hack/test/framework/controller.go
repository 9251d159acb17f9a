package framework

import (
	"context"
	"errors"
	"net/http"

	"github.com/example/sequential-job-operator/pkg/controller"
)

// StartController runs a controller for this namespace in this process, as the command does, until the test ends or stop
// is called. It is independent of the controllers of other tests.
func (c *Cluster) StartController() (stop func()) {
	c.T.Helper()
	return c.StartControllerVia(&RequestCounter{})
}

// StartControllerVia is StartController with a record of what the controller asks of the API server.
func (c *Cluster) StartControllerVia(counter *RequestCounter) (stop func()) {
	c.T.Helper()
	return c.StartControllerThrough(counter.Wrap)
}

// StartControllerThrough runs a controller for this namespace whose every request passes through wrap.
func (c *Cluster) StartControllerThrough(wrap func(http.RoundTripper) http.RoundTripper) (stop func()) {
	c.T.Helper()
	config := RestConfig(c.T)
	config.Wrap(wrap)
	clients, err := controller.NewClients(config)
	Must(c.T, err)
	ctx, cancel := context.WithCancel(context.Background())
	informers, err := controller.NewInformers(clients.Kube, clients.SequentialJobs, c.Namespace)
	Must(c.T, err)
	ctl := controller.New(clients, informers)
	informers.Start(ctx)
	done := make(chan error, 1)
	go func() { done <- ctl.Run(ctx, 2) }()
	stop = func() {
		if ctx.Err() != nil {
			return
		}
		cancel()
		// One that was stopped before its caches were full says so.
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			c.T.Errorf("Run: %v", err)
		}
		informers.Shutdown()
	}
	c.T.Cleanup(stop)
	return stop
}
