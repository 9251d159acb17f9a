package sequence_test

import (
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Each of these takes one rule of spec.finally or spec.cancel away.
var finallyMutations = []flaw{
	{scenario{name: "the result is stored first: the first of spec.finally is created in the turn that decides on the result", steps: 1,
		finally: 1, controllers: 1, budget: budget{Failures: 1, Raises: 1}, without: grantAndCreate},
		"Job etl-f0 was told the result Failed, which is Completed"},
	{scenario{name: "failure is stored first: the next of spec.finally is created in the turn that sees the one before fail", steps: 1,
		finally: 2, controllers: 1, budget: budget{Failures: 1}, without: createInSameTurn}, "finally job 0 is recorded as complete, its Job was not"},
	{scenario{name: "pods first: spec.finally does not wait for the pods of a step whose Job was deleted", steps: 1, finally: 1, controllers: 1,
		budget: budget{JobDeletions: 1}, without: ignorePods}, "Job etl-f0 is created while a pod of Job etl-0 runs"},
	{scenario{name: "a result stays: what is stored of the result does not count", steps: 1, finally: 1, controllers: 1,
		budget: budget{Raises: 1, Failures: 1}, without: forgetResult}, "the result changed"},
	{scenario{name: "cancelled is resumed: a Job that is suspended is left suspended when it is stopped", steps: 1, controllers: 1,
		budget: budget{Cancels: 1, Suspensions: 1}, without: leaveSuspended}, noWayToAnEnd},
}

// Each of these lets users do what the documentation asks them not to do.
var finallyCarelessness = []flaw{
	{scenario{name: "a sequence is cancelled while a former leader is about to create a Job of its own", steps: 2, finally: 1, controllers: 2,
		budget: budget{Cancels: 1}, careless: []demand{nobodyCreates}}, "several Jobs run at once: etl-1 and etl-f0"},
	{scenario{name: "spec.finally is edited while a former leader is about to create a Job of its own", steps: 1, finally: 1, controllers: 2,
		budget: budget{FinallyEdits: 1}, careless: []demand{nobodyCreates}}, "Job etl-f0 is created after its sequence ended"},
}

// createInSameTurn goes on from the end of one of spec.finally at once, as is right if it is complete.
func createInSameTurn(r *rules) {
	next := r.next
	r.next = func(f sequence.Facts) sequence.Action {
		a := next(f)
		if a.Request != sequence.StoreStatus || !a.Then.AtOnce || f.SequentialJob.Status.Result == nil {
			return a
		}
		f.SequentialJob = f.SequentialJob.DeepCopy()
		f.SequentialJob.Status = *a.Status.DeepCopy()
		return next(f)
	}
}

// forgetResult decides on the result of the steps each time.
func forgetResult(r *rules) {
	onSteps(r, func(sj *v1alpha1.SequentialJob) {
		if len(sj.Status.Finally) == 0 {
			sj.Status.Result = nil
		}
	})
}

// leaveSuspended gives a Job that is stopped its deadline and no more.
func leaveSuspended(r *rules) {
	send := r.send
	r.send = func(w *world, f *sequence.Facts, a sequence.Action) sequence.Answer {
		if a.Request == sequence.ChangeJob && ptr.Deref(f.SequentialJob.Spec.Cancel, false) {
			change := *a.Change
			change.Suspend = nil
			a.Change = &change
		}
		return send(w, f, a)
	}
}
