package kubectl

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func awaiting(steps ...string) func(*v1alpha1.SequentialJob) {
	return func(sj *v1alpha1.SequentialJob) {
		sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "extract", BackoffLimit: new(int32(0))}}
		for _, step := range steps {
			sj.Spec.StepOverrides = append(sj.Spec.StepOverrides, v1alpha1.StepOverride{Name: step, BackoffLimit: new(int32(1)), Suspend: new(true)})
		}
	}
}

func TestAStepIsApproved(t *testing.T) {
	const suspended = v1alpha1.SequentialJobSuspended
	for name, tc := range map[string]struct {
		sj        *v1alpha1.SequentialJob
		out, note string
	}{
		"when it waits":       {with(between(suspended), awaiting("transform", "load")), "step transform is approved, and starts", ""},
		"while another runs":  {with(sequenceOf(threeSteps, v1alpha1.SequentialJobRunning, stepRunning), awaiting("transform")), "step transform is approved, and starts after step extract", ""},
		"long before":         {with(sequenceOf(threeSteps, v1alpha1.SequentialJobPending), awaiting("transform")), "step transform is approved, and starts when its turn comes", ""},
		"while all is paused": {with(with(between(suspended), awaiting("transform")), isSuspended), "step transform is approved", "etl is suspended as a whole, and nothing starts until it is resumed\n  kubectl sj resume etl\n"},
		"before it starts again": {with(sequenceOf(threeSteps, suspended, stepCompleted, stepFailed), awaiting("transform")),
			"step transform is approved, and starts", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := steer(t, tc.sj)
			want := tc.sj.DeepCopy().Spec
			want.StepOverrides[1].Suspend = new(false)
			s.want(s.tool.approve(t.Context(), s.clients, "etl", "transform"), "", "etl: "+tc.out+"\n", tc.note)
			if diff := cmp.Diff(want, s.stored().Spec); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyWhatWaitsIsApproved(t *testing.T) {
	for name, tc := range map[string]struct {
		step      string
		out, want string
	}{
		"a step that is complete":   {"extract", "step extract is complete already", ""},
		"a step that runs":          {"transform", "step transform has started already", ""},
		"a step that does not wait": {"load", "step load does not wait for approval; those that wait for approval are: notify", ""},
		"no step":                   {"lode", "", `2: etl has no step "lode"; those that wait for approval are: notify`},
	} {
		t.Run(name, func(t *testing.T) {
			s := steer(t, with(with(runs(), awaiting("transform", "notify")), andFinally))
			if tc.out != "" {
				tc.out = "etl: " + tc.out + "\n"
			}
			s.want(s.tool.approve(t.Context(), s.clients, "etl", tc.step), tc.want, tc.out, "")
			if patches := s.patches(); patches != nil {
				t.Errorf("patches %q", patches)
			}
		})
	}
}

func TestNoStepWaits(t *testing.T) {
	s := steer(t, runs())
	s.want(s.tool.approve(t.Context(), s.clients, "etl", "load"), "", "etl: step load does not wait for approval; no step waits for approval\n", "")
}
