package capacity

import (
	"math"
	"time"
)

// Arrivals says how many sequences come in a second of the day.
type Arrivals struct {
	Name string
	// of returns the share of an hour's sequences that come in a second of the hour.
	of func(second int) float64
}

const hour = 3600

// Even is the same in every second, Hourly all within the first minute of each hour.
var (
	Even   = Arrivals{"even", func(int) float64 { return 1. / hour }}
	Hourly = Arrivals{"first minute of each hour", func(second int) float64 {
		const minute = 60
		if second < minute {
			return 1. / minute
		}
		return 0
	}}
)

// Outcome is what a simulated day came to. Sequences are fluid: there may be a part of one.
type Outcome struct {
	Arrived, Finished, Unfinished float64
	// LongestWait is the longest that a sequence was held up beyond the time of its steps, until it ended or the day did.
	LongestWait time.Duration
	// Backlog is the most steps that waited at the same time, BacklogAtEnd those that waited when the day ended.
	Backlog, BacklogAtEnd float64
	// Sequences is the most that existed at the same time, kept ones included, and Objects the same with their Jobs.
	Sequences, Objects float64
}

// parcel is some sequences that came in the same second and are at the same step.
type parcel struct {
	born, step int
	amount     float64
}

// line is parcels that wait for a resource, first come, first served.
type line struct {
	rate    float64 // in steps a second
	parcels []parcel
	head    int
	amount  float64
}

// simulation is a fluid queue: in each second every resource serves so much, and what it has served comes to the next one at once.
// After the last one a step runs for its time, and then the sequence's next step comes to the first resource.
type simulation struct {
	steps, stepTime int
	lines           []*line
	// running are the steps that end in a second to come, by second modulo the length.
	running [][]parcel
	now     int
	started float64
	out     Outcome
}

// Simulate simulates a day.
func (m *Model) Simulate(load Load, arrivals Arrivals, s *Settings) Outcome {
	const secondsADay = 24 * hour
	sim := m.newSimulation(load.Steps, s)
	kept, finished := int(m.Assumptions.Kept.Seconds()), make([]float64, secondsADay)
	deleted := 0.
	for sim.now = range secondsADay {
		sim.second(load.SequencesPerDay / 24 * arrivals.of(sim.now%hour))
		finished[sim.now] = sim.out.Finished
		if sim.now >= kept {
			deleted = finished[sim.now-kept]
		}
		exist, jobs := sim.out.Arrived-deleted, sim.started-deleted*float64(load.Steps)
		sim.out.Sequences = max(sim.out.Sequences, exist)
		sim.out.Objects = max(sim.out.Objects, exist+jobs)
	}
	sim.end()
	return sim.out
}

func (m *Model) newSimulation(steps int, s *Settings) *simulation {
	stepTime := max(int(m.Assumptions.StepTime.Seconds()), 1)
	sim := &simulation{steps: steps, stepTime: stepTime, running: make([][]parcel, stepTime)}
	least := math.Inf(1)
	for _, r := range m.Resources(steps) {
		// No more comes than one before it lets through: where that is no more than it can serve, nothing ever waits.
		if rate := r.Holds(s); r.OnPath && rate < least {
			least = rate
			sim.lines = append(sim.lines, &line{rate: rate})
		}
	}
	return sim
}

// second is one: what has ended goes on, what comes is added, and every resource serves.
func (s *simulation) second(coming float64) {
	slot := s.now % s.stepTime
	moving := s.running[slot]
	s.running[slot] = nil
	next := moving[:0]
	for _, p := range moving {
		if p.step++; p.step == s.steps {
			s.out.Finished += p.amount
			continue
		}
		next = append(next, p)
	}
	if coming > 0 {
		s.out.Arrived += coming
		next = append(next, parcel{s.now, 0, coming})
	}
	waiting := 0.
	for _, l := range s.lines {
		l.add(next)
		next = l.serve()
		waiting += l.amount
	}
	s.out.Backlog = max(s.out.Backlog, waiting)
	s.start(next)
}

// start lets steps run, and sees for how long they have waited so far.
func (s *simulation) start(parcels []parcel) {
	for _, p := range parcels {
		s.sawWait(p)
		s.started += p.amount
	}
	slot := s.now % s.stepTime
	s.running[slot] = append(s.running[slot], parcels...)
}

func (s *simulation) sawWait(p parcel) {
	waited := s.now - p.born - p.step*s.stepTime
	s.out.LongestWait = max(s.out.LongestWait, time.Duration(waited)*time.Second)
}

// end counts what has not ended.
func (s *simulation) end() {
	for _, l := range s.lines {
		for _, p := range l.parcels[l.head:] {
			s.sawWait(p)
			s.out.Unfinished += p.amount
			s.out.BacklogAtEnd += p.amount
		}
	}
	for _, parcels := range s.running {
		for _, p := range parcels {
			s.out.Unfinished += p.amount
		}
	}
}

// add puts parcels at the end. What belongs together is put together, so that there are not more and more of them.
func (l *line) add(parcels []parcel) {
	for _, p := range parcels {
		l.amount += p.amount
		if n := len(l.parcels); n > l.head && l.parcels[n-1].born == p.born && l.parcels[n-1].step == p.step {
			l.parcels[n-1].amount += p.amount
			continue
		}
		l.parcels = append(l.parcels, p)
	}
}

// serve takes from the front what is served within a second.
func (l *line) serve() []parcel {
	const dust = 1e-9 // of floating-point numbers: not worth a parcel
	var out []parcel
	for left := l.rate; l.head < len(l.parcels) && left > dust; {
		p := &l.parcels[l.head]
		served := *p
		if p.amount > left+dust {
			served.amount = left
			p.amount -= left
		} else {
			l.head++
		}
		left -= served.amount
		l.amount -= served.amount
		out = append(out, served)
	}
	if l.head == len(l.parcels) {
		l.parcels, l.head, l.amount = l.parcels[:0], 0, 0
	}
	return out
}
