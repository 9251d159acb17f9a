package memory

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/proc"
	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

// waitForAPIServer waits until the API server's caches have the last copy, and the others have come to rest.
func waitForAPIServer(ctx context.Context, cluster *setup.Cluster, last int) error {
	err := wait.PollUntilContextTimeout(ctx, time.Second/5, patience, true, func(ctx context.Context) (bool, error) {
		// A list as of any time comes from the cache; a single object would come from etcd.
		options := metav1.ListOptions{ResourceVersion: "0", FieldSelector: "metadata.name=" + nameOf(last)}
		list, err := cluster.Client.BatchV1alpha1().SequentialJobs(namespace).List(ctx, options)
		return err == nil && len(list.Items) == 1, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the API server to have %s: %w", nameOf(last), err)
	}
	return cluster.WaitForRest(ctx)
}

func measure(ctx context.Context, bench *contest.Bench, size int, o Options) (Point, error) {
	point := Point{Sequences: size, Steps: o.Steps}
	begin := time.Now()
	process, err := contest.StartController(ctx, bench.Cluster, bench.Options.Controller, bench.Options.Out, bench.Options.ControllerFlags)
	if err != nil {
		return point, err
	}
	defer process.Stop()
	if err := process.WaitUntilReady(ctx, patience); err != nil {
		return point, err
	}
	point.SyncedSeconds = time.Since(begin).Seconds()
	if err := waitForRest(ctx, process.PID()); err != nil {
		return point, err
	}
	point.RestSeconds = time.Since(begin).Seconds()
	if err := point.idle(ctx, bench.Cluster, process.PID(), o.Idle); err != nil {
		return point, err
	}
	if point.Memory, err = proc.MemoryOf(process.PID()); err != nil {
		return point, err
	}
	return point, point.readMetrics(ctx, process)
}

// waitForRest waits until a process has used next to no CPU for two seconds.
func waitForRest(ctx context.Context, pid int) error {
	const window, quiet, few = time.Second / 2, 4, 10 * time.Millisecond
	silent, last := 0, time.Duration(0)
	return wait.PollUntilContextTimeout(ctx, window, patience, true, func(context.Context) (bool, error) {
		used, err := proc.CPU(pid)
		silent++
		if used-last > few {
			silent = 0
		}
		last = used
		return silent >= quiet, err
	})
}

// idle watches the controller do nothing.
func (p *Point) idle(ctx context.Context, cluster *setup.Cluster, pid int, duration time.Duration) error {
	log, err := audit.Open(cluster.AuditLog)
	if err != nil {
		return err
	}
	defer log.Close()
	before, err := proc.CPU(pid)
	if err != nil {
		return err
	}
	select {
	case <-time.After(duration):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := proc.CPU(pid)
	if err != nil {
		return err
	}
	events, err := log.ReadOn()
	p.IdleSeconds, p.IdleCPUShare = duration.Seconds(), (after-before).Seconds()/duration.Seconds()
	p.IdleAsked = audit.CountRequests(events, setup.Controller.User())
	return err
}

func (p *Point) readMetrics(ctx context.Context, process *contest.Process) error {
	const bytesPerKibibyte = 1024
	text, err := process.Get(ctx, "/metrics")
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return err
	}
	p.HeapInUseKiB = gauge(families["go_memstats_heap_inuse_bytes"], "") / bytesPerKibibyte
	p.HeapAllocKiB = gauge(families["go_memstats_heap_alloc_bytes"], "") / bytesPerKibibyte
	p.Seen = int(gauge(families["sequentialjob_sequences"], string(v1alpha1.SequentialJobCompleted)))
	return nil
}

// gauge returns the value of a gauge that has no label, or one of that value; 0 if there is none.
func gauge(family *dto.MetricFamily, label string) float64 {
	for _, metric := range family.GetMetric() {
		if labels := metric.GetLabel(); (label == "" && len(labels) == 0) || (len(labels) == 1 && labels[0].GetValue() == label) {
			return metric.GetGauge().GetValue()
		}
	}
	return 0
}
