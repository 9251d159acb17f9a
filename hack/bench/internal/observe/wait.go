package observe

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// WaitForComplete waits until so many Jobs are Complete. It gives up once nothing has happened for as long as patience.
func (o *Observer) WaitForComplete(ctx context.Context, jobs int, patience time.Duration) error {
	return o.waitFor(ctx, patience, fmt.Sprintf("%d Jobs to be Complete", jobs), func() (int, bool) { return o.complete, o.complete >= jobs })
}

// WaitForCreated waits until there are so many Jobs.
func (o *Observer) WaitForCreated(ctx context.Context, jobs int, patience time.Duration) error {
	return o.waitFor(ctx, patience, fmt.Sprintf("%d Jobs to be created", jobs), func() (int, bool) { return o.created, o.created >= jobs })
}

func (o *Observer) waitFor(ctx context.Context, patience time.Duration, what string, done func() (int, bool)) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		o.mu.Lock()
		n, ok := done()
		err := o.err
		o.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-o.changed:
			timer.Reset(patience)
		case <-timer.C:
			return fmt.Errorf("waiting for %s: it stays at %d for %s", what, n, patience)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Steps returns what was seen so far, by the name of the Job.
func (o *Observer) Steps() map[string]*Step {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := maps.Clone(o.steps)
	for name, step := range out {
		copied := *step
		out[name] = &copied
	}
	return out
}

// Restarts is how often the API server ended a watch because it did not keep pace. What happened just then was seen late.
func (o *Observer) Restarts() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.restarts
}
