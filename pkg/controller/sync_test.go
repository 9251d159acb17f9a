package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
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
	kube, client := splitWrites(w.writes())
	if diff := cmp.Diff([]string{"create jobs etl-0", "create jobs etl-1"}, kube); diff != "" {
		t.Errorf("writes of Jobs (-want +got):\n%s", diff)
	}
	wantClient := []string{
		"patch sequentialjobs etl", // the finalizer comes on
		"update sequentialjobs/status etl", "update sequentialjobs/status etl", "update sequentialjobs/status etl",
		"patch sequentialjobs etl", // and goes again
	}
	if diff := cmp.Diff(wantClient, client); diff != "" {
		t.Errorf("writes of the SequentialJob (-want +got):\n%s", diff)
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

func splitWrites(writes []string) (kube, client []string) {
	isJob := func(write string) bool { return write == "create jobs etl-0" || write == "create jobs etl-1" }
	for _, write := range writes {
		if isJob(write) {
			kube = append(kube, write)
		} else {
			client = append(client, write)
		}
	}
	return kube, client
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
	w.client.PrependReactor("patch", "sequentialjobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, internalErr
	})
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
	w.c.ownWrites.forget("uid-etl")

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
	w.client.PrependReactor("update", "sequentialjobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		if events := w.events(); events != nil {
			t.Errorf("events %q before the status was stored", events)
		}
		return false, nil, nil
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
		w.kube.ClearActions()
		w.client.ClearActions()
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
			w.c.ownWrites.forget(old.UID)
		}
		must(t, w.sjs.Replace([]any{old}, ""))
		must(t, w.jobs.Replace(nil, ""))
		w.kube.ClearActions()
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
	w.kube.PrependReactor("get", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, internalErr })
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
	kube, _ := splitWrites(w.writes())
	if diff := cmp.Diff([]string{"create jobs etl-0"}, kube); diff != "" {
		t.Errorf("writes of Jobs (-want +got):\n%s", diff)
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

	podsDown := true
	w.kube.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) { return podsDown, nil, internalErr })
	if err := w.syncFresh(); err == nil || w.stored().Status.Phase == v1alpha1.SequentialJobFailed {
		t.Errorf("sync: %v, phase %s: the reason would be lost", err, w.stored().Status.Phase)
	}
	podsDown = false
	must(t, w.syncFresh())
	want := `Job 0 (extract) failed: BackoffLimitExceeded: container "extract" exited with code 2: no such table`
	if got := failedMessage(w.stored()); got != want {
		t.Errorf("message %q\nwant    %q", got, want)
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

func TestTheEchoOfAnOwnWriteWakesNobody(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	before := w.stored().DeepCopy()
	must(t, w.sync())
	own := w.stored()
	foreign := own.DeepCopy()
	foreign.ResourceVersion, foreign.Status.Phase = w.nextVersion(), v1alpha1.SequentialJobFailed
	labelled := own.DeepCopy()
	labelled.ResourceVersion, labelled.Labels = w.nextVersion(), map[string]string{"a": "b"}
	edited := own.DeepCopy()
	edited.ResourceVersion, edited.Generation = w.nextVersion(), 2
	deleted := own.DeepCopy()
	deleted.ResourceVersion, deleted.DeletionTimestamp = w.nextVersion(), &metav1.Time{Time: time.Now()}
	for _, tc := range []struct {
		name          string
		before, after *v1alpha1.SequentialJob
		want          bool
	}{
		{"own write", before, own, false},
		{"foreign status write", own, foreign, true},
		{"label edit", own, labelled, false},
		{"spec edit", own, edited, true},
		{"deletion", own, deleted, true},
	} {
		if got := w.c.needsSync(tc.before, tc.after); got != tc.want {
			t.Errorf("%s: needsSync %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestASpecEditTogetherWithTheEchoIsNotMissed(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	before := w.stored().DeepCopy()
	w.edit(func(sj *v1alpha1.SequentialJob) { sj.Generation = 2 }) // arrives with the echo of the write below
	must(t, w.syncFresh())
	if !w.c.needsSync(before, w.stored()) {
		t.Error("an edit of the spec was taken for an echo")
	}
}
