package controller

import (
	"errors"
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

// newDeletedWorld returns the world of a sequence that is deleted while its first step runs.
func newDeletedWorld(t *testing.T, finalizers ...string) *world {
	t.Helper()
	w := newSyncWorld(t, newSequence("extract", "load"))
	must(t, w.sync())
	w.edit(func(sj *v1alpha1.SequentialJob) {
		sj.DeletionTimestamp = &metav1.Time{Time: time.Now()}
		sj.Finalizers = append(sj.Finalizers, finalizers...)
	})
	w.refresh()
	w.clear()
	return w
}

func (w *world) exists() bool {
	w.t.Helper()
	_, err := w.client.Tracker().Get(sequentialJobs, namespace, sjName)
	if err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatal(err)
	}
	return err == nil
}

// ownPod returns a running pod of a Job of the sequence.
func ownPod(job *batchv1.Job) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: job.Name + "-pod", Labels: job.Labels,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
	}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
}

func TestADeletedSequenceWaitsForItsJob(t *testing.T) {
	w := newDeletedWorld(t)
	job := w.job("etl-0")
	pod := ownPod(job)
	must(t, w.kube.Tracker().Add(pod))
	must(t, w.sync())
	must(t, w.syncFresh()) // asks for the deletion only once
	if diff := cmp.Diff([]string{"delete jobs etl-0"}, w.writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	foreground := metav1.DeletePropagationForeground
	want := metav1.DeleteOptions{PropagationPolicy: &foreground,
		Preconditions: &metav1.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion}}
	if diff := cmp.Diff(want, w.deleteOptions()); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	must(t, w.kube.Tracker().Delete(podResource, namespace, pod.Name))
	must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
	must(t, w.syncFresh())
	if w.exists() {
		t.Error("the SequentialJob stays although its Job is gone")
	}
}

func (w *world) deleteOptions() metav1.DeleteOptions {
	for _, action := range w.kube.Actions() {
		if deletion, ok := action.(clienttesting.DeleteActionImpl); ok {
			return deletion.DeleteOptions
		}
	}
	return metav1.DeleteOptions{}
}

func TestADeletedSequenceWaitsForPodsThatItsJobLeft(t *testing.T) {
	w := newDeletedWorld(t)
	pod := ownPod(w.job("etl-0"))
	must(t, w.kube.Tracker().Add(pod))
	must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
	if err := w.sync(); err != errWaiting { //nolint:errorlint // no error has any part in it
		t.Errorf("sync: %v, want to wait: that a Job is gone is no error", err)
	}
	if !w.exists() {
		t.Fatal("the SequentialJob went before its pod")
	}
	pod.Status.Phase = corev1.PodSucceeded
	must(t, w.kube.Tracker().Update(podResource, pod, namespace))
	must(t, w.sync())
	if w.exists() {
		t.Error("the SequentialJob waits for a pod that has ended")
	}
}

func TestOrphanedJobsAreLeftAlone(t *testing.T) {
	w := newDeletedWorld(t, metav1.FinalizerOrphanDependents)
	must(t, w.kube.Tracker().Add(ownPod(w.job("etl-0"))))
	must(t, w.sync())
	if diff := cmp.Diff([]string{"patch sequentialjobs etl"}, w.writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{metav1.FinalizerOrphanDependents}, w.stored().Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
	w.job("etl-0")
}

// The garbage collector has released the Jobs already and dropped its own finalizer.
func TestReleasedJobsAreLeftAlone(t *testing.T) {
	w := newDeletedWorld(t)
	pod := ownPod(w.job("etl-0"))
	must(t, w.kube.Tracker().Add(pod))
	w.changeJob("etl-0", func(job *batchv1.Job) { job.OwnerReferences = nil })
	if err := w.sync(); !apierrors.IsConflict(err) || !w.exists() {
		t.Errorf("the cache still says that the Job is ours: sync: %v, SequentialJob exists: %v", err, w.exists())
	}
	if err := w.syncFresh(); !errors.Is(err, errWaiting) || !w.exists() {
		t.Errorf("the status names the Job, whose pod runs: sync: %v, SequentialJob exists: %v", err, w.exists())
	}
	pod.Status.Phase = corev1.PodSucceeded
	must(t, w.kube.Tracker().Update(podResource, pod, namespace))
	must(t, w.syncFresh())
	if w.exists() {
		t.Error("the SequentialJob waits for a Job that is not its own any more")
	}
	if job := w.job("etl-0"); !job.DeletionTimestamp.IsZero() {
		t.Error("the Job was deleted")
	}
}

func TestNothingIsCreatedOnceDeletionHasBegun(t *testing.T) {
	for name, refresh := range map[string]bool{"known to the cache": true, "not known to the cache": false} {
		t.Run(name, func(t *testing.T) {
			w := newSyncWorld(t, newSequence("extract"))
			w.edit(func(sj *v1alpha1.SequentialJob) {
				sj.DeletionTimestamp = &metav1.Time{Time: time.Now()}
				sj.Finalizers = []string{v1alpha1.CleanupFinalizer}
			})
			if refresh {
				w.refresh()
			}
			must(t, w.sync())
			if diff := cmp.Diff([]string{"patch sequentialjobs etl"}, w.writes()); diff != "" || w.exists() {
				t.Errorf("exists: %v, writes (-want +got):\n%s", w.exists(), diff)
			}
		})
	}
}

func TestADeletionThatFailsIsTriedAgain(t *testing.T) {
	for name, resource := range map[string][2]string{
		"read Job": {"get", "jobs"}, "delete Job": {"delete", "jobs"}, "list pods": {"list", "pods"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newDeletedWorld(t)
			if name != "delete Job" {
				must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
			}
			w.fail(resource[0], resource[1], func(clienttesting.Action) error { return internalErr })
			if err := w.sync(); !apierrors.IsInternalError(err) || !w.exists() {
				t.Errorf("sync: %v, SequentialJob exists: %v", err, w.exists())
			}
		})
	}
}

func TestAFinishedSequenceHoldsNobodyUp(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	must(t, w.sync())
	w.endJob("etl-0", batchv1.JobFailed, "BackoffLimitExceeded")
	must(t, w.syncFresh())
	if finalizers := w.stored().Finalizers; len(finalizers) != 0 {
		t.Errorf("finalizers %q", finalizers)
	}
}

// The process ended between storing the last status and removing the finalizer.
func TestAFinalizerThatWasLeftBehindIsRemoved(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	must(t, w.sync())
	w.endJob("etl-0", batchv1.JobComplete, "")
	must(t, w.syncFresh())
	w.edit(func(sj *v1alpha1.SequentialJob) { sj.Finalizers = []string{v1alpha1.CleanupFinalizer} })
	must(t, w.syncFresh())
	if finalizers := w.stored().Finalizers; len(finalizers) != 0 {
		t.Errorf("finalizers %q", finalizers)
	}
}
