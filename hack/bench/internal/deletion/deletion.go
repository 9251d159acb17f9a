// Package deletion measures what it costs the controller that running sequences are deleted.
package deletion

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

const (
	namespace = "bench-deletion"
	patience  = 5 * time.Minute
	// runsFor is how long the steps run: longer than any of this takes.
	runsFor = 6 * time.Hour
	// mostGrowth is how much more may be asked for each sequence if there are more of them, or if they have more steps.
	mostGrowth = 1.2
)

// Result is what the deletion of so many running sequences cost.
type Result struct {
	Sequences int `json:"sequences"`
	Steps     int `json:"steps"`
	// Seconds is from the first deletion until the last sequence was gone.
	Seconds float64 `json:"seconds"`
	// Asked is all that the controller asked, and PerSequence the same for each sequence.
	Asked       audit.Count        `json:"asked"`
	PerSequence map[string]float64 `json:"requestsPerSequence"`
}

// Measure deletes running sequences: a quarter of them, all, and a quarter with a single step. What is asked has to be linear in
// what runs.
func Measure(ctx context.Context, bench *contest.Bench, sequences, steps int, tell func(string)) ([]Result, error) {
	var out []Result
	few := max(sequences/4, 1)
	for _, shape := range []contest.Shape{{Sequences: few, Steps: 1}, {Sequences: few, Steps: steps}, {Sequences: sequences, Steps: steps}} {
		shape.StepTime = runsFor
		if err := bench.Cluster.MakeNamespace(ctx, namespace); err != nil {
			return out, err
		}
		result, err := measure(ctx, bench, shape)
		if err != nil {
			return out, err
		}
		tell(fmt.Sprintf("deletion: %d running sequences of %d steps are gone after %.1f s", shape.Sequences, shape.Steps, result.Seconds))
		out = append(out, result)
		if err := bench.Cluster.RemoveNamespace(ctx, namespace); err != nil {
			return out, err
		}
	}
	return out, nil
}

func measure(ctx context.Context, bench *contest.Bench, shape contest.Shape) (Result, error) {
	result := Result{Sequences: shape.Sequences, Steps: shape.Steps}
	o := bench.Options
	process, err := contest.StartController(ctx, bench.Cluster, o.Controller, o.Out, o.ControllerFlags)
	if err != nil {
		return result, err
	}
	defer process.Stop()
	if err := process.WaitUntilReady(ctx, patience); err != nil {
		return result, err
	}
	if _, err := contest.CreateSequences(ctx, bench.Cluster, namespace, shape, o.AdvanceOn); err != nil {
		return result, err
	}
	log, err := audit.Open(bench.Cluster.AuditLog)
	if err != nil {
		return result, err
	}
	defer log.Close()
	if err := waitUntilTheyRun(ctx, bench.Cluster, shape.Sequences); err != nil {
		return result, err
	}
	if _, err := contest.ReadUntilQuiet(ctx, log, setup.Controller.User()); err != nil {
		return result, err
	}
	begin := time.Now()
	if err := deleteAll(ctx, bench.Cluster); err != nil {
		return result, err
	}
	result.Seconds = time.Since(begin).Seconds()
	events, err := contest.ReadUntilQuiet(ctx, log, setup.Controller.User())
	if err != nil {
		return result, err
	}
	result.Asked = audit.CountRequests(events, setup.Controller.User())
	result.PerSequence = map[string]float64{}
	for name, n := range result.Asked.Requests {
		result.PerSequence[name] = float64(n) / float64(shape.Sequences)
	}
	return result, nil
}

// waitUntilTheyRun waits until the pods of all sequences run, and the controller has recorded that their Jobs do.
func waitUntilTheyRun(ctx context.Context, cluster *setup.Cluster, sequences int) error {
	var running, recorded int
	err := wait.PollUntilContextTimeout(ctx, time.Second, patience, true, func(ctx context.Context) (bool, error) {
		pods, err := cluster.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running", ResourceVersion: "0"})
		if err != nil {
			return false, err
		}
		sjs, err := cluster.Client.BatchV1alpha1().SequentialJobs(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return false, err
		}
		running, recorded = len(pods.Items), 0
		for i := range sjs.Items {
			if sjs.Items[i].Status.Phase == v1alpha1.SequentialJobRunning {
				recorded++
			}
		}
		return running == sequences && recorded == sequences, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %d sequences to run: %d pods run, %d sequences do: %w", sequences, running, recorded, err)
	}
	return nil
}

// deleteAll deletes them as "kubectl delete sequentialjobs --all" does, and waits until they are gone.
func deleteAll(ctx context.Context, cluster *setup.Cluster) error {
	background := metav1.DeletePropagationBackground
	client := cluster.Client.BatchV1alpha1().SequentialJobs(namespace)
	if err := client.DeleteCollection(ctx, metav1.DeleteOptions{PropagationPolicy: &background}, metav1.ListOptions{}); err != nil {
		return err
	}
	var left int
	err := wait.PollUntilContextTimeout(ctx, time.Second/4, patience, true, func(ctx context.Context) (bool, error) {
		list, err := client.List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		left = len(list.Items)
		return err == nil && left == 0, err
	})
	if err != nil {
		return fmt.Errorf("waiting for sequences to be gone, %d are not: %w", left, err)
	}
	return nil
}

// Violations says where a sequence cost more because of others, or because of steps that do not run.
func Violations(results []Result) []string {
	if len(results) == 0 {
		return nil
	}
	var out []string
	least := math.Inf(1)
	for i := range results {
		least = min(least, results[i].each())
	}
	for i := range results {
		if r := &results[i]; r.each() > least*mostGrowth {
			out = append(out, fmt.Sprintf("deletion: %d running sequences of %d steps cost %.2f requests each, others only %.2f: that is not linear in what runs",
				r.Sequences, r.Steps, r.each(), least))
		}
	}
	return out
}

func (r *Result) each() float64 {
	return float64(r.Asked.Reads+r.Asked.Writes+r.Asked.Events+r.Asked.DryRuns) / float64(max(r.Sequences, 1))
}
