package sequence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// deleted marks a SequentialJob as being deleted.
func deleted(sj *v1alpha1.SequentialJob, finalizers ...string) *v1alpha1.SequentialJob {
	sj.DeletionTimestamp = new(metav1.NewTime(now))
	sj.Finalizers = append([]string{v1alpha1.CleanupFinalizer}, finalizers...)
	return sj
}

// podOf returns a pod that runs, of a Job.
func podOf(job *batchv1.Job) corev1.Pod {
	out := podIn(corev1.PodRunning)
	out.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: job.Name, UID: job.UID, Controller: new(true)}}
	return out
}

func TestCleanUpStopsWhatRunsAndLeavesTheRest(t *testing.T) {
	sj := nthRuns(1)
	released := jobOf(sj, 1, running, func(job *batchv1.Job) { job.OwnerReferences = nil })
	second, third := jobOf(sj, 1, running), jobOf(sj, 2, running)
	const read1, list, remove = "read Job etl-1", "list pods", "remove finalizer"
	for name, tc := range map[string]struct {
		sj     *v1alpha1.SequentialJob
		cached []*batchv1.Job
		stored []*batchv1.Job // what else the API server holds
		gone   []*batchv1.Job
		pods   []corev1.Pod
		want   []string
		// waits is how it is looked at again; "" if it may go.
		waits string
	}{
		"what runs is deleted, what has ended is left to the garbage collector": {
			sj: deleted(nthRuns(1)), cached: upTo(sj, 1), want: []string{"delete Job etl-1"}, waits: "30s",
		},
		"one that no status names yet is deleted, too": {
			sj: deleted(nthRuns(1)), cached: []*batchv1.Job{second, third}, want: []string{"delete Job etl-1", "delete Job etl-2"}, waits: "30s",
		},
		"what is being deleted is waited for": {
			sj: deleted(nthRuns(1)), cached: []*batchv1.Job{jobOf(sj, 1, terminating)}, waits: "30s",
		},
		"nothing runs: the cache is not trusted, and nor are pods forgotten": {
			sj: deleted(nthRuns(1)), want: []string{read1, "read Job etl-2", list, remove},
		},
		"the running one is not cached": {
			sj: deleted(nthRuns(1)), stored: []*batchv1.Job{second}, want: []string{read1, "delete Job etl-1"}, waits: "30s",
		},
		"one that no status names yet is not cached": {
			sj: deleted(nthRuns(1)), stored: []*batchv1.Job{third}, want: []string{read1, "read Job etl-2", "delete Job etl-2"}, waits: "30s",
		},
		"the running one is known to be gone": {
			sj: deleted(nthRuns(1)), gone: []*batchv1.Job{second}, want: []string{"read Job etl-2", list, remove},
		},
		"a foreign Job that has the name of the next": {
			sj: deleted(nthRuns(1)), stored: []*batchv1.Job{jobOf(sj, 2, ownedByAnother)}, want: []string{read1, "read Job etl-2", list, remove},
		},
		"one that somebody took our reference from is not ours to delete any more": {
			sj: deleted(nthRuns(1)), cached: []*batchv1.Job{released}, want: []string{read1, "read Job etl-2", list, remove},
		},
		"but its pods are waited for": {
			sj: deleted(nthRuns(1)), cached: []*batchv1.Job{released}, pods: []corev1.Pod{podOf(second)},
			want: []string{read1, "read Job etl-2", list}, waits: "tries again",
		},
		"a pod whose Job was deleted in the background": {
			sj: deleted(nthRuns(1)), pods: []corev1.Pod{podOf(second)}, want: []string{read1, "read Job etl-2", list}, waits: "tries again",
		},
		"a pod whose Job has been replaced": {
			sj: deleted(nthRuns(1)), stored: []*batchv1.Job{jobOf(sj, 1, ownedByAnother)}, pods: []corev1.Pod{podOf(second)},
			want: []string{read1, "read Job etl-2", list}, waits: "tries again",
		},
		"a pod of an older step": {
			sj: deleted(nthRuns(1)), pods: []corev1.Pod{podOf(jobOf(sj, 0))}, want: []string{read1, "read Job etl-2", list, "read Job etl-0"}, waits: "tries again",
		},
		"a pod of a Job that was released": {
			sj: deleted(nthRuns(1)), stored: []*batchv1.Job{jobOf(sj, 0, running, func(job *batchv1.Job) { job.OwnerReferences = nil })},
			pods: []corev1.Pod{podOf(jobOf(sj, 0))}, want: []string{read1, "read Job etl-2", list, "read Job etl-0", remove},
		},
		"pods that have ended, or that nobody owns": {
			sj: deleted(nthRuns(1)), pods: []corev1.Pod{podIn(corev1.PodSucceeded), podIn(corev1.PodFailed), podIn(corev1.PodRunning)},
			want: []string{read1, "read Job etl-2", list, remove},
		},
		"Jobs are to be left alone": {
			sj: deleted(nthRuns(1), metav1.FinalizerOrphanDependents), cached: upTo(sj, 1), want: []string{remove},
		},
		"somebody took the finalizer": {
			sj: func() *v1alpha1.SequentialJob {
				sj := deleted(nthRuns(1))
				sj.Finalizers = []string{"other"}
				return sj
			}(), cached: upTo(sj, 1),
			waits: "slow",
		},
		"it has ended": {
			sj: func() *v1alpha1.SequentialJob {
				sj := nthRuns(2)
				sj.Status = turnOf(sj, []*batchv1.Job{jobOf(sj, 2, complete)}, now).Status
				return deleted(sj)
			}(),
			cached: []*batchv1.Job{jobOf(sj, 0, complete)}, want: []string{"read Job etl-3", list, remove},
		},
		"nothing was ever started": {
			sj: deleted(newSequence("extract")), want: []string{"read Job etl-0", list, remove},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			api := &server{jobs: slices.Concat(tc.cached, tc.stored), pods: tc.pods, refuse: func(a sequence.Action) sequence.Refusal {
				what := a.Name
				if a.Job != nil {
					what = a.Job.Name
				}
				if what != "" {
					what = " " + what
				}
				got = append(got, string(a.Request)+what)
				return sequence.Refusal{}
			}}
			turn, _ := api.play(sequence.Facts{Now: now, SequentialJob: tc.sj, Jobs: tc.cached, Gone: tc.gone})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("unexpected requests (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.sj.Status, turn.Status); diff != "" || len(turn.Events) > 0 {
				t.Errorf("what is being deleted goes on, with events %v:\n%s", turn.Events, diff)
			}
			waits := ""
			switch {
			case turn.Last.TryAgain:
				waits = "tries again"
			case isSlow(turn.Last.LookAgain):
				waits = "slow"
			case turn.Last.LookAgain > 0:
				waits = turn.Last.LookAgain.String()
			}
			if wantsGone := slices.Contains(tc.want, remove); turn.Finalizer == wantsGone && tc.waits != "slow" || !wantsGone && waits != tc.waits {
				t.Errorf("finalizer %v, waits %q, want %q", turn.Finalizer, waits, tc.waits)
			}
		})
	}
}

// A Job is deleted only as it was seen: if it has changed, because it was released or has ended, the next turn sees.
func TestCleanUpTriesAgainWhatWasRefused(t *testing.T) {
	for _, request := range []sequence.Request{sequence.DeleteJob, sequence.ReadJob, sequence.ListPods, sequence.RemoveFinalizer} {
		for _, class := range []sequence.Class{sequence.Conflict, sequence.Denied, sequence.Unavailable} {
			t.Run(string(request)+" "+string(class), func(t *testing.T) {
				sj := deleted(nthRuns(1))
				var cached []*batchv1.Job
				if request == sequence.DeleteJob {
					cached = upTo(sj, 1)
				}
				api := &server{jobs: cached, refuse: func(a sequence.Action) sequence.Refusal {
					if a.Request == request {
						return sequence.Refusal{Class: class, Message: "no"}
					}
					return sequence.Refusal{}
				}}
				turn, _ := api.play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: cached})
				if !turn.Last.TryAgain || !turn.Finalizer {
					t.Errorf("finalizer %v after %q, which ends with %+v", turn.Finalizer, turn.Requests, turn.Last)
				}
			})
		}
	}
}

func TestWhatIsGoneAlreadyNeedsNoCleanUp(t *testing.T) {
	gone := func(request sequence.Request) func(sequence.Action) sequence.Refusal {
		return func(a sequence.Action) sequence.Refusal {
			if a.Request == request {
				return sequence.Refusal{Class: sequence.Gone}
			}
			return sequence.Refusal{}
		}
	}
	sj := deleted(nthRuns(1))
	jobs := []*batchv1.Job{jobOf(sj, 1, running)}
	turn, _ := (&server{refuse: gone(sequence.DeleteJob)}).play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: jobs})
	if diff := cmp.Diff([]string{"delete Job", "read Job", "list pods", "remove finalizer"}, turn.Requests); diff != "" {
		t.Errorf("unexpected requests (-want +got):\n%s", diff)
	}
	turn, after := (&server{refuse: gone(sequence.RemoveFinalizer)}).play(sequence.Facts{Now: now, SequentialJob: sj})
	if after != nil || turn.Last.TryAgain || turn.Last.LookAgain != 0 {
		t.Errorf("it goes on with %v, and ends with %+v", after, turn.Last)
	}
}

// What is deleted for its age may have been given more time, or been retried, just now.
func TestExpiryAsksTheLiveObject(t *testing.T) {
	s := tell(t, "only")
	s.sj.Spec.TTLSecondsAfterFinished = new(int32(60))
	s.work().end("etl-0", complete).after(time.Hour)
	for name, tc := range map[string]struct {
		live func(*v1alpha1.SequentialJob)
		want []string
	}{
		"it agrees":                  {func(*v1alpha1.SequentialJob) {}, []string{"read SequentialJob", "delete SequentialJob"}},
		"it was given more time":     {func(sj *v1alpha1.SequentialJob) { sj.Spec.TTLSecondsAfterFinished = new(int32(9999)) }, []string{"read SequentialJob"}},
		"it is another of that name": {func(sj *v1alpha1.SequentialJob) { sj.UID = types.UID("uid-other") }, []string{"read SequentialJob"}},
	} {
		t.Run(name, func(t *testing.T) {
			api, got := &server{}, []string(nil)
			facts := sequence.Facts{Now: s.now, SequentialJob: s.sj}
			for range 9 {
				a := sequence.Next(facts)
				if a.Request == sequence.EndTurn {
					break
				}
				got = append(got, string(a.Request))
				answer := api.answer(&facts, a)
				if a.Request == sequence.ReadSequentialJob {
					tc.live(answer.SequentialJob)
				}
				facts = facts.With(a, answer)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("unexpected requests (-want +got):\n%s", diff)
			}
		})
	}
}
