package contest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
	"github.com/example/sequential-job-operator/hack/bench/internal/observe"
	"github.com/example/sequential-job-operator/hack/bench/internal/proc"
	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

// Options are what a run needs in addition to its shape.
type Options struct {
	// Controller is the binary to measure, and ControllerFlags are given to it in addition to those that it needs.
	Controller      string
	ControllerFlags []string
	// AdvanceOn is set in the spec of the sequences, unless it is "".
	AdvanceOn string
	// Out is a folder for logs and kubeconfigs.
	Out string
}

// advanceOnPod is the value of spec.advanceOn with which a step ends with its pod, and not with its Job.
const advanceOnPod = "PodSucceeded"

var errDied = errors.New("the contestant has died: its log tells why")

// Bench makes runs.
type Bench struct {
	Cluster *setup.Cluster
	Options Options
}

// Run has one contestant run a shape, and says how it went. An error means that nothing can be said.
func (b *Bench) Run(ctx context.Context, name string, shape Shape, round int) (Run, error) {
	run := Run{Contestant: name, Shape: shape.String(), Round: round, Sequences: shape.Sequences, Steps: shape.Steps}
	var c contestant = &idealProcess{cluster: b.Cluster, out: b.Options.Out}
	if name == ControllerName {
		c = &controller{cluster: b.Cluster, options: &b.Options}
	}
	const namespace = "bench"
	if err := b.Cluster.MakeNamespace(ctx, namespace); err != nil {
		return run, err
	}
	defer c.stop()
	m := &measurement{bench: b, contestant: c, shape: shape, namespace: namespace}
	if err := m.make(ctx); err != nil {
		return run, fmt.Errorf("%s, %s, round %d: %w", name, shape, round, err)
	}
	m.report(&run)
	c.stop()
	return run, b.Cluster.RemoveNamespace(ctx, namespace)
}

// measurement is a run under way.
type measurement struct {
	bench      *Bench
	contestant contestant
	shape      Shape
	namespace  string

	begun         map[string]time.Time
	steps         map[string]*observe.Step
	events        []audit.Event
	before, after setup.Usage
	memory        proc.Memory
	restarts      int
}

func (m *measurement) make(ctx context.Context) error {
	if err := m.contestant.start(ctx, m.namespace, m.shape); err != nil {
		return err
	}
	observer, err := observe.Start(ctx, m.bench.Cluster.Kube, m.namespace)
	if err != nil {
		return err
	}
	defer observer.Stop()
	if err := m.bench.Cluster.WaitForRest(ctx); err != nil {
		return err
	}
	log, err := audit.Open(m.bench.Cluster.AuditLog)
	if err != nil {
		return err
	}
	defer log.Close()
	if m.before, err = m.usage(); err != nil {
		return err
	}
	if err := m.runAll(ctx, observer); err != nil {
		return err
	}
	if m.events, err = ReadUntilQuiet(ctx, log, m.contestant.account().User()); err != nil {
		return err
	}
	if m.after, err = m.usage(); err != nil {
		return err
	}
	m.steps, m.restarts = observer.Steps(), observer.Restarts()
	m.memory, err = proc.MemoryOf(m.contestant.pid())
	return err
}

func (m *measurement) runAll(ctx context.Context, observer *observe.Observer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-m.contestant.died():
			cancel(errDied)
		case <-ctx.Done():
		}
	}()
	if err := m.contestant.begin(ctx); err != nil {
		return err
	}
	if err := observer.WaitForComplete(ctx, m.shape.Total(), patience+m.shape.StepTime); err != nil {
		return err
	}
	var err error
	m.begun, err = m.contestant.finish(ctx)
	return err
}

func (m *measurement) usage() (setup.Usage, error) {
	return m.bench.Cluster.Usage(map[string]int{contestantProcess: m.contestant.pid(), benchProcess: ownPID})
}
