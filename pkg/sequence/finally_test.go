package sequence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What the model and the stories found about spec.finally and spec.cancel, each in the fewest words.

// withFinally tells of a sequence of one step with one container in spec.finally.
func withFinally(t *testing.T) *story {
	t.Helper()
	s := tell(t, "extract")
	s.sj.Spec.Finally = []corev1.Container{{Name: "clean", Image: "image/clean"}}
	return s
}

// A Job of spec.finally was deleted while it ran, and the sequence resumed at once: the pods that are left may run still.
func TestFinallyRunsAgainOnlyOnceThePodsOfItsLastRunHaveEnded(t *testing.T) {
	s := withFinally(t).work().end("etl-0", complete).remove("etl-f0")
	if s.sj.Status.Progress.FailureReason != v1alpha1.ReasonFinallyFailed {
		t.Fatalf("progress %+v", s.sj.Status.Progress)
	}
	s.pods = []corev1.Pod{{}}
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Retries = new(int32(1)) }).wantJobs("etl-0")
	s.pods = nil
	s.work().wantJobs("etl-0", "etl-f0-r1")
}

func TestTheDeadlineOfTheSequenceIsNotForFinally(t *testing.T) {
	t.Run("after it", func(t *testing.T) {
		s := withFinally(t)
		s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = new(int64(60)) })
		s.after(time.Hour).end("etl-0", withCondition(batchv1.JobFailed, corev1.ConditionTrue, batchv1.JobReasonDeadlineExceeded, ""))
		if deadline := s.job("etl-f0").Spec.ActiveDeadlineSeconds; deadline != nil {
			t.Errorf("etl-f0 has %d s", *deadline)
		}
		s.after(time.Hour).end("etl-f0", complete)
		if got := s.sj.Status.Progress.FailureReason; got != v1alpha1.ReasonDeadlineExceeded {
			t.Errorf("it failed for %s", got)
		}
	})
	t.Run("set while it runs", func(t *testing.T) {
		s := withFinally(t).work().end("etl-0", complete)
		s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = new(int64(0)) })
		if deadline := s.job("etl-f0").Spec.ActiveDeadlineSeconds; deadline != nil {
			t.Errorf("etl-f0 is given %d s", *deadline)
		}
	})
}

// The step had failed already, and retries were raised while spec.finally ran: a sequence that is cancelled does not go on.
func TestASequenceThatIsCancelledWhileFinallyRunsDoesNotGoOn(t *testing.T) {
	s := withFinally(t).work().end("etl-0", failed)
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Retries, spec.Cancel = new(int32(1)), new(true) })
	s.end("etl-f0", complete).wantJobs("etl-0", "etl-f0")
	if !sequence.Finished(&s.sj.Status) || slices.Contains(s.told, "Retrying") {
		t.Errorf("phase %s, %q", s.sj.Status.Phase, s.told)
	}
}

// The Job was created, by a controller that could not record that, and a policy that came since refuses it: the cache lacks it yet.
func TestAFinallyJobThatIsRefusedMayRunAlready(t *testing.T) {
	s := withFinally(t).work().end("etl-0", complete)
	after := s.sj
	s.sj = s.sj.DeepCopy()
	s.sj.Status.Finally = nil
	api := &server{jobs: s.jobs, refuse: func(a sequence.Action) sequence.Refusal {
		if a.Request == sequence.CreateJob {
			return sequence.Refusal{Class: sequence.Invalid, Causes: []metav1.StatusCause{{Message: "wrong"}}}
		}
		return sequence.Refusal{}
	}}
	turn, _ := api.play(sequence.Facts{Now: s.now, SequentialJob: s.sj, Jobs: s.jobs[:1]})
	if diff := cmp.Diff(after.Status.Finally, turn.Status.Finally); diff != "" || sequence.Finished(&turn.Status) {
		t.Errorf("phase %s while etl-f0 runs (-want +got):\n%s", turn.Status.Phase, diff)
	}
}

// A Job of which one pod of several has succeeded does not end by itself while it is suspended.
func TestASuspendedJobIsResumedToBeStoppedWhateverHasSucceeded(t *testing.T) {
	s := withFinally(t)
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = nil })
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) })
	job := s.job("etl-0")
	job.Spec.Completions, job.Status.Succeeded = new(int32(2)), 1
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Cancel = new(true) })
	if job = s.job("etl-0"); isSuspended(job) || !isStopping(job) {
		t.Errorf("suspended %v, deadline %v: it never ends", isSuspended(job), job.Spec.ActiveDeadlineSeconds)
	}
}

// Somebody has written the status: what is taken from it must be fit to be stored, and no turn go on forever.
func TestAForgedResultEndsTheSequence(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.SequentialJob){
		"a reason that is none": func(sj *v1alpha1.SequentialJob) { sj.Status.Result.Type, sj.Status.Result.Reason = "Failed", "-bad-" },
		"no steps":              func(sj *v1alpha1.SequentialJob) { sj.Spec.Containers = nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := withFinally(t).work().end("etl-0", complete)
			change(s.sj)
			s.end("etl-f0", complete)
			c := meta.FindStatusCondition(s.sj.Status.Conditions, v1alpha1.ConditionProgressing)
			if !sequence.Finished(&s.sj.Status) || !reasonFormat.MatchString(c.Reason) {
				t.Errorf("phase %s, reason %q", s.sj.Status.Phase, c.Reason)
			}
		})
	}
}

func TestTheOutlineHasOfFinallyTheNames(t *testing.T) {
	sj := withFinally(t).sj
	sequence.Outline(sj)
	if diff := cmp.Diff([]corev1.Container{{Name: "clean"}}, sj.Spec.Finally); diff != "" {
		t.Errorf("unexpected containers (-want +got):\n%s", diff)
	}
}
