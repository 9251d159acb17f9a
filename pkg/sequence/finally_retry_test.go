package sequence_test

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Pods of spec.finally that a deleted Job left behind may run still: no step starts beside them.
func TestAStepStartsOnlyOnceThePodsOfFinallyHaveEnded(t *testing.T) {
	s := tell(t, "extract", "load")
	s.sj.Spec.Finally = []corev1.Container{{Name: "clean", Image: "image/clean"}}
	s.sj.Spec.ActiveDeadlineSeconds, s.sj.Spec.Retries = new(int64(10)), new(int32(1))
	s.work().after(11*time.Second).end("etl-0", complete)
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = new(int64(1000)) })
	s.pods = []corev1.Pod{{Status: corev1.PodStatus{Phase: corev1.PodRunning}}}
	s.remove("etl-f0").wantJobs("etl-0")
	s.want(v1alpha1.SequentialJobRunning, "True Retrying: Job 1 starts once the pods that spec.finally left have ended")
	s.pods = nil
	s.work().wantJobs("etl-0", "etl-1")
}

// The steps have failed for their deadline: nothing about spec.finally can help them.
func TestAnEditOfFinallySpendsNoRetryOfTheSteps(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.SequentialJobSpec){
		"a container": func(spec *v1alpha1.SequentialJobSpec) { spec.Finally[1].Image = "image/fixed" },
		"its deadline": func(spec *v1alpha1.SequentialJobSpec) {
			spec.StepOverrides = []v1alpha1.StepOverride{{Name: "clean", ActiveDeadlineSeconds: new(int64(600))}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, "extract")
			s.sj.Spec.Finally = []corev1.Container{{Name: "notify", Image: "image/notify"}, {Name: "clean", Image: "image/clean"}}
			s.sj.Spec.ActiveDeadlineSeconds, s.sj.Spec.Retries = new(int64(60)), new(int32(2))
			s.work()
			withCondition(batchv1.JobFailed, corev1.ConditionTrue, batchv1.JobReasonDeadlineExceeded, "")(s.job("etl-0"))
			s.after(61 * time.Second).work().edit(change)
			s.end("etl-f0", complete).end("etl-f1", complete)
			s.wantJobs("etl-0", "etl-f0", "etl-f1")
			if got := s.sj.Status.Phase; got != v1alpha1.SequentialJobFailed {
				t.Errorf("phase %s", got)
			}
		})
	}
}

// What failed is spec.finally itself: edited, it may run again.
func TestAnEditOfFinallyThatFailedSpendsARetry(t *testing.T) {
	s := tell(t, "extract")
	s.sj.Spec.Finally = []corev1.Container{{Name: "clean", Image: "image/clean"}}
	s.sj.Spec.Retries = new(int32(1))
	s.work().end("etl-0", complete).end("etl-f0", failed).wantJobs("etl-0", "etl-f0")
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Finally[0].Image = "image/fixed" }).wantJobs("etl-0", "etl-f0", "etl-f0-r1")
	s.end("etl-f0-r1", complete)
	if got := s.sj.Status.Phase; got != v1alpha1.SequentialJobCompleted {
		t.Errorf("phase %s", got)
	}
}

// A policy has taken our labels off, so that no event tells of the Job.
func TestACancelledJobThatIsNotCachedIsLookedAtSoon(t *testing.T) {
	s := tell(t, "extract").work()
	s.sj.Spec.Cancel, s.sj.Generation = new(true), s.sj.Generation+1
	api := &server{jobs: s.jobs}
	for range 3 {
		turn, after := api.play(sequence.Facts{Now: s.now, SequentialJob: s.sj})
		if s.sj = after; turn.Last.LookAgain == 0 || turn.Last.LookAgain > time.Minute {
			t.Errorf("it is looked at again after %v", turn.Last.LookAgain)
		}
	}
}
