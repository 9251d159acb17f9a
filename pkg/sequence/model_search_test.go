package sequence_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/example/sequential-job-operator/pkg/sequence"
)

// state is what the model can be in. The two processes are alike, so the one with the smaller number comes first.
type state struct {
	place, a, b uint32
}

// change is one move from a state to another.
type change struct {
	to       state
	who      int // 0 or 1 for a process, 2 for anybody else
	swapped  bool
	label    string
	problems []string
}

// search goes through all states, nearest first, until there is no new one or until it comes to a problem that it looks for.
type search struct {
	*model
	index  map[state]uint32
	states []state
	from   []uint32
	edges  []uint32 // to, from each state one after another
	starts []uint32 // where those of a state begin
	depth  int
	// problem is what it found, and trace is how.
	problem string
	trace   []string
}

// seek looks for the first problem that contains want. Other problems do not stop it; an empty want is any.
func (s *search) seek(want string, maxStates int) error {
	start := state{place: s.placeID(s.first()), a: s.processID(s.idle()), b: s.processID(s.idle())}
	s.add(start, 0)
	next, layerEnds := uint32(0), 1
	for ; int(next) < len(s.states); next++ {
		if int(next) == layerEnds {
			s.depth++
			layerEnds = len(s.states)
		}
		s.starts = append(s.starts, uint32(len(s.edges))) //nolint:gosec // some millions
		for _, c := range s.changes(s.states[next]) {
			for _, problem := range c.problems {
				if strings.Contains(problem, want) {
					s.problem, s.trace = problem, s.traceTo(next, &c)
					return nil
				}
			}
			s.edges = append(s.edges, s.add(c.to, next))
		}
		if len(s.states) > maxStates {
			return fmt.Errorf("more than %d states", maxStates)
		}
	}
	s.starts = append(s.starts, uint32(len(s.edges))) //nolint:gosec // some millions
	return nil
}

func (s *search) add(to state, from uint32) uint32 {
	id, known := s.index[to]
	if !known {
		id = uint32(len(s.states)) //nolint:gosec // bounded by maxStates
		s.index[to] = id
		s.states, s.from = append(s.states, to), append(s.from, from)
	}
	return id
}

// changes returns all that may happen in a state.
func (s *search) changes(at state) []change {
	var out []change
	put := func(who int, label string, problems []string, place, a, b uint32) {
		c := change{to: state{place: place, a: a, b: b}, who: who, label: label, problems: problems}
		if s.controllers > 1 && b < a {
			c.to.a, c.to.b, c.swapped = b, a, true
		}
		out = append(out, c)
	}
	for _, move := range s.movesOf(at.place) {
		if s.minds(at, &move) {
			put(2, move.label, move.problems, move.place, at.a, at.b)
		}
	}
	idle := s.processID(s.idle())
	for _, step := range s.stepsOf(at.place, at.a) {
		put(0, step.label, step.problems, step.place, step.process, at.b)
	}
	if at.a != idle {
		put(0, "crashes", nil, at.place, idle, at.b)
	}
	if s.controllers < 2 || at.a == at.b {
		return out
	}
	for _, step := range s.stepsOf(at.place, at.b) {
		put(1, step.label, step.problems, step.place, at.a, step.process)
	}
	if at.b != idle {
		put(1, "crashes", nil, at.place, at.a, idle)
	}
	return out
}

// idle returns a process that is not in a turn.
func (s *search) idle() *process {
	p := &process{rules: s.rules}
	p.stop()
	return p
}

// rests says whether a process is not in a turn.
func (p *process) rests() bool { return p.isIdle() && p.looking == "" }

// minds says whether users who mind what they have to would do that now.
func (s *search) minds(at state, move *worldMove) bool {
	a, b := s.processes[at.a], s.processes[at.b]
	if move.demand == nothing || slices.Contains(s.careless, move.demand) {
		return true
	}
	switch move.demand {
	case nameFree:
		return !a.mayCreate(move.job) && !b.mayCreate(move.job)
	case nobodyCreates:
		return !a.isCreating() && !b.isCreating()
	case viewsAgree:
		return a.rests() && b.rests()
	default:
		return false
	}
}

// traceTo tells how a state was come to, and the last move.
func (s *search) traceTo(id uint32, last *change) []string {
	var path []uint32
	for at := id; at != 0; at = s.from[at] {
		path = append(path, at)
	}
	slices.Reverse(path)
	var out []string
	names := [3]string{"A", "B", ""}
	tell := func(c *change) {
		out = append(out, strings.TrimSpace(names[c.who]+" "+c.label))
		if c.swapped {
			names[0], names[1] = names[1], names[0]
		}
	}
	at := s.states[0]
	for _, id := range path {
		to := s.states[id]
		changes := s.changes(at)
		tell(&changes[slices.IndexFunc(changes, func(c change) bool { return c.to == to })])
		at = to
	}
	tell(last)
	return out
}

// noWayToAnEnd is what is told of a state from which there is none.
const noWayToAnEnd = "there is no way to an end"

// stuck returns how a state was come to from which there is no way to any end, or nil if there is none.
func (s *search) stuck() []string {
	before := make([][]uint32, len(s.states))
	good := make([]bool, len(s.states))
	var todo []uint32
	for id := range s.states {
		for _, to := range s.edges[s.starts[id]:s.starts[id+1]] {
			before[to] = append(before[to], uint32(id)) //nolint:gosec // bounded by maxStates
		}
		if s.isEnd(s.states[id]) {
			good[id] = true
			todo = append(todo, uint32(id)) //nolint:gosec // bounded by maxStates
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, from := range before[id] {
			if !good[from] {
				good[from] = true
				todo = append(todo, from)
			}
		}
	}
	if bad := slices.Index(good, false); bad >= 0 {
		return s.traceTo(uint32(bad), &change{who: 2, label: "and " + noWayToAnEnd}) //nolint:gosec // bounded by maxStates
	}
	return nil
}

// isEnd says whether nothing is left to do.
func (s *search) isEnd(at state) bool {
	p := s.places[at.place]
	if !s.processes[at.a].rests() || !s.processes[at.b].rests() {
		return false
	}
	return p.sj == nil || (sequence.Finished(&p.sj.Status) && len(p.sj.Finalizers) == 0 && p.sj.Status.ObservedGeneration == p.sj.Generation)
}
