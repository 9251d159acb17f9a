//go:build integration

package faults_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// Whatever becomes of whichever call of the controller: no step runs twice, none too early, none after the deletion, and the
// sequence ends as if nothing had happened.
func TestEveryCallMayMeetEveryFault(t *testing.T) {
	report := startReport(t)
	want, made := playWithoutFault(t)
	for at := 1; at <= made; at++ {
		for i, fault := range faults {
			// Otherwise one fault a call, so that each fault still meets reads and writes of all kinds.
			if !*faultsFull && at%len(faults) != i {
				continue
			}
			t.Run(fmt.Sprintf("%s at call %d", fault.name, at), func(t *testing.T) {
				c := newByHandCluster(t)
				faulty := &calls{at: at, fault: fault}
				stop := c.StartControllerThrough(faulty.wrap)
				got := c.playScenario(nothing)
				stop()
				report.add(fault.name, faulty.injected(), 2, c.compare(want, got, faulty))
			})
		}
	}
}

// Whenever the controller's process is killed, before or after a call of any kind: the next one does the same.
func TestTheControllerMayBeKilledAtEveryCall(t *testing.T) {
	report := startReport(t)
	want, made := playWithoutFault(t)
	binary := framework.BuildController(t)
	for at := 1; at <= made; at++ {
		for _, after := range []bool{false, true} {
			// Otherwise about every eighth call, before and after it by turns.
			if !*faultsFull && (at%8 != 1 || after != (at%16 == 1)) {
				continue
			}
			name := "process killed before"
			if after {
				name = "process killed after"
			}
			t.Run(fmt.Sprintf("%s call %d", name, at), func(t *testing.T) {
				c := newByHandCluster(t)
				made := &calls{at: at}
				isDue := func(request *http.Request) bool { return isCall(request) && made.next(request) }
				framework.StartKiller(c.Cluster, isDue, after).StartVictim(binary)
				got := c.playScenario(nothing)
				report.add(name, made.injected(), 2, c.compare(want, got, made))
			})
		}
	}
}

// playWithoutFault returns how the scenario ends, and with how many calls.
func playWithoutFault(t *testing.T) (ending, int) {
	t.Helper()
	c := newByHandCluster(t)
	reference := &calls{}
	stop := c.StartControllerThrough(reference.wrap)
	end := c.playScenario(nothing)
	stop()
	c.compare(end, end, reference)
	made := reference.list()
	for i, call := range made {
		t.Logf("call %d: %s", i+1, call)
	}
	return end, len(made)
}

// compare asks the oracle about a run of the scenario, and compares its ending with the one without a fault.
func (c *cluster) compare(want, got ending, made *calls) (violations int) {
	c.T.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		c.T.Errorf("the sequence ended differently (-want +got):\n%s", diff)
	}
	h, broken := c.judge()
	if jobs := h.allNames(); !slices.Equal(jobs, jobsOfTheScenario) {
		c.T.Errorf("Jobs created: %q, want %q", jobs, jobsOfTheScenario)
	}
	if c.T.Failed() {
		c.T.Logf("the fault happened to: %q; all calls: %q", made.hit, made.list())
	}
	return len(broken)
}
