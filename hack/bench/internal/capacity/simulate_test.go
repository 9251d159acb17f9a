package capacity

import (
	"testing"
	"time"
)

func TestWorkIsConserved(t *testing.T) {
	m, defaults := testModel(), DefaultSettings()
	for _, load := range []Load{{1e4, 3}, {1e5, 3}, {1e6, 3}} {
		advised := m.Advise(load, defaults)
		for _, arrivals := range []Arrivals{Even, Hourly} {
			for name, s := range map[string]*Settings{"defaults": &defaults, "advised": &advised} {
				out := m.Simulate(load, arrivals, s)
				if !near(out.Arrived, load.SequencesPerDay) || !near(out.Finished+out.Unfinished, out.Arrived) {
					t.Errorf("%s, %s, %s: of %g came %g, and %g + %g are left", load, arrivals.Name, name, load.SequencesPerDay,
						out.Arrived, out.Finished, out.Unfinished)
				}
				if out.BacklogAtEnd > out.Unfinished+1e-3 || out.BacklogAtEnd > out.Backlog+1e-3 {
					t.Errorf("%s, %s, %s: backlog %g at the end, %g at most, %g have not ended", load, arrivals.Name, name,
						out.BacklogAtEnd, out.Backlog, out.Unfinished)
				}
			}
		}
	}
}

// As long as everything is enough and they come evenly, nothing waits.
func TestNoWaitBelowCapacity(t *testing.T) {
	m, defaults := testModel(), DefaultSettings()
	for _, load := range Loads() {
		s := m.Advise(load, defaults)
		out := m.Simulate(load, Even, &s)
		if out.LongestWait != 0 || out.Backlog > 1e-3 {
			t.Errorf("%s: wait %s, backlog %g", load, out.LongestWait, out.Backlog)
		}
		if stock := m.Stock(load); !near(out.Sequences, stock.Sequences) {
			t.Errorf("%s: %g exist at most, and by Little's law %g", load, out.Sequences, stock.Sequences)
		}
	}
}

// What waits when too much comes is known without a simulation: what has come less what was served.
func TestBeyondCapacityTheBacklogGrows(t *testing.T) {
	m, s := testModel(), DefaultSettings()
	load := Load{SequencesPerDay: 4e5, Steps: 1} // so that no step comes back
	served := s[JobControllerQPS] / m.Assumptions.JobControllerRequests
	want := load.SequencesPerDay - served*day.Seconds()
	out := m.Simulate(load, Even, &s)
	if got := out.BacklogAtEnd; got < want-10 || got > want+10 {
		t.Errorf("backlog %g, want %g", got, want)
	}
	// The last that was served, or waits, has everything before it.
	if wait, want := out.LongestWait, seconds(day.Seconds()*(1-served/load.StepsPerSecond())); wait < want-2*time.Second || wait > want+2*time.Second {
		t.Errorf("wait %s, want %s", wait, want)
	}
}

// An hour's lot within a minute is done when its work is, at the rate of the bottleneck.
func TestAPeakTakesAsLongAsItsWork(t *testing.T) {
	m, s := testModel(), DefaultSettings()
	load := Load{SequencesPerDay: 48000, Steps: 1}
	out := m.Simulate(load, Hourly, &s)
	lot, rate := load.SequencesPerDay/24, s[JobControllerQPS]/m.Assumptions.JobControllerRequests
	want := seconds(lot/rate - 59) // the last comes in the 60th second
	if out.LongestWait < want-2*time.Second || out.LongestWait > want+2*time.Second {
		t.Errorf("wait %s, want %s", out.LongestWait, want)
	}
	if out.BacklogAtEnd > 1e-3 || out.Backlog > lot || out.Backlog < lot-61*rate {
		t.Errorf("backlog %g, at the end %g, of a lot of %g", out.Backlog, out.BacklogAtEnd, lot)
	}
}

func TestMoreOfTheBottleneckIsLessWait(t *testing.T) {
	m, load := testModel(), Load{SequencesPerDay: 1e5, Steps: 3}
	last := Outcome{LongestWait: day}
	for _, qps := range []float64{20, 30, 40, 80} {
		s := DefaultSettings()
		s[JobControllerQPS] = qps
		out := m.Simulate(load, Hourly, &s)
		if out.LongestWait >= last.LongestWait {
			t.Errorf("%g requests a second: wait %s, with fewer %s", qps, out.LongestWait, last.LongestWait)
		}
		last = out
	}
}

func TestALineServesInOrder(t *testing.T) {
	l := &line{rate: 3}
	l.add([]parcel{{0, 0, 2}, {0, 0, 2}, {1, 0, 5}})
	if len(l.parcels) != 2 {
		t.Fatalf("%d parcels, want the first two as one", len(l.parcels))
	}
	for _, want := range [][]parcel{{{0, 0, 3}}, {{0, 0, 1}, {1, 0, 2}}, {{1, 0, 3}}, {}} {
		got := l.serve()
		if len(got) != len(want) {
			t.Fatalf("served %v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("served %v, want %v", got, want)
			}
		}
	}
}
