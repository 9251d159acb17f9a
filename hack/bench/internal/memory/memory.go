// Package memory measures what finished sequences cost the controller: memory, and the time to fill its caches.
package memory

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/proc"
	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

const (
	namespace = "bench-memory"
	patience  = 5 * time.Minute
)

// Point is what was measured with so many finished sequences.
type Point struct {
	Sequences int `json:"sequences"`
	Steps     int `json:"steps"`
	// SyncedSeconds is from the start of the process until its caches were filled, and RestSeconds until it had looked at all of
	// them and used no CPU any more.
	SyncedSeconds float64 `json:"syncedSeconds"`
	RestSeconds   float64 `json:"restSeconds"`
	// Memory is what it holds at rest; its Peak that of its whole life.
	Memory proc.Memory `json:"memory"`
	// HeapInUseKiB and HeapAllocKiB are what Go's runtime tells of the heap at rest.
	HeapInUseKiB float64 `json:"heapInUseKiB"`
	HeapAllocKiB float64 `json:"heapAllocKiB"`
	// What it does at rest: it has to write nothing.
	IdleSeconds  float64     `json:"idleSeconds"`
	IdleAsked    audit.Count `json:"idleAsked"`
	IdleCPUShare float64     `json:"idleCPUShareOfOneCore"`
	// Seen is how many completed sequences the controller says there are.
	Seen int `json:"seen"`
}

// Violations says what is wrong with it.
func (p *Point) Violations() []string {
	var out []string
	if p.Seen != p.Sequences {
		out = append(out, fmt.Sprintf("%d sequences: the controller has seen %d", p.Sequences, p.Seen))
	}
	if writes := p.IdleAsked.Writes + p.IdleAsked.Events + p.IdleAsked.DryRuns; writes > 0 {
		out = append(out, fmt.Sprintf("%d sequences, all finished: the controller wrote %d times", p.Sequences, writes))
	}
	return out
}

// Options say what to measure.
type Options struct {
	Sizes []int
	Steps int
	Idle  time.Duration
	// Report is told each point, and how far it is.
	Report func(string)
}

// Measure measures each size, from the smallest on: what is there already is added to.
func Measure(ctx context.Context, bench *contest.Bench, o Options) ([]Point, error) {
	if err := bench.Cluster.MakeNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	points, err := measureAll(ctx, bench, o)
	if err != nil {
		return points, err
	}
	return points, bench.Cluster.RemoveNamespace(ctx, namespace)
}

func measureAll(ctx context.Context, bench *contest.Bench, o Options) (points []Point, err error) {
	pattern, err := makePattern(ctx, bench, o.Steps)
	if err != nil {
		return nil, err
	}
	// They have nothing to do with finished Jobs, but each would fill a cache with all of them.
	resume, err := bench.Cluster.Pause("kube-controller-manager", "kube-scheduler", "kwok-controller")
	defer func() { err = errors.Join(err, resume()) }()
	if err != nil {
		return nil, err
	}
	store, err := bench.Cluster.Store()
	if err != nil {
		return nil, err
	}
	defer store.Close()
	there := 1
	for _, size := range o.Sizes {
		begin := time.Now()
		if err := pattern.writeCopies(ctx, store, there, size); err != nil {
			return points, err
		}
		there = max(size, there)
		if err := waitForAPIServer(ctx, bench.Cluster, size-1); err != nil {
			return points, err
		}
		o.Report(fmt.Sprintf("memory: %d sequences of %d steps written in %.0f s", size, o.Steps, time.Since(begin).Seconds()))
		point, err := measure(ctx, bench, size, o)
		if err != nil {
			return points, err
		}
		o.Report(fmt.Sprintf("memory: %d sequences: synced after %.1f s, %d MiB", size, point.SyncedSeconds, point.Memory.RSS/1024))
		points = append(points, point)
	}
	// Before the others go on, so that they have nothing to catch up with.
	return points, bench.Cluster.Wipe(ctx, namespace)
}

// makePattern has the controller run one sequence, which is copied then: nothing in the copies is made up.
func makePattern(ctx context.Context, bench *contest.Bench, steps int) (*pattern, error) {
	process, err := contest.StartController(ctx, bench.Cluster, bench.Options.Controller, bench.Options.Out, bench.Options.ControllerFlags)
	if err != nil {
		return nil, err
	}
	defer process.Stop()
	shape := contest.Shape{Sequences: 1, Steps: steps}
	if _, err := contest.CreateSequences(ctx, bench.Cluster, namespace, shape, bench.Options.AdvanceOn); err != nil {
		return nil, err
	}
	if err := contest.WaitForCompleted(ctx, bench.Cluster, namespace); err != nil {
		return nil, err
	}
	process.Stop() // and with it ends what it may have been about to write
	store, err := bench.Cluster.Store()
	if err != nil {
		return nil, err
	}
	defer store.Close()
	uids, err := uidsOf(ctx, bench.Cluster, nameOf(0))
	if err != nil {
		return nil, err
	}
	return readPattern(ctx, store, nameOf(0), uids)
}

func uidsOf(ctx context.Context, cluster *setup.Cluster, name string) ([]string, error) {
	sj, err := cluster.Client.BatchV1alpha1().SequentialJobs(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	uids := []string{string(sj.UID)}
	for i := range sj.Status.Steps {
		uids = append(uids, string(sj.Status.Steps[i].JobUID))
	}
	return uids, nil
}
