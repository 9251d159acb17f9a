//go:build integration

package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// A leader may be frozen before any of its calls, for so long that another one takes over, and then wakes in the middle of
// what it was about to do: nothing is repeated, and the sequence ends as if nothing had happened.
func TestADeposedLeaderMayWakeAtEveryCall(t *testing.T) {
	report := startReport(t)
	forEachScenario(t, func(t *testing.T, s *scenario) {
		want, made := playWithoutFault(t, s)
		for at := 1; at <= made; at++ {
			for _, sleep := range []int{1, 3} {
				// Otherwise every fifth call or fewer, short and long by turns.
				if stride := 5 * s.every; !*faultsFull && (at%stride != stride-1 || (sleep == 1) != (at%(2*stride) == stride-1)) {
					continue
				}
				name := s.name + "deposed leader wakes soon"
				if sleep > 1 {
					name = s.name + "deposed leader wakes late"
				}
				t.Run(fmt.Sprintf("%s, frozen at call %d", name, at), func(t *testing.T) {
					c := newByHandCluster(t)
					frozen := &calls{at: at}
					stop, between := c.startDeposed(frozen, sleep, s.stages)
					got := s.play(c, between)
					stop()
					report.add(name, frozen.injected(), s.sequences, c.compare(s, want, got, frozen))
				})
			}
		}
	})
}

// startDeposed starts a controller that freezes before a call, and another one as soon as it does. The frozen one wakes
// after so many calls of between, or at the last one before a deletion: after the deletion that follows no protocol can
// keep the request of a sleeper from arriving.
func (c *cluster) startDeposed(at *calls, sleep, beforeDeletion int) (stop, between func()) {
	c.T.Helper()
	g := newGate()
	g.freezeBefore(func(request *http.Request) bool { return isCall(request) && at.next(request) })
	stopFirst := c.StartControllerThrough(g.wrap)
	stopSecond, done, ctx := make(chan func(), 1), make(chan struct{}), c.T.Context()
	go func() {
		defer close(done)
		select {
		case <-g.frozen:
			stopSecond <- c.StartController()
		case <-ctx.Done():
		}
	}()
	c.T.Cleanup(func() { <-done })
	stages, asleep := 0, 0
	between = func() {
		stages++
		select {
		case <-g.frozen:
			asleep++
		default:
		}
		if asleep == sleep || asleep > 0 && stages >= beforeDeletion {
			g.release(everything)
		}
	}
	return func() {
		g.openAll()
		stopFirst()
		select {
		case <-g.frozen:
			(<-stopSecond)()
		default:
		}
	}, between
}

// What a sleeper has in its cache when it wakes may be from before a step started that has come and gone since, Job and
// all. Only a live read tells.
func TestASleeperWithAStaleCacheReadsBeforeItCreates(t *testing.T) {
	c, report := newByHandCluster(t), startReport(t)
	g, made := newGate(), &calls{}
	g.freezeBefore(statusWrite)
	stopFirst := c.StartControllerThrough(func(next http.RoundTripper) http.RoundTripper { return g.wrap(made.wrap(next)) })
	c.Create(framework.NewSequence("etl", "extract", "transform"))
	c.waitUntilFrozen(g)
	stopSecond := c.StartController()
	c.waitForJob("etl", "etl-0")
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.waitForJob("etl", "etl-1")
	background := metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
	framework.Must(t, c.Kube.BatchV1().Jobs(c.Namespace).Delete(t.Context(), "etl-0", background))

	g.hold(watchOfParents)
	before := len(made.list())
	g.release(everything)
	// The status that it was about to store is refused, and then it decides again.
	c.Eventually("the sleeper to do something", func(context.Context) (bool, error) { return len(made.list()) >= before+2, nil })
	c.EndJob("etl-1", batchv1.JobComplete, "")
	c.waitForEnd("etl")
	g.openAll()
	stopFirst()
	stopSecond()
	h, violations := c.judge()
	if got := h.allNames(); !slices.Equal(got, []string{"etl-0", "etl-1"}) {
		t.Errorf("Jobs created: %q", got)
	}
	report.add("sleeper with a stale cache, Job deleted", 1, 1, len(violations))
}

func (c *cluster) waitUntilFrozen(g *gate) {
	c.T.Helper()
	c.Eventually("the controller to be frozen", func(context.Context) (bool, error) { return g.isHeld(everything), nil })
}

// The one thing that a sleeper can do: create the Job of a sequence that was deleted while it slept. Nothing owns that Job, so
// that it is removed again, and one created again under the same name does not mix with it.
func TestTheJobOfALeaderThatSleptThroughADeletionIsRemoved(t *testing.T) {
	c := newByHandCluster(t)
	g := newGate()
	g.freezeBefore(creation(2))
	stopFirst := c.StartControllerThrough(g.wrap)
	former := c.Create(framework.NewSequence("etl", "extract", "transform"))
	c.waitForJob("etl", "etl-0")
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.waitUntilFrozen(g)
	stopSecond := c.StartController()
	c.waitForJob("etl", "etl-1")
	c.Delete("etl", metav1.DeletePropagationBackground)
	c.WaitUntilGone(former)
	g.release(everything)
	c.Eventually("the late Job to be created and removed", func(ctx context.Context) (bool, error) {
		jobs, err := c.Kube.BatchV1().Jobs(c.Namespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(jobs.Items) == 0 && len(c.Jobs.Names()) == 3, err
	})
	c.Jobs.CompleteAll()
	c.Create(framework.NewSequence("etl", "extract", "transform"))
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.waitForEnd("etl")
	stopFirst()
	stopSecond()
	c.Jobs.Want("etl-0", "etl-1", "etl-1", "etl-0", "etl-1")
	violations := c.history().violations()
	if len(violations) != 2 || !strings.Contains(violations[0], "was created twice") ||
		!strings.Contains(violations[1], "after its SequentialJob was deleted") {
		t.Errorf("violations %q, want two by the one late Job", violations)
	}
}
