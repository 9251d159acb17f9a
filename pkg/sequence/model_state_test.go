package sequence_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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

	placeIDs   map[string]uint32
	places     []place
	processIDs map[string]uint32
	processes  []*process

	worldMoves map[uint32][]worldMove
	stepMemo   map[uint64][]step
}

// step is what a process may do in a world, and what comes of it.
type step struct {
	place, process uint32
	label          string
	problems       []string
}

func newModel(s scenario) *model {
	m := &model{
		scenario: s, intern: newInterner(), placeIDs: map[string]uint32{}, processIDs: map[string]uint32{},
		worldMoves: map[uint32][]worldMove{}, stepMemo: map[uint64][]step{},
	}
	m.rules = realRules()
	if s.without != nil {
		s.without(m.rules)
	}
	return m
}

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
		fmt.Fprintf(&key, "|%s %s %s %t%t%t%t%t%t%t %v", uid, r.step, r.told, r.complete, r.failed, r.recorded, r.ended, r.done, r.queued, r.unwanted, r.pod)
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

// processID numbers a process. What led to a status that is about to be stored does not matter any more.
func (m *model) processID(p *process) uint32 {
	var key strings.Builder
	fmt.Fprintf(&key, "%s|", p.next.Request)
	f := &p.facts
	switch {
	case p.looking != "":
		fmt.Fprintf(&key, "%s|%s|%s", p.looking, versionOf(p.seenSJ), versionsByName(p.seenJobs))
	case p.isIdle():
	case p.next.Request == sequence.StoreStatus:
		p.next = m.intern.action(p.next)
		p.facts = sequence.Facts{Now: f.Now, SequentialJob: f.SequentialJob}
		fmt.Fprintf(&key, "%s|%d", versionOf(f.SequentialJob), m.intern.id(p.next))
	default:
		m.describe(&key, f)
	}
	if p.looking == "" {
		p.seenSJ, p.seenJobs = nil, nil
	}
	id, known := m.processIDs[key.String()]
	if !known {
		id = uint32(len(m.processes)) //nolint:gosec // some thousands
		m.processIDs[key.String()] = id
		m.processes = append(m.processes, p)
	}
	return id
}

// describe writes down all that facts tell.
func (m *model) describe(key *strings.Builder, f *sequence.Facts) {
	fmt.Fprintf(key, "%s %s %t|%s|", f.SequentialJob.UID, versionOf(f.SequentialJob), f.Whole, versions(f.Jobs))
	for _, name := range sortedNames(f.ReadJobs) {
		job := f.ReadJobs[name]
		if job == nil {
			fmt.Fprintf(key, "%s -,", name)
		} else {
			fmt.Fprintf(key, "%s %s %t,", name, job.ResourceVersion, job.DeletionTimestamp != nil)
		}
	}
	for _, request := range slices.Sorted(maps.Keys(f.Answers)) {
		fmt.Fprintf(key, "|%s %s", request, f.Answers[request].Class)
	}
	for _, step := range slices.Sorted(maps.Keys(f.Checks)) {
		fmt.Fprintf(key, "|%d %s", step, f.Checks[step].Class)
	}
	for i := range f.Pods {
		fmt.Fprintf(key, "|%s", f.Pods[i].OwnerReferences[0].UID)
	}
	fmt.Fprintf(key, "|%t %d pods of the Job", f.PodSucceeded, len(f.JobPods))
	for i := range f.JobPods {
		fmt.Fprintf(key, " %s %v", f.JobPods[i].Status.Phase, f.JobPods[i].Finalizers)
	}
	if f.Stored != nil {
		fmt.Fprintf(key, "|stored %t %t", f.Stored.AtOnce, f.Stored.TryAgain)
	}
}

// What a process of the model does in addition to requests: it looks at its caches.
const (
	seeSJ   = "has looked at its Jobs and looks at its SequentialJob"
	seeJobs = "has looked at its SequentialJob and looks at its Jobs"
)

// stepsOf returns what a process may do next. A crash is not among them: it only ends the turn.
func (m *model) stepsOf(placeID, processID uint32) []step {
	key := uint64(placeID)<<32 | uint64(processID)
	if known, ok := m.stepMemo[key]; ok {
		return known
	}
	var out []step
	try := func(label string, do func(*process, *world)) {
		out = append(out, m.try(placeID, processID, label, 0, do))
	}
	switch p := m.processes[processID]; {
	case p.looking != "":
		try(p.looking, func(p *process, w *world) {
			if p.looking == seeSJ {
				p.seenSJ = w.sj
			} else {
				p.seenJobs = maps.Clone(w.jobs)
			}
			p.looking = ""
			p.begin(w)
			p.leaveToOthers()
		})
	case p.isIdle():
		try("looks at its SequentialJob", func(p *process, w *world) { p.looking, p.seenSJ = seeJobs, w.sj })
		try("looks at its Jobs", func(p *process, w *world) { p.looking, p.seenJobs = seeSJ, maps.Clone(w.jobs) })
		if sj := m.places[placeID].sj; !m.rules.trustCache && sj != nil {
			// What led to this does not matter, because nothing but this live read decides about a create.
			try("finds that a step is due", (*process).finds)
		}
	default:
		try(string(p.next.Request), func(p *process, w *world) {
			p.step(w)
			p.leaveToOthers()
		})
		if p.next.Request == sequence.ReadSequentialJob {
			try("sees the Jobs", func(p *process, w *world) { p.facts.Jobs = p.rules.jobsOf(w.jobs, p.facts.SequentialJob) })
		}
		out = append(out, m.refuse(placeID, processID)...)
	}
	m.stepMemo[key] = out
	return out
}

// refuse returns how else the next request may end: it is refused, or its answer is lost. A request that only reads and gets no answer
// ends the turn, as a crash does, and any other refusal of it is of no use; so these are left out.
func (m *model) refuse(placeID, processID uint32) []step {
	var out []step
	request := m.processes[processID].next.Request
	switch request {
	case sequence.CreateJob, sequence.ChangeJob, sequence.CheckSteps, sequence.AddFinalizer:
	default:
		return nil
	}
	if m.places[placeID].budget.Refusals <= 0 {
		return nil
	}
	for _, class := range refusals(request) {
		if (class == sequence.Invalid || class == sequence.Rejected) && m.controllers > 1 {
			continue // the API server does not answer so to one what it lets another do
		}
		out = append(out, m.try(placeID, processID, fmt.Sprintf("%s: refused: %s", request, class), 1, func(p *process, _ *world) {
			p.take(refusedAs(class))
		}))
	}
	if request != sequence.CheckSteps {
		out = append(out, m.try(placeID, processID, fmt.Sprintf("%s: the answer is lost", request), 1, func(p *process, w *world) {
			p.rules.send(w, &p.facts, p.next)
			p.take(refusedAs(sequence.Unavailable))
		}))
	}
	return out
}

// finds comes to the live read before a create.
func (p *process) finds(w *world) {
	stub := *w.sj
	stub.Spec, stub.Status, stub.ResourceVersion, stub.Generation = v1alpha1.SequentialJobSpec{}, v1alpha1.SequentialJobStatus{}, "", 0
	p.facts = sequence.Facts{Now: w.clock, SequentialJob: &stub, Jobs: p.rules.jobsOf(w.jobs, w.sj), PodSucceeded: w.hasShownSuccess(w.sj)}
	p.next = sequence.Action{Request: sequence.ReadSequentialJob}
}

// leaveToOthers ends a turn that finds from its cache that a step is due: there is one that begins with just that.
func (p *process) leaveToOthers() {
	isFirst := len(p.facts.Answers) == 0 && p.facts.Stored == nil
	if p.next.Request == sequence.ReadSequentialJob && isFirst && !sequence.Finished(&p.facts.SequentialJob.Status) {
		p.stop()
	}
}

func (m *model) try(placeID, processID uint32, label string, cost int8, do func(*process, *world)) step {
	from := m.places[placeID]
	w, p := from.clone(), m.processes[processID].clone()
	do(p, w)
	w.check()
	out := step{label: label, problems: w.problems}
	w.problems = nil
	to := place{world: w, budget: from.budget, first: from.first}
	to.budget.Refusals -= cost
	out.place, out.process = m.placeID(to), m.processID(p)
	return out
}
