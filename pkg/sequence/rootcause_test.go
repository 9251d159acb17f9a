package sequence_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func TestTheRootCauseIsToldWhileSomethingIsWrong(t *testing.T) {
	const cause = "what is wrong"
	quiet := []string{v1alpha1.ReasonJobStarted, v1alpha1.ReasonJobCompleted, v1alpha1.ReasonResumed, v1alpha1.ReasonStepsEnded, v1alpha1.ReasonCompleted}
	for reason, cases := range usual {
		for _, tc := range cases {
			tc.reason, tc.message = reason, cause
			want := cause
			if slices.Contains(quiet, reason) {
				want = ""
			}
			if diff := cmp.Diff(want, sequence.RootCause(tc.build())); diff != "" {
				t.Errorf("%s while %s (-want +got):\n%s", reason, tc.phase, diff)
			}
		}
	}
}

func TestTheRootCauseStaysThatOfTheSteps(t *testing.T) {
	s := tell(t, "extract")
	s.sj.Spec.Finally = []corev1.Container{{Name: "notify"}}
	s.work().end("etl-0", failed)
	const want = "Job 0 (extract) failed: " + backoff
	for _, finally := range []string{"begins", "has ended"} {
		if diff := cmp.Diff(want, sequence.RootCause(s.sj)); diff != "" {
			t.Errorf("once finally %s (-want +got):\n%s", finally, diff)
		}
		if finally == "begins" {
			s.end("etl-f0", complete)
		}
	}
}

func TestAStepThatGoesOnInItsQueueAlthoughSuspendedIsTold(t *testing.T) {
	s := tell(t, "extract", "load")
	s.sj.Spec.Template.Labels = map[string]string{"kueue.x-k8s.io/queue-name": "team-a"}
	const want = "Job 0 (extract) goes on, because only its queue can stop it; nothing starts after it while spec.suspend is true"
	if diff := cmp.Diff(want, sequence.RootCause(s.work().edit(suspend).sj)); diff != "" {
		t.Errorf("root cause (-want +got):\n%s", diff)
	}
}
