package controller

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/component-base/metrics/testutil"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// editSpec changes the spec, as a user does.
func (w *world) editSpec(change func(*v1alpha1.SequentialJobSpec)) {
	w.t.Helper()
	w.edit(func(sj *v1alpha1.SequentialJob) {
		change(&sj.Spec)
		sj.Generation++
	})
}

// settle syncs with fresh caches until nothing is written any more.
func (w *world) settle() {
	w.t.Helper()
	for range 20 {
		before := len(w.writes())
		if err := w.syncFresh(); err != nil && !errors.Is(err, errWaiting) {
			w.t.Fatal(err)
		}
		if len(w.writes()) == before {
			return
		}
	}
	w.t.Fatalf("it never comes to rest: %q", w.writes())
}

func (w *world) wantPhase(want v1alpha1.SequentialJobPhase) {
	w.t.Helper()
	if got := w.stored().Status.Phase; got != want {
		w.t.Errorf("phase %s, want %s", got, want)
	}
}

func TestSuspendReachesTheJobBeforeItIsReported(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	w.settle()
	w.clear()
	w.editSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) })
	w.settle()
	if want := []string{"patch jobs etl-0", "update sequentialjobs/status etl"}; !slices.Equal(w.writes(), want) {
		t.Errorf("writes %q, want %q", w.writes(), want)
	}
	job := w.job("etl-0")
	if !*job.Spec.Suspend || job.Annotations[v1alpha1.SuspendedByAnnotation] != v1alpha1.ControllerName {
		t.Errorf("Job %+v", job)
	}
	w.wantPhase(v1alpha1.SequentialJobSuspended)

	w.editSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = nil })
	w.settle()
	if job := w.job("etl-0"); *job.Spec.Suspend || job.Annotations[v1alpha1.SuspendedByAnnotation] != "" {
		t.Errorf("Job %+v", job)
	}
	w.wantPhase(v1alpha1.SequentialJobRunning)
}

func TestAJobThatCannotBeSuspendedIsToldAndTriedAgain(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	w.settle()
	var refusal error = apierrors.NewForbidden(jobs.GroupResource(), "etl-0", errors.New("admission webhook says no"))
	w.fail("patch", "jobs", func(clienttesting.Action) error { return refusal })
	w.editSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) })
	w.events()
	for range 3 {
		if err := w.syncFresh(); !errors.Is(err, errWaiting) {
			t.Fatalf("error %v", err)
		}
	}
	w.wantPhase(v1alpha1.SequentialJobRunning)
	events := w.events()
	if len(events) != 1 || !strings.Contains(events[0], "JobUpdateFailed Job etl-0 cannot be suspended") {
		t.Errorf("events %q", events)
	}
	refusal = nil
	w.settle()
	w.wantPhase(v1alpha1.SequentialJobSuspended)
}

func TestAChangeThatWasDecidedOnAnOldJobIsDecidedAgain(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	w.settle()
	w.fail("patch", "jobs", func(clienttesting.Action) error {
		return apierrors.NewConflict(jobs.GroupResource(), "etl-0", errors.New("modified"))
	})
	w.editSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) })
	if err := w.syncFresh(); !apierrors.IsConflict(err) {
		t.Errorf("error %v", err)
	}
	w.wantPhase(v1alpha1.SequentialJobRunning)
}

// sequencePod is a pod of a sequence, of a Job that may be gone.
func sequencePod(phase corev1.PodPhase, jobUID string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "etl-0-x", UID: "uid-pod",
			Labels: map[string]string{v1alpha1.SequentialJobUIDLabel: "uid-etl", batchv1.ControllerUidLabel: jobUID},
		},
		Status: corev1.PodStatus{Phase: phase},
	}
}

func TestARetryWaitsForThePodsOfADeletedJob(t *testing.T) {
	sj := newSequence("extract")
	sj.Spec.Retries = new(int32(1))
	w := newSyncWorld(t, sj)
	w.settle()
	must(t, w.kube.Tracker().Add(sequencePod(corev1.PodRunning, "gone")))
	must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
	w.settle()
	w.wantPhase(v1alpha1.SequentialJobRunning)
	if _, err := w.kube.Tracker().Get(jobs, namespace, "etl-0-r1"); !apierrors.IsNotFound(err) {
		t.Fatalf("the retry started while a pod of the first attempt runs: %v", err)
	}
	must(t, w.kube.Tracker().Update(podResource, sequencePod(corev1.PodFailed, "gone"), namespace))
	w.settle()
	w.job("etl-0-r1")
}

func TestTheReasonWhyAPodDoesNotStartIsAskedFor(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	w.settle()
	w.changeJob("etl-0", func(job *batchv1.Job) { job.Status.StartTime = &job.CreationTimestamp })
	must(t, w.kube.Tracker().Add(&corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: "why"},
		InvolvedObject: corev1.ObjectReference{UID: w.job("etl-0").UID}, Type: corev1.EventTypeWarning,
		Reason: "FailedCreate", Message: "exceeded quota: few-pods", LastTimestamp: metav1.Now(),
	}))
	w.events()
	w.clear()
	must(t, w.syncFresh())
	if got := w.requests(); got != nil {
		t.Errorf("a step that has just started is asked about: %q", got)
	}
	w.c.now = func() time.Time { return time.Now().Add(time.Minute) }
	must(t, w.syncFresh())
	if got := reasonOf(w.stored(), v1alpha1.ConditionProgressing); got != v1alpha1.ReasonPodNotStarted {
		t.Errorf("reason %s", got)
	}
	const want = "Warning PodNotStarted Job 0 (extract) has no running pod: FailedCreate: exceeded quota: few-pods"
	if got := w.events(); !slices.Equal(got, []string{want}) {
		t.Errorf("events %q", got)
	}
}

func finishedWithTTL(t *testing.T) *world {
	t.Helper()
	sj := newSequence("extract")
	sj.Spec.TTLSecondsAfterFinished = new(int32(60))
	w := newSyncWorld(t, sj)
	w.settle()
	w.endJob("etl-0", batchv1.JobComplete, "")
	w.settle()
	w.wantPhase(v1alpha1.SequentialJobCompleted)
	w.c.now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	return w
}

func TestAnExpiredSequenceIsDeletedWithPreconditions(t *testing.T) {
	w := finishedWithTTL(t)
	must(t, w.syncFresh())
	last := w.client.Actions()[len(w.client.Actions())-1]
	del, isDelete := last.(clienttesting.DeleteActionImpl)
	if !isDelete {
		t.Fatalf("last request %v", last)
	}
	if p := del.DeleteOptions.Preconditions; p == nil || *p.UID != "uid-etl" || p.ResourceVersion == nil {
		t.Errorf("preconditions %+v", p)
	}
	if policy := del.DeleteOptions.PropagationPolicy; policy == nil || *policy != metav1.DeletePropagationBackground {
		t.Errorf("propagation %v", policy)
	}
}

func TestATTLThatWasRaisedInTimeKeepsTheObjectEvenIfTheCacheDoesNotKnow(t *testing.T) {
	w := finishedWithTTL(t)
	w.refresh()
	w.editSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.TTLSecondsAfterFinished = new(int32(3600)) })
	must(t, w.sync())
	w.stored()
}

func TestADeletionThatSomebodyElseWasFasterWithIsNoError(t *testing.T) {
	w := finishedWithTTL(t)
	w.refresh()
	must(t, w.client.Tracker().Delete(sequentialJobs, namespace, sjName))
	must(t, w.sync())
}

// An unrecorded Job in the cache may have been replaced by one of the same name; if it is just gone, it still proves that
// the step was started.
func TestAJobThatIsTakenOverFromTheCacheIsReadLive(t *testing.T) {
	for name, replaced := range map[string]bool{"replaced": true, "gone": false} {
		t.Run(name, func(t *testing.T) {
			sj := newSequence("extract", "load")
			old := jobOf(sj, 0)
			w := newSyncWorld(t, sj, old)
			must(t, w.kube.Tracker().Delete(jobs, namespace, old.Name))
			want := old.UID
			if replaced {
				fresh := jobOf(sj, 0)
				fresh.UID, want = "uid-fresh", "uid-fresh"
				must(t, w.kube.Tracker().Add(fresh))
			}
			must(t, w.sync())
			if got := w.stored().Status.Steps[0].JobUID; got != want {
				t.Errorf("recorded Job %s, want %s", got, want)
			}
		})
	}
}

func TestAPanicStaysWithItsObject(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	w.fail("get", "sequentialjobs", func(clienttesting.Action) error { panic("a bug") })
	before, err := testutil.GetCounterMetricValue(syncPanics)
	must(t, err)
	w.c.queue.Add(key)
	if !w.c.workOnce(context.Background()) {
		t.Fatal("the worker ended")
	}
	after, err := testutil.GetCounterMetricValue(syncPanics)
	must(t, err)
	if after != before+1 {
		t.Errorf("%v panics counted, want %v", after, before+1)
	}
	if n := w.c.queue.NumRequeues(key); n != 1 {
		t.Errorf("tried again %d times, want 1", n)
	}
}

// Two controllers: the other has created the next step's Job and not recorded it yet, the user deletes the complete one, and
// this cache knows neither.
func TestAStepIsNotLostIfTheNextOnesJobExistsThatTheCacheLacks(t *testing.T) {
	sj := newSequence("extract", "load")
	sj.Spec.Retries = new(int32(1))
	w := newSyncWorld(t, sj)
	w.settle()
	w.endJob("etl-0", batchv1.JobComplete, "")
	next := jobOf(sj, 1)
	must(t, w.kube.Tracker().Add(next))
	must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
	must(t, w.jobs.Replace(nil, ""))
	must(t, w.sync())
	steps := w.stored().Status.Steps
	if len(steps) != 2 || steps[0].State != v1alpha1.StepCompleted || steps[1].JobUID != next.UID {
		t.Errorf("steps %+v", steps)
	}
}

// As above, but the failure was recorded before the Job of the next step came to be.
func TestARetryIsNotMadeIfTheNextStepsJobExistsThatTheCacheLacks(t *testing.T) {
	sj := newSequence("extract", "load")
	sj.Spec.Retries = new(int32(1))
	w := newSyncWorld(t, sj)
	w.settle()
	must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
	must(t, w.syncFresh())
	must(t, w.kube.Tracker().Add(jobOf(sj, 1)))
	w.settle()
	if steps := w.stored().Status.Steps; len(steps) != 2 || steps[0].State != v1alpha1.StepCompleted {
		t.Errorf("steps %+v", steps)
	}
	if _, err := w.kube.Tracker().Get(jobs, namespace, "etl-0-r1"); !apierrors.IsNotFound(err) {
		t.Errorf("the complete step is run again: %v", err)
	}
}
