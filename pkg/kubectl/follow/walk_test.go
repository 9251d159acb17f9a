package follow_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

func TestLogsComeInOrder(t *testing.T) {
	for name, test := range map[string]struct {
		build   func(*world)
		options follow.Options
		want    []string
	}{
		"steps, attempts, pods, and finally": {
			build: func(w *world) {
				w.job("etl-f0", 9, 10)
				w.job("etl-1-r1", 7, 8)
				w.job("etl-1", 3, 6)
				w.job("etl-0", 0, 2)
				w.pod("etl-1", "b2", 5, started("b", ended(2), 0))
				w.pod("etl-1", "b1", 4, started("b", ended(2), 0))
				w.pod("etl-0", "a1", 1, started("a", ended(0), 0))
				w.pod("etl-1-r1", "b3", 7, started("b", ended(2), 0))
				w.pod("etl-f0", "d1", 9, started("d", ended(0), 0))
			},
			want: []string{
				"ended: === a (Job etl-0, pod a1 on node)",
				"ended: === b (Job etl-1, pod b1 on node)",
				"ended: === b, pod 2 (Job etl-1, pod b2 on node)",
				"ended: === b, attempt 2 (Job etl-1-r1, pod b3 on node)",
				"ended: === d, finally (Job etl-f0, pod d1 on node)",
				"end",
			},
		},
		"within one second, by index and retry": {
			build: func(w *world) {
				for _, job := range []string{"etl-2", "etl-1-r10", "etl-1-r9", "etl-0"} {
					w.job(job, 0, 0)
				}
				w.pod("etl-2", "c1", 0, started("c", ended(0), 0))
				w.pod("etl-1-r10", "b10", 0, started("b", ended(0), 0))
				w.pod("etl-1-r9", "b9", 0, started("b", ended(0), 0))
				w.pod("etl-0", "a1", 0, started("a", ended(0), 0))
			},
			want: []string{
				"ended: === a (Job etl-0, pod a1 on node)",
				"ended: === b, attempt 10 (Job etl-1-r9, pod b9 on node)",
				"ended: === b, attempt 11 (Job etl-1-r10, pod b10 on node)",
				"ended: === c (Job etl-2, pod c1 on node)",
				"end",
			},
		},
		"finally before the retry that came after it, within one second": {
			build: func(w *world) {
				w.job("etl-0-r1", 5, 8)
				w.job("etl-f0", 5, 5)
				w.job("etl-f0-r1", 8, 9)
				w.job("etl-0", 1, 5)
				w.pod("etl-0", "a1", 1, started("a", ended(1), 0))
				w.pod("etl-f0", "d1", 5, started("d", ended(0), 0))
				w.pod("etl-0-r1", "a2", 5, started("a", ended(0), 0))
				w.pod("etl-f0-r1", "d2", 8, started("d", ended(0), 0))
			},
			want: []string{
				"ended: === a (Job etl-0, pod a1 on node)",
				"ended: === d, finally (Job etl-f0, pod d1 on node)",
				"ended: === a, attempt 2 (Job etl-0-r1, pod a2 on node)",
				"ended: === d, finally, attempt 2 (Job etl-f0-r1, pod d2 on node)",
				"end",
			},
		},
		"of the steps that are asked for": {
			build: func(w *world) {
				w.job("etl-0", 0, 1)
				w.job("etl-1", 1, 2)
				w.pod("etl-0", "a1", 0, started("a", ended(0), 0))
				w.pod("etl-1", "b1", 1, started("b", ended(0), 0))
			},
			options: follow.Options{Steps: []string{"b"}},
			want:    []string{"ended: === b (Job etl-1, pod b1 on node)", "end"},
		},
		"of the Job that is asked for": {
			build: func(w *world) {
				w.job("etl-0", 0, 1)
				w.job("etl-0-r1", 1, 2)
				w.pod("etl-0", "a1", 0, started("a", ended(1), 0))
				w.pod("etl-0-r1", "a2", 1, started("a", ended(1), 0))
			},
			options: follow.Options{Job: "etl-0-r1-uid"},
			want:    []string{"ended: === a, attempt 2 (Job etl-0-r1, pod a2 on node)", "end"},
		},
		"not of Jobs that are somebody else's": {
			build: func(w *world) {
				w.job("etl-0", 0, 1).OwnerReferences = ownedBy("another")
				w.pod("etl-0", "a1", 0, started("a", ended(0), 0))
				w.job("etl-1", 0, 1).OwnerReferences = nil
				w.pod("etl-1", "b1", 0, started("b", ended(0), 0))
			},
			want: []string{"end"},
		},
		"of a Job that the status names": {
			build: func(w *world) {
				w.job("etl-0", 0, 1).OwnerReferences = nil
				w.step("a", "etl-0", v1alpha1.StepCompleted, 0)
				w.pod("etl-0", "a1", 0, started("a", ended(0), 0))
			},
			want: []string{"ended: === a (Job etl-0, pod a1 on node)", "end"},
		},
		"of an init container that failed": {
			build: func(w *world) {
				w.job("etl-0", 0, 1)
				pod := w.pod("etl-0", "a1", 0, started("a", waiting("PodInitializing"), 0))
				pod.Status.Phase = corev1.PodFailed
				pod.Status.InitContainerStatuses = []corev1.ContainerStatus{started("ok", ended(0), 0), started("fetch", ended(3), 0)}
			},
			want: []string{
				"ended: === a, init container fetch, which failed (Job etl-0, pod a1 on node)",
				`=== a (pod a1): no log, it ended before the step started: container "fetch" exited with code 3 (node node)`,
				"end",
			},
		},
		"not of init containers if the step has run": {
			build: func(w *world) {
				w.job("etl-0", 0, 1)
				pod := w.pod("etl-0", "a1", 0, started("a", ended(0), 0))
				pod.Status.InitContainerStatuses = []corev1.ContainerStatus{started("fetch", ended(0), 1)}
			},
			want: []string{"ended: === a (Job etl-0, pod a1 on node)", "end"},
		},
		"of a container that restarts, as far as the node keeps them": {
			build: func(w *world) {
				w.job("etl-0", 0, -1)
				w.pod("etl-0", "a1", 0, started("a", running(), 3))
			},
			want: []string{
				"=== a (pod a1): the logs of earlier runs of the container are gone: a node keeps that of the last run that ended",
				"replaced: === a, restart 2 (Job etl-0, pod a1 on node)",
				"running: === a, restart 3 (Job etl-0, pod a1 on node)",
				"end",
			},
		},
		"of a container that restarted and has ended": {
			build: func(w *world) {
				w.job("etl-0", 0, 1)
				w.pod("etl-0", "a1", 0, started("a", ended(0), 1))
			},
			want: []string{
				"=== a (pod a1): the logs of earlier runs of the container are gone: a node keeps that of the last run that ended",
				"ended: === a, restart 1 (Job etl-0, pod a1 on node)", "end",
			},
		},
		"of a container that waits for its next run": {
			build: func(w *world) {
				w.job("etl-0", 0, -1)
				status := started("a", waiting("CrashLoopBackOff"), 1)
				w.pod("etl-0", "a1", 0, status)
			},
			want: []string{
				"=== a (pod a1): the logs of earlier runs of the container are gone: a node keeps that of the last run that ended",
				"ended: === a, restart 1 (Job etl-0, pod a1 on node)", "end",
			},
		},
		"a pod that has not started": {
			build: func(w *world) {
				w.job("etl-0", 0, -1)
				pod := w.pod("etl-0", "a1", 0)
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no node"}}
			},
			want: []string{"=== a (pod a1): no log, it has not started: Unschedulable: no node", "end"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			test.build(w)
			if diff := cmp.Diff(test.want, w.story(test.options)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsGoneIsSaid(t *testing.T) {
	for name, build := range map[string]struct {
		build func(*world)
		want  []string
	}{
		"a Job of a step, and of its first attempt": {
			build: func(w *world) {
				w.step("a", "etl-0", v1alpha1.StepCompleted, 0)
				w.step("b", "etl-1-r1", v1alpha1.StepCompleted, 1)
				w.job("etl-1-r1", 5, 6)
				w.pod("etl-1-r1", "b2", 5, started("b", ended(0), 0))
			},
			want: []string{
				"=== a (Job etl-0): the Job is gone, and its log with it",
				"=== b (Job etl-1): the Job is gone, and its log with it",
				"ended: === b, attempt 2 (Job etl-1-r1, pod b2 on node)",
				"end",
			},
		},
		"pods that their Job has counted": {
			build: func(w *world) {
				w.job("etl-0", 0, 5).Status.Failed = 3
				w.pod("etl-0", "a3", 4, started("a", ended(1), 0))
			},
			want: []string{
				"=== a (Job etl-0): 2 pods are gone, and their logs with them",
				"ended: === a (Job etl-0, pod a3 on node)",
				"end",
			},
		},
		"the only pod": {
			build: func(w *world) { w.job("etl-0", 0, 5).Status.Succeeded = 1 },
			want:  []string{"=== a (Job etl-0): a pod is gone, and its log with it", "end"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			build.build(w)
			if diff := cmp.Diff(build.want, w.story(follow.Options{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			w.Fresh = false
			if got := w.story(follow.Options{Follow: true}); got[len(got)-1] != "refresh" {
				t.Errorf("what may only lag behind is said to be gone: %q", got)
			}
		})
	}
}

// What was shown while it was there is not said to be gone, and not shown twice.
func TestWhatGoesAfterItWasShownIsNotMissed(t *testing.T) {
	w := newWorld()
	w.job("etl-0", 0, 1).Status.Succeeded = 1
	w.step("a", "etl-0", v1alpha1.StepCompleted, 0)
	w.pod("etl-0", "a1", 0, started("a", ended(0), 0))
	walk := follow.NewWalk(follow.Options{Follow: true})
	tell(walk, &w.State)
	w.Pods = nil
	if got := tell(walk, &w.State); len(got) != 1 {
		t.Errorf("without the pod: %q", got)
	}
	w.Jobs = nil
	if got := tell(walk, &w.State); len(got) != 1 {
		t.Errorf("without the Job: %q", got)
	}
}

func TestOnlyWhatHasNotEndedIsShownOfARetry(t *testing.T) {
	w := newWorld()
	w.step("a", "etl-0", v1alpha1.StepCompleted, 0)
	w.step("b", "etl-1", v1alpha1.StepFailed, 0)
	w.job("etl-1", 3, 4)
	w.pod("etl-1", "b1", 3, started("b", ended(1), 0))
	w.progress(v1alpha1.SequentialJobFailed, "BackoffLimitExceeded", "Job 1 (b) failed")
	walk := follow.NewWalk(follow.Options{Follow: true})
	walk.SkipEnded(&w.State)
	if diff := cmp.Diff([]string{"wait: the controller has not answered the last edit yet"}, tell(walk, &w.State)); diff != "" {
		t.Errorf("before the retry (-want +got):\n%s", diff)
	}
	w.progress(v1alpha1.SequentialJobRunning, v1alpha1.ReasonRetrying, "Retrying job 1 (b), retry 1 of 1")
	if diff := cmp.Diff([]string{"wait: Retrying job 1 (b), retry 1 of 1"}, tell(walk, &w.State)); diff != "" {
		t.Errorf("when it is granted (-want +got):\n%s", diff)
	}
	w.job("etl-1-r1", 9, -1)
	w.pod("etl-1-r1", "b2", 9, started("b", running(), 0))
	want := []string{"running: === b, attempt 2 (Job etl-1-r1, pod b2 on node)"}
	if diff := cmp.Diff(want, tell(walk, &w.State)[:1]); diff != "" {
		t.Errorf("when it runs (-want +got):\n%s", diff)
	}
}
