package sequence_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// failAt tells of a sequence of two steps that failed with the second one.
func failAt(t *testing.T, change func(*v1alpha1.SequentialJobSpec)) *story {
	t.Helper()
	s := tell(t, "extract", "load")
	change(&s.sj.Spec)
	return s.work().end("etl-0", complete).end("etl-1", failed)
}

func andNotify(spec *v1alpha1.SequentialJobSpec) {
	spec.Finally = []corev1.Container{{Name: "notify"}}
}

func cancelled(spec *v1alpha1.SequentialJobSpec) { spec.Cancel = new(true) }

func unchanged(*v1alpha1.SequentialJobSpec) {}

func TestARetryIsPlannedForWhatHasFailed(t *testing.T) {
	again := sequence.Retry{Retries: 1, Index: 1, Step: "load"}
	for name, tc := range map[string]struct {
		story func(*testing.T) *story
		want  sequence.Retry
		err   error
	}{
		"the failed step goes on": {
			story: func(t *testing.T) *story { return failAt(t, unchanged) }, want: again,
		},
		"under the name that it was given since": {
			story: func(t *testing.T) *story {
				return failAt(t, unchanged).edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Containers[1].Name = "store" })
			},
			want: sequence.Retry{Retries: 1, Index: 1, Step: "store"},
		},
		"with one retry more than it has used": {
			story: func(t *testing.T) *story { return failAt(t, retries(1)).end("etl-1-r1", failed) },
			want:  sequence.Retry{Retries: 2, Index: 1, Step: "load"},
		},
		"with one more than it failed with, although they were lowered since": {
			story: func(t *testing.T) *story {
				s := tell(t, "extract", "load")
				s.sj.Spec.Retries = new(int32(3))
				s.refuse = invalidStep(1, "image", "wrong")
				s.work().edit(retries(0)).refuse = nil
				return s
			},
			want: sequence.Retry{Retries: 4, Step: "extract"},
		},
		"once finally has run": {
			story: func(t *testing.T) *story { return failAt(t, andNotify) },
			want:  sequence.Retry{Retries: 1, Index: 1, Step: "load", AfterFinally: true},
		},
		"not beside finally": {
			story: func(t *testing.T) *story { return failAt(t, andNotify).end("etl-f0", complete) }, want: again,
		},
		"finally, if it was that which failed": {
			story: func(t *testing.T) *story {
				s := tell(t, "extract")
				andNotify(&s.sj.Spec)
				return s.work().end("etl-0", complete).end("etl-f0", failed)
			},
			want: sequence.Retry{Retries: 1, Index: sequence.FirstFinally, Step: "notify"},
		},
		"nothing, if the failed step was taken out": {
			story: func(t *testing.T) *story {
				return failAt(t, unchanged).edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Containers = spec.Containers[:1] })
			},
			want: sequence.Retry{Retries: 1, Index: sequence.FirstFinally},
		},
		"what has started":            {story: func(t *testing.T) *story { return tell(t, "extract").work() }, err: sequence.ErrNotFailed},
		"what no controller has seen": {story: func(t *testing.T) *story { return tell(t, "extract") }, err: sequence.ErrNotFailed},
		"what is complete": {
			story: func(t *testing.T) *story { return tell(t, "extract").work().end("etl-0", complete) }, err: sequence.ErrCompleted,
		},
		"what is complete, and was cancelled too late": {
			story: func(t *testing.T) *story { return tell(t, "extract").work().end("etl-0", complete).edit(cancelled) }, err: sequence.ErrCompleted,
		},
		"what was cancelled": {story: func(t *testing.T) *story { return tell(t, "extract").edit(cancelled) }, err: sequence.ErrCancelled},
		"what has failed, and was cancelled since": {
			story: func(t *testing.T) *story { return failAt(t, unchanged).edit(cancelled) }, err: sequence.ErrCancelled,
		},
		"what is being deleted": {
			story: func(t *testing.T) *story {
				s := failAt(t, unchanged)
				s.sj.DeletionTimestamp = new(metav1.NewTime(now))
				return s
			},
			err: sequence.ErrDeleted,
		},
		"what is out of time": {
			story: func(t *testing.T) *story {
				s := tell(t, "extract", "load")
				s.sj.Spec.ActiveDeadlineSeconds = new(int64(60))
				return s.work().after(time.Minute).end("etl-0", outOfTime)
			},
			err: sequence.ErrOutOfTime,
		},
		"what has retries that the controller has not seen yet": {
			story: func(t *testing.T) *story {
				s := failAt(t, unchanged)
				s.sj.Spec.Retries, s.sj.Generation = new(int32(1)), s.sj.Generation+1
				return s
			},
			err: sequence.ErrAskedFor,
		},
		"what goes on after finally anyway": {
			story: func(t *testing.T) *story { return failAt(t, andNotify).edit(retries(1)) }, err: sequence.ErrAskedFor,
		},
		"what has all retries that there can be": {
			story: func(t *testing.T) *story {
				s := failAt(t, unchanged)
				s.sj.Spec.Retries, s.sj.Status.FailedWith.Retries = new(int32(v1alpha1.MaxRetries)), v1alpha1.MaxRetries
				return s
			},
			err: sequence.ErrManyRetries,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sequence.PlanRetry(tc.story(t).sj)
			if diff := cmp.Diff(tc.err, err, cmpopts.EquateErrors()); diff != "" {
				t.Fatalf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// What is complete to the last step has no limit of time any more: its finally can be run again.
func TestFinallyIsRetriedAlthoughTheTimeIsUsedUp(t *testing.T) {
	s := tell(t, "extract")
	andNotify(&s.sj.Spec)
	s.sj.Spec.ActiveDeadlineSeconds = new(int64(60))
	s.work().after(time.Minute).end("etl-0", complete).end("etl-f0", failed)
	plan, err := sequence.PlanRetry(s.sj)
	if diff := cmp.Diff(sequence.Retry{Retries: 1, Index: sequence.FirstFinally, Step: "notify"}, plan); diff != "" || err != nil {
		t.Errorf("plan (%v, -want +got):\n%s", err, diff)
	}
	if remedy := sequence.Advise(s.sj).Remedy; remedy != sequence.RemedyRetry {
		t.Errorf("it is advised to %q", remedy)
	}
	s.edit(retries(plan.Retries)).wantJobs("etl-0", "etl-f0", "etl-f0-r1")
}

func TestWhetherASequenceWasChangedSinceItFailed(t *testing.T) {
	s := tell(t, "extract", "load")
	s.refuse = invalidStep(1, "image", "wrong")
	got := map[string]bool{}
	got["at first"] = sequence.IsChangedSinceFailure(s.work().sj)
	got["with another age"] = sequence.IsChangedSinceFailure(s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.TTLSecondsAfterFinished = new(int32(60)) }).sj)
	s.sj.Spec.Containers[1].Image = "right"
	got["with a step corrected"] = sequence.IsChangedSinceFailure(s.sj)
	s.sj.Status.FailedWith = nil
	got["by an older version"] = sequence.IsChangedSinceFailure(s.sj)
	want := map[string]bool{"at first": false, "with another age": false, "with a step corrected": true, "by an older version": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}
