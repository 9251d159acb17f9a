package follow_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

func TestWhatIsWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		build func(*world)
		want  string
	}{
		"a controller": {
			build: func(*world) {},
			want:  "No controller has seen it yet. If it stays like this, none runs, or none for this namespace.",
		},
		"a resume": {
			build: func(w *world) {
				w.SequentialJob.Spec.Suspend = new(true)
				w.progress(v1alpha1.SequentialJobSuspended, v1alpha1.ReasonSuspended, "Suspended before job 0 (a)")
			},
			want: "Suspended before job 0 (a). Resume it when it may go on.",
		},
		"an approval": {
			build: func(w *world) {
				w.SequentialJob.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "a", Suspend: new(true)}}
				w.progress(v1alpha1.SequentialJobSuspended, v1alpha1.ReasonSuspended, "Suspended before job 0 (a)")
			},
			want: "Suspended before job 0 (a). The step waits for approval. Approve it when it may run.",
		},
		"a pod that has no node": {
			build: func(w *world) {
				w.progress(v1alpha1.SequentialJobRunning, v1alpha1.ReasonJobStarted, "Job 0 (a) started")
				w.job("etl-0", 0, -1)
				pod := w.pod("etl-0", "a1", 0)
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no node"}}
			},
			want: "a has no running pod: Unschedulable: no node",
		},
		"what the controller says": {
			build: func(w *world) {
				w.progress(v1alpha1.SequentialJobRunning, v1alpha1.ReasonJobCreateFailed, "Job 0 (a) is not created: quota")
			},
			want: "Job 0 (a) is not created: quota",
		},
		"nothing worth telling": {
			build: func(w *world) {
				w.progress(v1alpha1.SequentialJobRunning, v1alpha1.ReasonJobCompleted, "Job 0 completed successfully")
				w.job("etl-0", 0, 1)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			test.build(w)
			if diff := cmp.Diff([]string{"wait: " + test.want}, w.story(follow.Options{Follow: true})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A reason whose words alternate is told once.
func TestAPullThatFailsAgainIsTheSameReason(t *testing.T) {
	kinds := map[string]bool{}
	for _, reason := range []string{"ErrImagePull", "ImagePullBackOff"} {
		w := newWorld()
		w.progress(v1alpha1.SequentialJobRunning, v1alpha1.ReasonJobStarted, "Job 0 (a) started")
		w.job("etl-0", 0, -1)
		w.pod("etl-0", "a1", 0, started("a", waiting(reason), 0))
		kinds[follow.NewWalk(follow.Options{Follow: true}).Next(&w.State).Reason.Kind] = true
	}
	if len(kinds) != 1 {
		t.Errorf("kinds: %v", kinds)
	}
}

// The last pods of a sequence that has ended may not be known yet: the end is believed only of what was read just now.
func TestTheEndIsBelievedOnlyIfItIsFresh(t *testing.T) {
	w := newWorld()
	w.Ended, w.Fresh = true, false
	if diff := cmp.Diff([]string{"refresh"}, w.story(follow.Options{Follow: true})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.Fresh = true
	if diff := cmp.Diff([]string{"end"}, w.story(follow.Options{Follow: true})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
