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
	forEachScenario(t, func(t *testing.T, s *scenario) {
		want, made := playWithoutFault(t, s)
		for at := 1; at <= made; at++ {
			for i, fault := range faults {
				// Otherwise one fault a call, so that each fault still meets reads and writes of all kinds.
				if !*faultsFull && (at%s.every != 1%s.every || at/s.every%len(faults) != i) {
					continue
				}
				t.Run(fmt.Sprintf("%s%s at call %d", s.name, fault.name, at), func(t *testing.T) {
					c := newByHandCluster(t)
					faulty := &calls{at: at, fault: fault}
					stop := c.StartControllerThrough(faulty.wrap)
					got := s.play(c, nothing)
					stop()
					report.add(s.name+fault.name, faulty.injected(), s.sequences, c.compare(s, want, got, faulty))
				})
			}
		}
	})
}

// Whenever the controller's process is killed, before or after a call of any kind: the next one does the same.
func TestTheControllerMayBeKilledAtEveryCall(t *testing.T) {
	report := startReport(t)
	binary := framework.BuildController(t)
	forEachScenario(t, func(t *testing.T, s *scenario) {
		want, made := playWithoutFault(t, s)
		for at := 1; at <= made; at++ {
			for _, after := range []bool{false, true} {
				// Otherwise about every eighth call or fewer, before and after it by turns.
				if stride := 4 + 4*s.every; !*faultsFull && (at%stride != 1 || after != (at%(2*stride) == 1)) {
					continue
				}
				name := s.name + "process killed before"
				if after {
					name = s.name + "process killed after"
				}
				t.Run(fmt.Sprintf("%s call %d", name, at), func(t *testing.T) {
					c := newByHandCluster(t)
					made := &calls{at: at}
					isDue := func(request *http.Request) bool { return isCall(request) && made.next(request) }
					framework.StartKiller(c.Cluster, isDue, after).StartVictim(binary)
					got := s.play(c, nothing)
					report.add(name, made.injected(), s.sequences, c.compare(s, want, got, made))
				})
			}
		}
	})
}

// playWithoutFault returns how a scenario ends, and with how many calls.
func playWithoutFault(t *testing.T, s *scenario) ([]ending, int) {
	t.Helper()
	c := newByHandCluster(t)
	reference := &calls{}
	stop := c.StartControllerThrough(reference.wrap)
	end := s.play(c, nothing)
	stop()
	c.compare(s, end, end, reference)
	made := reference.list()
	for i, call := range made {
		t.Logf("call %d: %s", i+1, call)
	}
	return end, len(made)
}

// compare asks the oracle about a run of a scenario, and compares its ending with the one without a fault.
func (c *cluster) compare(s *scenario, want, got []ending, made *calls) (violations int) {
	c.T.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		c.T.Errorf("the sequences ended differently (-want +got):\n%s", diff)
	}
	h, broken := c.judge()
	if jobs := h.allNames(); !slices.Equal(jobs, s.jobs) {
		c.T.Errorf("Jobs created: %q, want %q", jobs, s.jobs)
	}
	if c.T.Failed() {
		c.T.Logf("the fault happened to: %q; all calls: %q", made.hit, made.list())
	}
	return len(broken)
}
