// Package recovery kills the controller in the middle of its work, and measures how long nothing goes on.
package recovery

import (
	"context"
	"fmt"
	"time"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/judge"
	"github.com/example/sequential-job-operator/hack/bench/internal/observe"
	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

const (
	namespace = "bench-recovery"
	patience  = 2 * time.Minute
)

// Result is one crash.
type Result struct {
	Shape string `json:"shape"`
	Round int    `json:"round"`
	// JobsBefore is how many Jobs there were when the controller was killed.
	JobsBefore int `json:"jobsBefore"`
	// ReadySeconds is from the kill until the next process had filled its caches; NextJobSeconds until it asked for its first Job.
	ReadySeconds   float64  `json:"readySeconds"`
	NextJobSeconds float64  `json:"nextJobSeconds"`
	Violations     []string `json:"violations,omitempty"`
}

// Measure kills the controller once a round, each time after another share of the Jobs was created.
func Measure(ctx context.Context, bench *contest.Bench, shape contest.Shape, rounds int) ([]Result, error) {
	var out []Result
	for round := range rounds {
		if err := bench.Cluster.MakeNamespace(ctx, namespace); err != nil {
			return out, err
		}
		c := &crash{bench: bench, shape: shape, after: shape.Total() * (round + 1) / (rounds + 1)}
		result, err := c.measure(ctx)
		if err != nil {
			return out, err
		}
		result.Shape, result.Round = shape.String(), round+1
		out = append(out, result)
		if err := bench.Cluster.RemoveNamespace(ctx, namespace); err != nil {
			return out, err
		}
	}
	return out, nil
}

// crash is one under way.
type crash struct {
	bench *contest.Bench
	shape contest.Shape
	// after is how many Jobs are to be created before.
	after int

	process  *contest.Process
	killed   time.Time
	ready    time.Time
	observer *observe.Observer
	log      *audit.Log
}

func (c *crash) measure(ctx context.Context) (Result, error) {
	if err := c.begin(ctx); err != nil {
		return Result{}, err
	}
	defer c.log.Close()
	defer c.observer.Stop()
	defer func() { c.process.Stop() }() // whichever it is by then
	if err := c.killAndRestart(ctx); err != nil {
		return Result{}, err
	}
	if err := c.observer.WaitForComplete(ctx, c.shape.Total(), patience); err != nil {
		return Result{}, err
	}
	if err := contest.WaitForCompleted(ctx, c.bench.Cluster, namespace); err != nil {
		return Result{}, err
	}
	events, err := contest.ReadUntilQuiet(ctx, c.log, setup.Controller.User())
	if err != nil {
		return Result{}, err
	}
	return c.result(events), nil
}

func (c *crash) start(ctx context.Context) error {
	o := c.bench.Options
	var err error
	c.process, err = contest.StartController(ctx, c.bench.Cluster, o.Controller, o.Out, o.ControllerFlags)
	return err
}

func (c *crash) begin(ctx context.Context) error {
	if err := c.start(ctx); err != nil {
		return err
	}
	if err := c.process.WaitUntilReady(ctx, patience); err != nil {
		return err
	}
	var err error
	if c.observer, err = observe.Start(ctx, c.bench.Cluster.Kube, namespace); err != nil {
		return err
	}
	c.log, err = audit.Open(c.bench.Cluster.AuditLog)
	return err
}

func (c *crash) killAndRestart(ctx context.Context) error {
	created := make(chan error, 1)
	go func() {
		_, err := contest.CreateSequences(ctx, c.bench.Cluster, namespace, c.shape, c.bench.Options.AdvanceOn)
		created <- err
	}()
	if err := c.observer.WaitForCreated(ctx, c.after, patience); err != nil {
		return err
	}
	c.killed = time.Now()
	c.process.Kill()
	if err := c.start(ctx); err != nil {
		return err
	}
	if err := c.process.WaitUntilReady(ctx, patience); err != nil {
		return err
	}
	c.ready = time.Now()
	return <-created
}

func (c *crash) result(events []audit.Event) Result {
	history := judge.History{
		Stored: audit.JobsCreated(events, namespace), Seen: contest.Seen(c.observer.Steps(), c.bench.Options.AdvanceOn),
		// The API server does not always log an answer that nobody was there to get.
		LogHasGaps: true,
	}
	result := Result{
		JobsBefore: c.after, ReadySeconds: c.ready.Sub(c.killed).Seconds(), Violations: history.Violations(c.shape.Names()),
	}
	// A Job that the watch shows after the kill may have been created by the process before. What was asked for after it was not.
	first := time.Time{}
	for i := range events {
		asked := events[i].RequestReceivedTimestamp.Time
		if events[i].CreatesJob() && events[i].ObjectRef.Namespace == namespace && asked.After(c.killed) && (first.IsZero() || asked.Before(first)) {
			first = asked
		}
	}
	if first.IsZero() {
		result.Violations = append(result.Violations, "no Job was created after the kill")
		return result
	}
	result.NextJobSeconds = first.Sub(c.killed.Round(0)).Seconds()
	return result
}

// Problems are the violations of a crash, in words that tell which.
func (r *Result) Problems() []string {
	var out []string
	for _, violation := range r.Violations {
		out = append(out, fmt.Sprintf("recovery, %s, round %d: %s", r.Shape, r.Round, violation))
	}
	return out
}
