package sequence_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// A state of the model is the world and two controller processes, each between two of its requests. Worlds and processes
// are numbered, so that a state is three numbers, and so that what a process does in a world is found out only once,
// whatever the other one is at.
//
// A process that is not in a turn has no state at all. Its caches are as old as its turn: it looks at them, at one and then
// at the other, when its turn begins, and may pause for as long as it likes afterwards. This has the same effect as caches
// that lag behind, because nobody can tell when a process looked at a cache that did not change. A crash at any point only
// ends the turn; so does a request that fails, or whose answer is lost.

// place is a world with what may still go wrong in it.
type place struct {
	*world
	budget budget
	first  *v1alpha1.SequentialJob // as it was created, and is created again
}

// model knows all worlds and processes that were ever come to.
type model struct {
	scenario
	intern *interner
	rules  *rules

	placeIDs map[string]uint32
	places   []place
	shellIDs map[string]uint32
	shells   []*shell
	planIDs  map[*sequence.Plan]int
	plans    map[string]*sequence.Plan // what Next said

	worldMoves map[uint32][]worldMove
	stepMemo   map[uint64][]step
}

// step is what a process may do in a world, and what comes of it.
type step struct {
	place, shell uint32
	label        string
	problems     []string
}

func newModel(s scenario) *model {
	m := &model{
		scenario: s, intern: newInterner(), placeIDs: map[string]uint32{}, shellIDs: map[string]uint32{},
		planIDs: map[*sequence.Plan]int{}, plans: map[string]*sequence.Plan{},
		worldMoves: map[uint32][]worldMove{}, stepMemo: map[uint64][]step{},
	}
	m.rules = realRules()
	if s.without != nil {
		s.without(m.rules)
	}
	m.rules.next = m.remember(m.rules.next)
	return m
}

// remember makes Next answer from memory what it was asked before: it is a function of its arguments.
func (m *model) remember(next nextFunc) nextFunc {
	return func(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, now time.Time) *sequence.Plan {
		key := sj.ResourceVersion + versions(jobs)
		plan, known := m.plans[key]
		if !known {
			plan = m.intern.plan(next(sj, jobs, now))
			m.plans[key] = plan
		}
		return plan
	}
}

type nextFunc = func(*v1alpha1.SequentialJob, []*batchv1.Job, time.Time) *sequence.Plan

func versions(jobs []*batchv1.Job) string {
	var out strings.Builder
	for _, job := range jobs {
		out.WriteString(" " + job.ResourceVersion)
	}
	return out.String()
}

func versionsByName(jobs map[string]*batchv1.Job) string {
	var out strings.Builder
	for _, name := range sortedNames(jobs) {
		out.WriteString(" " + jobs[name].ResourceVersion)
	}
	return out.String()
}

func versionOf(sj *v1alpha1.SequentialJob) string {
	if sj == nil {
		return "-"
	}
	return sj.ResourceVersion
}

// placeID numbers a world. The ledger belongs to it: what is a mistake depends on what happened before.
func (m *model) placeID(p place) uint32 {
	var key strings.Builder
	fmt.Fprintf(&key, "%s|%s|%d|%v|", versionOf(p.sj), versionsByName(p.jobs), p.parents, p.budget)
	for _, uid := range sortedKeys(p.left) {
		key.WriteString(string(uid) + ",")
	}
	for _, uid := range sortedKeys(p.ledger) {
		r := p.ledger[uid]
		fmt.Fprintf(&key, "|%s %s %t%t%t%t%t%t%t", uid, r.step, r.complete, r.failed, r.recorded, r.ended, r.done, r.queued, r.unwanted)
	}
	id, known := m.placeIDs[key.String()]
	if !known {
		id = uint32(len(m.places)) //nolint:gosec // some thousands
		m.placeIDs[key.String()] = id
		m.places = append(m.places, p)
	}
	return id
}

func sortedKeys[V any](in map[types.UID]V) []types.UID { return slices.Sorted(maps.Keys(in)) }

func sortedNames(in map[string]*batchv1.Job) []string { return slices.Sorted(maps.Keys(in)) }

// shellID numbers a process, having forgotten what it has no use for.
func (m *model) shellID(s *shell) uint32 {
	if s.at != seeSJ && s.at != readSJ {
		s.seenJobs = nil
	}
	if s.at != seeJobs {
		s.seenSJ = nil
	}
	if s.plan != nil {
		s.plan = m.intern.plan(s.plan)
		if _, known := m.planIDs[s.plan]; !known {
			m.planIDs[s.plan] = len(m.planIDs)
		}
	}
	key := fmt.Sprintf("%s|%v|%t|%s|%s|%s|%s|%d", s.at, s.asked, s.live, versionOf(s.sj), versions(s.jobs), versionOf(s.seenSJ),
		versionsByName(s.seenJobs), m.planIDs[s.plan])
	if s.plan == nil {
		key += "none"
	}
	id, known := m.shellIDs[key]
	if !known {
		id = uint32(len(m.shells)) //nolint:gosec // some thousands
		m.shellIDs[key] = id
		m.shells = append(m.shells, s)
	}
	return id
}

// What a process of the model does besides requests: it looks at its caches.
const (
	seeSJ   request = "has looked at its Jobs and looks at its SequentialJob"
	seeJobs request = "has looked at its SequentialJob and looks at its Jobs"
)

// stepsOf returns what a process may do next. A crash is not among them: it only ends the turn.
func (m *model) stepsOf(placeID, shellID uint32) []step {
	key := uint64(placeID)<<32 | uint64(shellID)
	if known, ok := m.stepMemo[key]; ok {
		return known
	}
	var out []step
	at := m.shells[shellID].at
	switch at {
	case none:
		out = append(out,
			m.try(placeID, shellID, "looks at its SequentialJob", func(s *shell, w *world) { s.at, s.seenSJ = seeJobs, w.sj }),
			m.try(placeID, shellID, "looks at its Jobs", func(s *shell, w *world) { s.at, s.seenJobs = seeSJ, maps.Clone(w.jobs) }))
		if !m.rules.trustCache {
			// What led to this does not matter, because nothing but this live read decides about a create.
			out = append(out, m.try(placeID, shellID, "finds that a step is due", func(s *shell, w *world) {
				s.at, s.seenJobs = readSJ, maps.Clone(w.jobs)
			}))
		}
	case seeSJ, seeJobs:
		out = append(out, m.try(placeID, shellID, string(at), func(s *shell, w *world) {
			if at == seeSJ {
				s.seenSJ = w.sj
			} else {
				s.seenJobs = maps.Clone(w.jobs)
			}
			s.begin(w)
			s.leaveToOthers()
		}))
	default:
		out = append(out, m.try(placeID, shellID, string(at), func(s *shell, w *world) {
			s.step(w)
			s.leaveToOthers()
		}))
		if at == readSJ {
			out = append(out, m.try(placeID, shellID, "sees the Jobs", func(s *shell, w *world) { s.seenJobs = maps.Clone(w.jobs) }))
		}
	}
	m.stepMemo[key] = out
	return out
}

// leaveToOthers ends a turn that finds from its cache that a step is due: there is one that begins with just that.
func (s *shell) leaveToOthers() {
	if s.at == readSJ {
		s.stop()
	}
}

func (m *model) try(placeID, shellID uint32, label string, do func(*shell, *world)) step {
	from := m.places[placeID]
	w, s := from.clone(), m.shells[shellID].clone()
	do(s, w)
	w.check()
	out := step{label: label, problems: w.problems}
	w.problems = nil
	out.place, out.shell = m.placeID(place{world: w, budget: from.budget, first: from.first}), m.shellID(s)
	return out
}
