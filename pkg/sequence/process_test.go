package sequence_test

import (
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// process is a controller process: the real core, which is asked what to send and told the answer, one request a step, so that
// anything may happen between two. It decides on caches that may lag behind, and does not remember its own writes, so its view is
// worse than a real controller's.
type process struct {
	rules *rules

	seenSJ   *v1alpha1.SequentialJob // cache
	seenJobs map[string]*batchv1.Job // cache
	seenGone []*batchv1.Job          // what the watch showed last of Jobs that are gone
	watched  int                     // how many of them there were

	// facts are the turn under way; facts.SequentialJob is nil if there is none.
	facts sequence.Facts
	// next is what it is about to send.
	next sequence.Action
	// looking is which of its caches it is about to look at. Only the model takes time for that.
	looking string
}

// rules are what a process goes by. To show what a rule is good for, tests take one away.
type rules struct {
	next func(sequence.Facts) sequence.Action
	send func(*world, *sequence.Facts, sequence.Action) sequence.Answer
	// jobsOf returns the cached Jobs that may belong to a SequentialJob.
	jobsOf func(cached map[string]*batchv1.Job, sj *v1alpha1.SequentialJob) []*batchv1.Job
	// trustCache creates what the cache says is due.
	trustCache bool
}

func realRules() *rules {
	return &rules{next: sequence.Next, send: (*world).serve, jobsOf: labelled}
}

// labelled returns the Jobs that a cache has of a SequentialJob, in the order of their names: it holds only what has our label, and
// knows them by their controller or, if somebody took that away, by the label.
func labelled(cached map[string]*batchv1.Job, sj *v1alpha1.SequentialJob) []*batchv1.Job {
	var out []*batchv1.Job
	for _, name := range slices.Sorted(maps.Keys(cached)) {
		job := cached[name]
		label := types.UID(job.Labels[v1alpha1.SequentialJobUIDLabel])
		owner := metav1.GetControllerOfNoCopy(job)
		if label != "" && (owner != nil && owner.UID == sj.UID || owner == nil && label == sj.UID) {
			out = append(out, outlineJob(job))
		}
	}
	return out
}

func outlineJob(job *batchv1.Job) *batchv1.Job {
	if !sequence.HasEnded(job) { // its template is all that would be missing, and the jobs of the model have little of that
		return job
	}
	out := job.DeepCopy()
	sequence.OutlineJob(out)
	return out
}

func newProcess(w *world) *process {
	p := &process{rules: realRules()}
	p.restart(w)
	return p
}

func (p *process) clone() *process {
	out := *p
	return &out
}

// restart starts the process again: its caches are filled before it does anything.
func (p *process) restart(w *world) {
	p.stop()
	p.seenGone, p.watched = nil, len(w.removed)
	p.seeSJ(w)
	p.seenJobs = maps.Clone(w.jobs)
}

func (p *process) seeSJ(w *world) { p.seenSJ = w.sj }

// seeJobs brings its cache up to date. The watch shows every state of a Job, also the last one before it went.
func (p *process) seeJobs(w *world) {
	p.seenGone = append(slices.Clip(p.seenGone), w.removed[p.watched:]...)
	p.watched = len(w.removed)
	p.seenJobs = maps.Clone(w.jobs)
}

// stop ends a turn, by its end or by a crash.
func (p *process) stop() {
	p.facts, p.next = sequence.Facts{}, sequence.Action{Request: sequence.EndTurn}
}

func (p *process) isIdle() bool { return p.next.Request == sequence.EndTurn }

// sync is one turn of the worker, without anything in between.
func (p *process) sync(w *world) {
	p.stop()
	for p.begin(w); !p.isIdle(); {
		p.step(w)
	}
}

// begin comes to the first request of a turn.
func (p *process) begin(w *world) {
	if p.gather(w); p.seenSJ != nil {
		p.ask()
	}
}

// gather makes the facts of a turn of what the caches have.
func (p *process) gather(w *world) {
	if p.stop(); p.seenSJ == nil {
		return
	}
	p.facts = sequence.Facts{
		Now: w.clock, SequentialJob: outline(p.seenSJ), Jobs: p.rules.jobsOf(p.seenJobs, p.seenSJ), PodSucceeded: w.hasShownSuccess(p.seenSJ),
	}
	for _, job := range p.seenGone {
		if metav1.IsControlledBy(job, p.seenSJ) {
			p.facts.Gone = append(p.facts.Gone, job)
		}
	}
	if p.rules.trustCache {
		p.facts.SequentialJob, p.facts.Whole = p.seenSJ, true
	}
}

// outline returns what a cache keeps.
func outline(sj *v1alpha1.SequentialJob) *v1alpha1.SequentialJob {
	kept := *sj
	sequence.Outline(&kept)
	return &kept
}

// step sends the next request and goes on to the one after it.
func (p *process) step(w *world) {
	p.take(p.rules.send(w, &p.facts, p.next))
}

// take goes on with an answer.
func (p *process) take(answer sequence.Answer) {
	p.facts = p.facts.With(p.next, answer)
	p.ask()
}

func (p *process) ask() {
	if p.rules.trustCache {
		p.facts.Answers = maps.Clone(p.facts.Answers)
		if p.facts.Answers == nil {
			p.facts.Answers = map[sequence.Request]sequence.Refusal{}
		}
		p.facts.Answers[sequence.ReadSequentialJob] = sequence.Refusal{}
	}
	if p.next = p.rules.next(p.facts); p.isIdle() {
		p.stop()
	}
}

// isCreating says whether this turn may create a Job on the strength of what it has read.
func (p *process) isCreating() bool {
	_, live := p.facts.Answers[sequence.ReadSequentialJob]
	return live && slices.Contains([]sequence.Request{
		sequence.ReadJob, sequence.CheckSteps, sequence.ListPods, sequence.ListJobPods, sequence.AddFinalizer, sequence.CreateJob,
	}, p.next.Request)
}

// mayCreate says whether it may be a Job of that name: what was read does not say that this one was ever started.
func (p *process) mayCreate(job *jobRecord) bool {
	if !p.isCreating() || p.facts.SequentialJob.UID != job.owner {
		return false
	}
	status := &p.facts.SequentialJob.Status
	if sequence.IsFinally(job.index) { // none is created before the result is stored
		return status.Result != nil && status.Progress.FinallyRuns-1 == job.retry && job.index-sequence.FirstFinally >= len(status.Finally)
	}
	steps := status.Steps
	return job.index >= len(steps) || steps[job.index].Retries < job.retry
}
