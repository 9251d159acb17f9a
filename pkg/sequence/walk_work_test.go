package sequence_test

import (
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// work lets a process go on with its turn, or begin one. Now and then it pauses, or crashes, between two requests, or one is
// refused, or its answer is lost.
func (w *walk) work(i int) {
	s := w.processes[i]
	if s.isIdle() {
		w.trouble = []string{"", "Unschedulable"}[w.random.IntN(2)]
		s.begin(w.world)
	}
	for !s.isIdle() && len(w.problems) == 0 {
		if w.oneIn(12) {
			w.note("process %d pauses before it has to %s", i, s.next.Request)
			return
		}
		if w.oneIn(24) {
			w.note("process %d crashes before it can %s", i, s.next.Request)
			w.restart(s)
			return
		}
		if class, ok := w.anyRefusal(s.next.Request); ok {
			w.note("process %d: %s is refused: %s", i, s.next.Request, class)
			w.seen["refused: "+string(class)]++
			s.take(refusedAs(class))
			continue
		}
		w.note("process %d: %s %s", i, s.next.Request, w.loseAnswer())
		w.observe(s)
		if w.lost {
			w.seen["answer lost"]++
			s.rules.send(w.world, &s.facts, s.next)
			s.take(refusedAs(sequence.Unavailable))
			continue
		}
		s.step(w.world)
	}
}

// anyRefusal says whether a request is refused, and how. What is refused for good ends most walks early, so it is rare.
func (w *walk) anyRefusal(request sequence.Request) (sequence.Class, bool) {
	classes := refusals(request)
	if len(classes) == 0 || !w.oneIn(30) {
		return "", false
	}
	class := classes[w.random.IntN(len(classes))]
	return class, class != sequence.Invalid || w.oneIn(10)
}

// loseAnswer decides whether the answer to the next request gets lost, and says so.
func (w *walk) loseAnswer() string {
	if w.lost = w.oneIn(40); w.lost {
		return "(its answer is lost)"
	}
	return ""
}

// observe lets nobody pause, between deciding on a create and doing it, for so long that a sequence gets deleted for its
// age, and counts what is done.
func (w *walk) observe(s *process) {
	count := func(what string, happens bool) {
		if happens {
			w.seen[what]++
		}
	}
	switch a := s.next; a.Request {
	case sequence.DeleteSequentialJob:
		for _, other := range w.processes {
			if other.isCreating() {
				other.restart(w.world)
			}
		}
		count("expired", true)
	case sequence.CreateJob:
		_, waited := s.facts.Answers[sequence.ListPods]
		count("retried", waited)
		count("started the next step on a pod's success", s.facts.PodSucceeded)
		w.observeFinally(s, waited)
	case sequence.ReadJob:
		count("name conflict", s.facts.Answers[sequence.CreateJob].Class == sequence.NameTaken)
	case sequence.ListPods:
		count("waited for pods", len(w.runningPods(s.facts.SequentialJob)) > 0)
	case sequence.AddFinalizer:
		count("finalizer put back", len(s.facts.SequentialJob.Status.Steps) > 0)
	case sequence.ChangeJob:
		count("suspended a Job", ptr.Deref(a.Change.Suspend, false))
		count("resumed a Job", !ptr.Deref(a.Change.Suspend, true))
		count("changed a deadline", a.Change.ActiveDeadlineSeconds != nil)
		isStopped := stopsForCancel(s.facts.SequentialJob, a.Change)
		count("stopped a Job", isStopped)
		count("resumed what a queue had suspended, to stop it", isStopped && w.ledger[a.Change.Job.UID].queued)
		count("adopted a Job", len(a.Change.Labels) > 0 || a.Change.OwnerReferences != nil)
	case sequence.StoreStatus:
		before := s.facts.SequentialJob.Status
		count("resumed after failure", before.Phase == v1alpha1.SequentialJobFailed && !sequence.Finished(a.Status))
		p := a.Status.Progress
		count("waited for approval", isTold(a.Events, v1alpha1.ReasonSuspended, "waits for approval"))
		count("a step out of time", isTold(a.Events, v1alpha1.ReasonJobFailed, v1alpha1.ReasonStepDeadlineExceeded))
		count("cancelled", p.FailureReason == v1alpha1.ReasonCancelled && sequence.Finished(a.Status))
		count("cancelled before a step", p.FailureReason == v1alpha1.ReasonCancelled && a.Status.State.Failed == 0 && !sequence.Finished(&before))
		count("finally failed", p.FailureReason == v1alpha1.ReasonFinallyFailed && !sequence.Finished(&before))
		count("out of time", p.FailureReason == v1alpha1.ReasonDeadlineExceeded && !sequence.Finished(&before))
	default:
	}
}
