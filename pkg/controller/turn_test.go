package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestASequenceWritesTwiceAStep(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract", "load"))
	for _, ended := range []string{"", "etl-0", "etl-1"} {
		if ended != "" {
			w.endJob(ended, batchv1.JobComplete, "")
		}
		must(t, w.syncFresh())
	}
	want := []string{
		"get sequentialjobs etl", "dry run jobs", // the first step only
		"patch sequentialjobs etl", // the finalizer comes on
		"create jobs etl-0", "update sequentialjobs/status etl",
		"get sequentialjobs etl", "create jobs etl-1", "update sequentialjobs/status etl",
		"get jobs etl-2", "update sequentialjobs/status etl",
		"patch sequentialjobs etl", // and goes again
	}
	if diff := cmp.Diff(want, w.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	wantEvents := []string{
		"Normal JobStarted Started job 0",
		"Normal JobCompleted Job 0 completed successfully", "Normal JobStarted Started job 1",
		"Normal JobCompleted Job 1 completed successfully", "Normal Completed All 2 steps completed successfully",
	}
	if diff := cmp.Diff(wantEvents, w.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestTheFinalizerIsThereBeforeTheFirstJobAndGoneAtTheEnd(t *testing.T) {
	sj := newSequence("extract")
	sj.Finalizers = []string{"example.com/other"}
	w := newSyncWorld(t, sj)
	var before []string
	w.failCreates(func(clienttesting.CreateActionImpl) error {
		before = w.stored().Finalizers
		return nil
	})
	must(t, w.sync())
	if !slices.Contains(before, v1alpha1.CleanupFinalizer) {
		t.Errorf("finalizers %q when the Job was created", before)
	}
	w.endJob("etl-0", batchv1.JobComplete, "")
	must(t, w.syncFresh())
	if diff := cmp.Diff([]string{"example.com/other"}, w.stored().Finalizers); diff != "" {
		t.Errorf("finalizers at the end (-want +got):\n%s", diff)
	}
}

func TestNothingIsCreatedWithoutTheFinalizer(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	w.fail("patch", "sequentialjobs", func(clienttesting.Action) error { return internalErr })
	if err := w.sync(); err == nil {
		t.Error("sync: no error")
	}
	if writes := w.writes(); slices.Contains(writes, "create jobs etl-0") {
		t.Errorf("writes %q", writes)
	}
}

func TestAStatusConflictIsTriedAgainAndTellsNothing(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	must(t, w.sync())
	w.events()
	w.endJob("etl-0", batchv1.JobComplete, "")
	w.refresh()
	w.edit(func(sj *v1alpha1.SequentialJob) { sj.Labels = map[string]string{"edited": "meanwhile"} })
	w.c.memory.forget("uid-etl")

	w.c.queue.Add(key)
	w.c.workOnce(t.Context())
	if events := w.events(); events != nil {
		t.Errorf("events %q of a status that was not stored", events)
	}
	if w.stored().Status.Phase != v1alpha1.SequentialJobRunning || w.c.queue.NumRequeues(key) != 1 {
		t.Errorf("phase %s, requeues %d", w.stored().Status.Phase, w.c.queue.NumRequeues(key))
	}
	w.refresh()
	w.c.queue.Add(key)
	w.c.workOnce(t.Context())
	if w.stored().Status.Phase != v1alpha1.SequentialJobCompleted || w.c.queue.NumRequeues(key) != 0 {
		t.Errorf("phase %s, requeues %d", w.stored().Status.Phase, w.c.queue.NumRequeues(key))
	}
}

// edit changes the stored object behind the back of the controller.
func (w *world) edit(change func(*v1alpha1.SequentialJob)) {
	w.t.Helper()
	sj := w.stored().DeepCopy()
	change(sj)
	sj.ResourceVersion = w.nextVersion()
	must(w.t, w.client.Tracker().Update(sequentialJobs, sj, namespace))
}

func TestEventsComeOnlyAfterTheStatusIsStored(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	w.fail("update", "sequentialjobs", func(clienttesting.Action) error {
		if events := w.events(); events != nil {
			t.Errorf("events %q before the status was stored", events)
		}
		return nil
	})
	must(t, w.sync())
	if events := w.events(); len(events) != 1 {
		t.Errorf("events %q", events)
	}
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract", "load"))
	for _, name := range []string{"running", "failed"} {
		if name == "failed" {
			w.endJob("etl-0", batchv1.JobFailed, "BackoffLimitExceeded")
		}
		must(t, w.syncFresh())
		w.changeJob("etl-0", func(job *batchv1.Job) { job.Status.Ready = new(int32(1)) })
		w.refresh()
		w.clear()
		w.c.now = func() time.Time { return time.Now().Add(time.Hour) }
		must(t, w.sync())
		if writes := w.writes(); writes != nil {
			t.Errorf("%s: writes %q", name, writes)
		}
	}
}

// A cache that has not yet seen any write of this sequence must never make a step start a second time, even if the
// Job of that step has come and gone meanwhile.
func TestAStaleCacheStartsNoStepTwice(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract", "load"))
	must(t, w.sync())
	w.endJob("etl-0", batchv1.JobComplete, "")
	must(t, w.syncFresh())
	must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))

	old := newSequence("extract", "load")
	old.ResourceVersion = "1"
	for _, name := range []string{"the same process", "one that took over"} {
		if name == "one that took over" {
			w.c.memory.forget(old.UID)
		}
		must(t, w.sjs.Replace([]any{old}, ""))
		must(t, w.jobs.Replace(nil, ""))
		w.clear()
		must(t, w.sync())
		if writes := w.writes(); slices.Contains(writes, "create jobs etl-0") {
			t.Errorf("%s: writes %q", name, writes)
		}
	}
	if steps := w.stored().Status.Steps; len(steps) != 2 || steps[1].State != v1alpha1.StepRunning {
		t.Errorf("steps %+v", steps)
	}
}

func TestARunningJobThatIsNotCachedYetIsReadLive(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	must(t, w.sync())
	must(t, w.jobs.Replace(nil, ""))
	must(t, w.sync())
	if phase := w.stored().Status.Phase; phase != v1alpha1.SequentialJobRunning {
		t.Errorf("phase %s", phase)
	}
	w.fail("get", "jobs", func(clienttesting.Action) error { return internalErr })
	if err := w.sync(); err == nil {
		t.Error("sync: no error although nobody knows whether the Job is there")
	}
	if phase := w.stored().Status.Phase; phase != v1alpha1.SequentialJobRunning {
		t.Errorf("phase %s after a failed read", phase)
	}
}

func TestARunningJobThatIsReallyGoneFailsTheSequence(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract", "load"))
	must(t, w.sync())
	must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
	must(t, w.syncFresh())
	if sj := w.stored(); reasonOf(sj, v1alpha1.ConditionFailed) != v1alpha1.ReasonJobDeleted || len(sj.Status.Steps) != 1 {
		t.Errorf("status %+v", sj.Status)
	}
	must(t, w.syncFresh())
	if slices.Contains(w.writes(), "create jobs etl-1") {
		t.Errorf("writes %q", w.writes())
	}
}

func TestAFailureTellsWhatTheContainerSaid(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	must(t, w.sync())
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "etl-0-x",
		Labels: map[string]string{batchv1.ControllerUidLabel: string(w.job("etl-0").UID)}}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "extract", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Message: "no such table\n"},
	}}}
	must(t, w.kube.Tracker().Add(pod))
	w.endJob("etl-0", batchv1.JobFailed, "BackoffLimitExceeded")
	w.events()

	var podsDown error = internalErr
	w.fail("list", "pods", func(clienttesting.Action) error { return podsDown })
	for range 2 { // it is recorded at once, and asked about until there is an answer
		if err := w.syncFresh(); err != nil && !apierrors.IsInternalError(err) {
			t.Errorf("sync: %v", err)
		}
		w.wantFailure("Job 0 (extract) failed: BackoffLimitExceeded: its pods could not be asked yet")
	}
	podsDown = nil
	must(t, w.syncFresh())
	w.wantFailure(`Job 0 (extract) failed: BackoffLimitExceeded: container "extract" exited with code 2: no such table`)
	if events := w.events(); len(events) != 1 {
		t.Errorf("events %q, want one", events)
	}
	w.clear()
	must(t, w.syncFresh())
	if got := w.requests(); got != nil {
		t.Errorf("still asks: %q", got)
	}
}

// wantFailure checks what the condition Failed says.
func (w *world) wantFailure(want string) {
	w.t.Helper()
	if got := failedMessage(w.stored()); got != want {
		w.t.Errorf("message %q\nwant    %q", got, want)
	}
}

func TestAnObjectThatIsGoneIsForgotten(t *testing.T) {
	w := newSyncWorld(t, nil)
	must(t, w.sync())
	// Gone between cache and live read.
	must(t, w.sjs.Add(newSequence("extract")))
	must(t, w.sync())
	if writes := w.writes(); writes != nil {
		t.Errorf("writes %q", writes)
	}
}
