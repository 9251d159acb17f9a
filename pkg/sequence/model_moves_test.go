package sequence_test

import (
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// budget is how often things may still go wrong. What puts them right again costs nothing and can always happen.
type budget struct {
	Failures, JobDeletions, Suspensions, Queueings, Raises, Lowerings, Edits, Deletions, Creations, Refusals, Thefts, Switches,
	Cancels, FinallyEdits int8
}

// demand is what users have to mind when they do something. The model shows that the promises hold if they do, and that
// each demand is needed. While one controller works at a time, as leader election sees to, there are only the first two.
type demand int

const (
	// nothing has to be minded.
	nothing demand = iota
	// startRecorded: a Job may be deleted only once status.steps names it, or the status asks for it. Otherwise nobody can
	// tell any more that it ever was.
	startRecorded
	// inForeground: the Job of a step that was edited away just as it started, which the status asks to be deleted, may be so
	// only in the foreground. Otherwise its pods may still run when the step starts that is there now.
	inForeground
	// nameFree: a Job may be deleted only while no former leader is about to create one, having read the SequentialJob
	// before that Job's start was recorded. Otherwise it may create it again: the name is the lock, and it is free again.
	nameFree
	// nobodyCreates: a SequentialJob may be deleted, or its next step edited, only while no former leader is about to
	// create a Job of its own. Otherwise the present leader may have cleaned up before.
	nobodyCreates
	// viewsAgree: a complete Job that is not recorded as complete may be deleted only while no former leader works on an
	// old view. Otherwise one may know that it was complete, and start the next step, and the other one only that it is gone. The same
	// goes for a Job that fails, because its time is up, after its pod has succeeded.
	viewsAgree
	// podTracked: the finalizer of the Job controller may be taken off a pod that has succeeded, and is not counted, only while no step
	// was started on that, nor the sequence may have been recorded as complete. Otherwise the pod may vanish, and the Job makes another one.
	podTracked
)

// worldMove is what others than the controller may do in a world.
type worldMove struct {
	place    uint32
	label    string
	demand   demand
	job      *jobRecord // the one that goes
	problems []string
}

// movesOf returns what may happen in a world.
func (m *model) movesOf(id uint32) []worldMove {
	if known, ok := m.worldMoves[id]; ok {
		return known
	}
	var out []worldMove
	from := m.places[id]
	add := func(label string, demand demand, job *jobRecord, cost *int8, do func(*place)) {
		to := place{world: from.clone(), budget: from.budget, first: from.first}
		if cost != nil && *cost <= 0 {
			return
		}
		do(&to)
		to.check()
		move := worldMove{label: label, demand: demand, job: job, problems: to.problems}
		to.problems = nil
		move.place = m.placeID(to)
		out = append(out, move)
	}
	for _, name := range slices.Sorted(maps.Keys(from.jobs)) {
		jobMoves(from, from.jobs[name], add)
	}
	for _, uid := range sortedKeys(from.left) {
		add("the pods that "+from.ledger[uid].name+" left end", nothing, nil, nil, func(p *place) { delete(p.left, uid) })
	}
	parentMoves(from, add)
	m.worldMoves[id] = out
	return out
}

type addMove = func(label string, demand demand, job *jobRecord, cost *int8, do func(*place))

// jobMoves are those of the Job controller, a queue, the garbage collector and users.
func jobMoves(from place, job *batchv1.Job, add addMove) {
	name, b := job.Name, &from.budget
	record, ours := from.ledger[job.UID]
	if !ours {
		add(name+" is removed by its owner", nameFree, &record, nil, func(p *place) { p.removeJob(name, false) })
		return
	}
	mind := nameFree
	switch isCurrent := from.sj != nil && from.sj.UID == record.owner; {
	case isCurrent && !from.sj.DeletionTimestamp.IsZero() && !job.DeletionTimestamp.IsZero():
		// It is a controller that deletes this one.
	case isCurrent && !record.recorded && !from.inTheWay(job):
		mind = startRecorded
	case isCurrent && (record.complete || record.pod.succeeded) && !record.done:
		mind = viewsAgree
	}
	runs := !sequence.HasEnded(job) && !isSuspended(job)
	if runs && isStopping(job) && !record.pod.succeeded {
		add(name+" fails, because its time is up", nothing, nil, nil, func(p *place) { p.failJob(name, batchv1.JobReasonDeadlineExceeded) })
	}
	if record.pod.watched {
		podMoves(from, job, &record, add)
	} else if runs {
		add(name+" completes", nothing, nil, nil, func(p *place) { p.completeJob(name) })
		add(name+" fails", nothing, nil, &b.Failures, func(p *place) {
			p.budget.Failures--
			p.failJob(name, batchv1.JobReasonBackoffLimitExceeded)
		})
	}
	if !sequence.HasEnded(job) && !heldByUs(job) {
		if record.queued {
			add("the queue resumes "+name, nothing, nil, nil, func(p *place) { p.queueSuspends(name, false) })
		} else {
			add("the queue suspends "+name, nothing, nil, &b.Queueings, func(p *place) {
				p.budget.Queueings--
				p.queueSuspends(name, true)
			})
		}
	}
	if isCurrent := from.sj != nil && from.sj.UID == record.owner; runs && isCurrent && record.recorded {
		theft := func(label string, do func(*world, string)) {
			add(label+name, nothing, nil, &b.Thefts, func(p *place) {
				p.budget.Thefts--
				do(p.world, name)
			})
		}
		if len(job.Labels) > 0 {
			theft("somebody takes the labels off ", (*world).takeLabels)
		}
		if len(job.OwnerReferences) > 0 {
			theft("somebody takes the owner off ", (*world).takeOwner)
		}
	}
	if from.isGarbage(job) {
		add("garbage collection removes "+name, mind, &record, nil, func(p *place) { p.removeJob(name, false) })
		return
	}
	if from.sj != nil && from.inTheWay(job) {
		add("a user deletes "+name+" in the foreground, as the status asks for", mind, &record, nil, func(p *place) { p.markJob(name) })
		add("a user deletes "+name+" in the background, as the status asks for", inForeground, &record, nil,
			func(p *place) { p.removeJob(name, true) })
		return
	}
	add("a user deletes "+name, mind, &record, &b.JobDeletions, func(p *place) {
		p.budget.JobDeletions--
		p.removeJob(name, true)
	})
	if runs {
		add("a user deletes "+name+" in the foreground", mind, &record, &b.JobDeletions, func(p *place) {
			p.budget.JobDeletions--
			p.markJob(name)
		})
	}
}

// parentMoves are those of the user who owns the SequentialJob.
func parentMoves(from place, add addMove) {
	b := &from.budget
	if from.sj == nil {
		add("the user creates the SequentialJob again", nothing, nil, &b.Creations, func(p *place) {
			p.budget.Creations--
			sj := newSequence()
			sj.Spec = *p.first.Spec.DeepCopy()
			p.apply(sj)
		})
		return
	}
	if !from.sj.DeletionTimestamp.IsZero() {
		return
	}
	specMoves(from, add)
	if slices.Contains(from.sj.Finalizers, v1alpha1.CleanupFinalizer) {
		add("a replace takes the finalizer off the SequentialJob", nothing, nil, &b.Thefts, func(p *place) {
			p.budget.Thefts--
			p.dropFinalizer(v1alpha1.CleanupFinalizer)
		})
	}
	if !from.isProtected() {
		return // its Jobs are collected, with whatever runs: wait until the finalizer is back
	}
	add("the user deletes the SequentialJob", nobodyCreates, nil, &b.Deletions, func(p *place) {
		p.budget.Deletions--
		p.deleteSJ(false)
	})
}
