package sequence

import (
	"maps"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Facts are all that is known of one SequentialJob in one turn. What is read or stored is never changed.
type Facts struct {
	// Now is used for the times of transitions that no Job tells, and for deadlines.
	Now time.Time
	// SequentialJob is the newest that is known; nil if there is none. Its outline is enough (see [Outline]).
	SequentialJob *v1alpha1.SequentialJob
	// Jobs are those that may belong to it, as a cache has them, and any that this process created and that no status names yet.
	// The rest are ignored.
	Jobs []*batchv1.Job
	// Gone are Jobs that this process saw being deleted, as they were last.
	Gone []*batchv1.Job
	// Unready is since when the running step's Job has had no ready pod, having had one; zero if that was not seen.
	Unready time.Time
	// Orphaned says that the user has asked, in deleting the SequentialJob, for its Jobs to be left alone. The API server's own mark of
	// that goes once they are released.
	Orphaned bool
	// PodLost says that a pod of the running step's Job failed or was deleted since the last turn.
	PodLost bool
	// PodSucceeded says that a pod of the running step's Job was seen to have succeeded. It may be old: it is a reason to look, no proof.
	PodSucceeded bool

	// The rest is what the API server answered in this turn.

	// Whole says that SequentialJob is as the API server has it, and no outline.
	Whole bool
	// Answers has an entry for each kind of request that was answered: the zero Refusal if the last one succeeded.
	Answers map[Request]Refusal
	// ReadJobs are the Jobs that were read, created or changed, by name. nil says that there is none of that name.
	ReadJobs map[string]*batchv1.Job
	// Stored is how the turn ends, now that the status is stored; nil before that.
	Stored *Action
	// Cramped says that the status was too large to be stored.
	Cramped bool
	// Checks are the answers to dry runs, by Action.Step.
	Checks map[int]Refusal
	// JobPods are what ListJobPods found.
	JobPods []corev1.Pod
	// Pods are what ListPods found.
	Pods []corev1.Pod
	// Events are what ListEvents found.
	Events []corev1.Event
}

// Answer is what came back for a request. Of the fields only that count which the request is about.
type Answer struct {
	// Refusal says why the request did not succeed, or is zero.
	Refusal Refusal
	// SequentialJob is as it was read, or as it is stored now; nil if there is none any more.
	SequentialJob *v1alpha1.SequentialJob
	// Job is as it was read, or as it is stored now.
	Job *batchv1.Job
	// Pods were listed.
	Pods []corev1.Pod
	// Events were listed.
	Events []corev1.Event
}

// With returns the facts with the answer to a request added.
func (f Facts) With(a Action, answer Answer) Facts {
	f.Answers = add(f.Answers, a.Request, answer.Refusal)
	if answer.Refusal.Class != "" {
		return f.refused(a, answer.Refusal)
	}
	switch a.Request {
	case ReadSequentialJob:
		return f.live(answer.SequentialJob)
	case StoreStatus:
		// All that led to it has been decided on.
		return Facts{Now: f.Now, SequentialJob: answer.SequentialJob, Stored: a.Then}
	case AddFinalizer:
		// What is written only as it was seen is as new as what is read.
		f.SequentialJob, f.Whole = answer.SequentialJob, true
		f.Answers[ReadSequentialJob] = Refusal{}
	case RemoveFinalizer, DeleteSequentialJob:
		f.SequentialJob = answer.SequentialJob
	case ReadJob:
		f.ReadJobs = add(f.ReadJobs, a.Name, answer.Job)
	case CreateJob, ChangeJob:
		f.ReadJobs = add(f.ReadJobs, answer.Job.Name, answer.Job)
	case DeleteJob:
		going := a.Job.DeepCopy()
		going.DeletionTimestamp = new(metav1.NewTime(f.Now))
		f.ReadJobs = add(f.ReadJobs, going.Name, going)
	case CheckSteps:
		f.checked(a.Step, Refusal{})
	case ListJobPods:
		f.JobPods = answer.Pods
	case ListPods:
		f.Pods = answer.Pods
	case ListEvents:
		f.Events = answer.Events
	case EndTurn:
	}
	return f
}

// live starts again with a SequentialJob that was just read. What was read before that may be older than it, and is forgotten.
func (f Facts) live(sj *v1alpha1.SequentialJob) Facts {
	checks := f.Checks
	if sj.UID != f.SequentialJob.UID {
		sj = nil // another one of the same name: its own turn will come
	} else if sj.Generation != f.SequentialJob.Generation {
		checks = nil
	}
	return Facts{
		Now: f.Now, SequentialJob: sj, Jobs: f.Jobs, Gone: f.Gone, Unready: f.Unready, Orphaned: f.Orphaned, PodLost: f.PodLost,
		PodSucceeded: f.PodSucceeded, Whole: true, Stored: f.Stored, Answers: map[Request]Refusal{ReadSequentialJob: {}}, Checks: checks,
	}
}

// checked adds the answer to a dry run, which may have taken so long that what was read before it no longer counts as live.
func (f *Facts) checked(step int, refusal Refusal) {
	f.Checks = add(f.Checks, step, refusal)
	delete(f.Answers, ReadSequentialJob)
}

// refused adds what a refusal tells.
func (f Facts) refused(a Action, refusal Refusal) Facts {
	switch {
	case a.Request == StoreStatus && refusal.Class == TooLarge && !f.Cramped:
		f.Cramped = true
		delete(f.Answers, StoreStatus) // once more, with less
	case a.Request == CheckSteps:
		f.checked(a.Step, refusal)
	case a.Request == CreateJob && refusal.Class == NameTaken:
		f.ReadJobs = maps.Clone(f.ReadJobs)
		delete(f.ReadJobs, a.Job.Name) // whoever has the name is asked for again
	case refusal.Class != Gone:
	case a.Request == ReadJob:
		f.ReadJobs = add(f.ReadJobs, a.Name, nil)
		f.Answers = add(f.Answers, a.Request, Refusal{})
	case a.Request == DeleteJob:
		f.ReadJobs = add(f.ReadJobs, a.Job.Name, nil)
		f.Answers = add(f.Answers, a.Request, Refusal{})
	case a.Request == ReadSequentialJob, a.Request == StoreStatus, a.Request == AddFinalizer, a.Request == RemoveFinalizer,
		a.Request == DeleteSequentialJob:
		f.SequentialJob = nil
	}
	return f
}

// isLive says whether the SequentialJob was read in this turn.
func (f *Facts) isLive() bool {
	return f.hasSucceeded(ReadSequentialJob)
}

// isAnswered says whether a request of that kind was sent, and answered, in this turn.
func (f *Facts) isAnswered(request Request) bool {
	_, ok := f.Answers[request]
	return ok
}

func (f *Facts) hasSucceeded(request Request) bool {
	refusal, ok := f.Answers[request]
	return ok && refusal.Class == ""
}

// refusalOf returns why the last request of that kind was refused, if it was.
func (f *Facts) refusalOf(request Request) (Refusal, bool) {
	refusal := f.Answers[request]
	return refusal, refusal.Class != ""
}

// add returns a copy of a map with one more entry: facts share their maps.
func add[K comparable, V any](in map[K]V, key K, value V) map[K]V {
	out := maps.Clone(in)
	if out == nil {
		out = map[K]V{}
	}
	out[key] = value
	return out
}
