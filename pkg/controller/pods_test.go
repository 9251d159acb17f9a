package controller

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// podOf returns the pod that the Job controller makes for a Job, as it is when a kubelet has run it.
func podOf(job *batchv1.Job, phase corev1.PodPhase) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: job.Spec.Template.ObjectMeta, Spec: job.Spec.Template.Spec}
	pod.Namespace, pod.Name, pod.UID = job.Namespace, job.Name+"-x", "uid-of-pod-of-"+job.UID
	pod.Labels = map[string]string{batchv1.ControllerUidLabel: string(job.UID)}
	for key, value := range job.Spec.Template.Labels {
		pod.Labels[key] = value
	}
	pod.Finalizers = []string{batchv1.JobTrackingFinalizer}
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))}
	pod.Status.Phase = phase
	return pod
}

// refreshPods brings the cache of pods up to date.
func (w *world) refreshPods() {
	w.t.Helper()
	pods, err := w.kube.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{LabelSelector: v1alpha1.AdvanceOnLabel})
	must(w.t, err)
	must(w.t, w.caches.of("").pods.Informer().GetIndexer().Replace(anys(pointers(pods.Items)), ""))
}

func TestTheSuccessOfAPodCostsFourRequests(t *testing.T) {
	sj := newSequence("extract", "load")
	sj.Spec.AdvanceOn = new(v1alpha1.AdvanceOnPodSucceeded)
	w := newSyncWorld(t, sj)
	w.settle()
	must(t, w.kube.Tracker().Add(podOf(w.job("etl-0"), corev1.PodSucceeded)))
	w.refreshPods()
	gaps := observations(t, "sequentialjob_step_gap_seconds")
	w.c.sawPod(podOf(w.job("etl-0"), corev1.PodRunning), podOf(w.job("etl-0"), corev1.PodSucceeded))
	w.clear()
	must(t, w.syncFresh())
	want := []string{"get sequentialjobs etl", "list pods", "create jobs etl-1", "update sequentialjobs/status etl"}
	if diff := cmp.Diff(want, w.requests()); diff != "" {
		t.Error(diff)
	}
	if got := observations(t, "sequentialjob_step_gap_seconds"); got != gaps+1 {
		t.Errorf("%d gaps between steps were measured, want 1", got-gaps)
	}
	before := w.job("etl-0")
	w.endJob("etl-0", batchv1.JobComplete, "")
	w.c.completions.observe(before, w.job("etl-0"), time.Now())
	w.c.completions.seen.Range(func(uid, _ any) bool { t.Errorf("Job %v is still remembered", uid); return true })
}

func TestByDefaultNoPodIsListed(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract", "load"))
	w.settle()
	must(t, w.kube.Tracker().Add(podOf(w.job("etl-0"), corev1.PodSucceeded)))
	w.endJob("etl-0", batchv1.JobComplete, "")
	w.settle()
	w.job("etl-1")
	if slices.Contains(w.requests(), "list pods") {
		t.Errorf("requests %q", w.requests())
	}
}

func TestOnlyTheSuccessOfAPodWakesItsSequence(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	sj := newSequence("extract")
	sj.Spec.AdvanceOn = new(v1alpha1.AdvanceOnPodSucceeded)
	job := jobOf(sj, 0)
	runs, succeeded, failed, stray := podOf(job, corev1.PodRunning), podOf(job, corev1.PodSucceeded), podOf(job, corev1.PodFailed), podOf(job, corev1.PodSucceeded)
	stray.OwnerReferences = nil
	for _, tc := range []struct {
		name          string
		before, after *corev1.Pod
		want          bool
	}{
		{"it appears", nil, runs, false},
		{"it fails", runs, failed, false},
		{"it has no Job", runs, stray, false},
		{"it had succeeded before", succeeded, succeeded, false},
		{"it succeeds", runs, succeeded, true},
		{"it appears as succeeded", nil, succeeded, true},
	} {
		w.c.sawPod(tc.before, essential(tc.after))
		got := w.c.queue.Len() > 0
		if got != tc.want {
			t.Errorf("%s: wakes the sequence: %t", tc.name, got)
		}
		if got {
			name, _ := w.c.queue.Get()
			w.c.queue.Done(name)
			if name != key {
				t.Errorf("%s: wakes %s", tc.name, name)
			}
		}
	}
}

// The whole controller, with its watches: nobody tells it but the pods.
func TestASequenceGoesOnWithItsPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sj := newSequence("extract", "transform", "load")
		sj.Spec.AdvanceOn = new(v1alpha1.AdvanceOnPodSucceeded)
		w := newWorld(t, sj)
		stop, done := running(t, w)
		for _, name := range []string{"etl-0", "etl-1"} {
			pod := podOf(w.job(name), corev1.PodRunning)
			must(t, w.kube.Tracker().Create(podResource, pod, namespace))
			synctest.Wait()
			must(t, w.kube.Tracker().Update(podResource, podOf(w.job(name), corev1.PodSucceeded), namespace))
			synctest.Wait()
		}
		w.job("etl-2")
		stop()
		must(t, <-done)
	})
}
