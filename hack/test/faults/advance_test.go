//go:build integration

package faults_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// watchOfPods is the watch that tells of pods that have succeeded.
const watchOfPods = "pods"

// playPods runs a sequence of four steps that start on the success of pods, which simulated nodes run, and asks the oracle.
func (c *cluster) playPods() (violations int) {
	c.T.Helper()
	sj := framework.NewSequence("etl", "extract", "transform", "load", "report")
	sj.Spec.AdvanceOn = new(v1alpha1.AdvanceOnPodSucceeded)
	c.Create(sj)
	if end := c.waitForEnd("etl"); end.Status.Phase != v1alpha1.SequentialJobCompleted {
		c.T.Errorf("phase %s, conditions %v", end.Status.Phase, end.Status.Conditions)
	}
	h, broken := c.judge()
	if jobs, want := h.allNames(), []string{"etl-0", "etl-1", "etl-2", "etl-3"}; !slices.Equal(jobs, want) {
		c.T.Errorf("Jobs created: %q, want %q", jobs, want)
	}
	return len(broken)
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return &cluster{framework.NewCluster(t)}
}

// Steps that start on the success of pods keep their order, whatever the watches show and when.
func TestStaleCachesOfPodsRunNothingTwice(t *testing.T) {
	const lag = 300 * time.Millisecond
	report := startReport(t)
	for name, watches := range map[string][]string{
		"by pods: watch of pods delayed":    {watchOfPods},
		"by pods: watch of Jobs delayed":    {watchOfJobs},
		"by pods: all watches delayed":      {watchOfPods, watchOfJobs, watchOfParents},
		"by pods: watch of parents delayed": {watchOfParents},
	} {
		for controllers := 1; controllers <= 2; controllers++ {
			t.Run(fmt.Sprintf("%s, %d controllers", name, controllers), func(t *testing.T) {
				c := newCluster(t)
				for range controllers {
					gate := newGate()
					for _, watch := range watches {
						gate.delay(watch, lag)
					}
					c.StartControllerThrough(gate.wrap)
				}
				report.add(name, len(watches), 1, c.playPods())
			})
		}
	}
}

// Whenever the controller's process is killed between two steps, and whatever becomes of a call there.
func TestWhateverHappensBetweenTwoStepsOnPods(t *testing.T) {
	const first, twoHandOvers = 6, 10 // calls: before that the first step starts
	report := startReport(t)
	binary := framework.BuildController(t)
	for at := first; at < first+twoHandOvers; at++ {
		for i, fault := range faults {
			if !*faultsFull && at%len(faults) != i {
				continue
			}
			t.Run(fmt.Sprintf("%s at call %d", fault.name, at), func(t *testing.T) {
				c := newCluster(t)
				faulty := &calls{at: at, fault: fault}
				c.StartControllerThrough(faulty.wrap)
				violations := c.playPods()
				report.add("by pods: "+fault.name, faulty.injected(), 1, violations)
			})
		}
		for _, after := range []bool{false, true} {
			if !*faultsFull && after != (at%2 == 0) {
				continue
			}
			t.Run(fmt.Sprintf("killed at call %d, after it: %t", at, after), func(t *testing.T) {
				c := newCluster(t)
				made := &calls{at: at}
				isDue := func(request *http.Request) bool { return isCall(request) && made.next(request) }
				framework.StartKiller(c.Cluster, isDue, after).StartVictim(binary)
				violations := c.playPods()
				report.add("by pods: process killed", made.injected(), 1, violations)
			})
		}
	}
}
