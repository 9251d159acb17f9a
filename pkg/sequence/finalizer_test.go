package sequence_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// One that is created again under the same name must not run beside what the last one left.
func TestTheFinalizerStaysUntilThePodsOfADeletedJobHaveEnded(t *testing.T) {
	s := tell(t, "extract").work()
	s.pods = []corev1.Pod{podOf(s.job("etl-0"))}
	s.told = nil
	s.remove("etl-0").want("Failed", "False JobDeleted: Job 0 (extract) failed: "+jobDeleted).wantEvents("JobFailed: Job 0 (extract) failed: " + jobDeleted)
	if !s.last.Finalizer || !s.last.Last.TryAgain {
		t.Errorf("finalizer %v while a pod runs, it ends with %+v", s.last.Finalizer, s.last.Last)
	}
	s.pods[0].Status.Phase = corev1.PodFailed
	if s.work(); s.last.Finalizer || s.last.Last.TryAgain {
		t.Errorf("finalizer %v after the pods have ended, it ends with %+v", s.last.Finalizer, s.last.Last)
	}
	if s.work(); len(s.last.Requests) > 0 {
		t.Errorf("and then %q", s.last.Requests)
	}
}

func TestAFinalizerThatWasTakenAwayIsPutBackWhileThereIsSomethingToCleanUp(t *testing.T) {
	s := tell(t, "extract", "load").work()
	s.sj.Finalizers = []string{"other"}
	s.work()
	if diff := cmp.Diff([]string{"other", v1alpha1.CleanupFinalizer}, s.sj.Finalizers); diff != "" {
		t.Errorf("while a step runs (-want +got):\n%s", diff)
	}
	s.sj.Finalizers = nil
	s.edit(suspend)
	if !slices.Contains(s.sj.Finalizers, v1alpha1.CleanupFinalizer) {
		t.Error("not while it is suspended")
	}
	s.edit(resume).end("etl-0", complete).end("etl-1", complete)
	if slices.Contains(s.sj.Finalizers, v1alpha1.CleanupFinalizer) {
		t.Error("it stays after the end")
	}
}

// A policy may take the finalizer off, or put it on, each time: that must not become a turn without end.
func TestAFinalizerThatIsTakenAwayOrPutBackAtOnce(t *testing.T) {
	play := func(sj *v1alpha1.SequentialJob, finalizers []string, jobs ...*batchv1.Job) (requests []string, end sequence.Action, after *v1alpha1.SequentialJob) {
		api := &server{jobs: jobs}
		facts := sequence.Facts{Now: now, SequentialJob: sj, Jobs: slices.Clone(jobs)}
		for range 20 {
			a := sequence.Next(facts)
			if a.Request == sequence.EndTurn {
				return requests, a, facts.SequentialJob
			}
			requests = append(requests, string(a.Request))
			answer := api.answer(&facts, a)
			if answer.SequentialJob != nil {
				answer.SequentialJob.Finalizers = finalizers
			}
			facts = facts.With(a, answer)
		}
		t.Fatalf("a turn without end: %q", requests)
		return nil, end, nil
	}
	cleanup := []string{v1alpha1.CleanupFinalizer}

	// Nothing starts that could not be cleaned up.
	requests, end, after := play(newSequence("extract"), nil)
	const message = "True JobCreateFailed: Job etl-0 of step 0 cannot be created, trying again: " +
		"somebody takes the finalizer batch.example.com/cleanup from its SequentialJob"
	if got := conditions(&after.Status)["Progressing"]; got != message || !end.TryAgain || end.AtOnce || slices.Contains(requests, "create Job") {
		t.Errorf("%q, Progressing %q, it ends with %+v", requests, got, end)
	}
	// What runs is followed.
	running := nthRuns(0)
	running.Finalizers = nil
	requests, end, _ = play(running, nil, upTo(running, 0)...)
	if diff := cmp.Diff([]string{"add finalizer"}, requests); diff != "" || end.TryAgain || !isSlow(end.LookAgain) {
		t.Errorf("while it runs it ends with %+v, requests (-want +got):\n%s", end, diff)
	}
	// What has ended, or is deleted, is let go again later.
	completed := nthRuns(2)
	completed.Status = turnOf(completed, []*batchv1.Job{jobOf(completed, 2, complete)}, now).Status
	for name, sj := range map[string]*v1alpha1.SequentialJob{
		"ended": completed, "deleted": deleted(nthRuns(0)), "orphaned": deleted(nthRuns(0), metav1.FinalizerOrphanDependents),
	} {
		requests, end, _ = play(sj, append(cleanup, sj.Finalizers[1:]...))
		if requests[len(requests)-1] != "remove finalizer" || !end.TryAgain {
			t.Errorf("%s: %q, it ends with %+v", name, requests, end)
		}
	}
}
