package kubectl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestRetrySaysWhatGoesOnAndWhatKeepsItFromThat(t *testing.T) {
	const goesOn = "etl goes on with step transform (retry 1 of 1)\n"
	for name, tc := range map[string]struct {
		sj           *v1alpha1.SequentialJob
		out, warning string
		retries      int32
	}{
		"a step failed": {hasFailed(), goesOn, "", 1},
		"it failed again": {with(hasFailed(), func(sj *v1alpha1.SequentialJob) {
			sj.Spec.Retries, sj.Status.Progress.Retries = new(int32(2)), 2
		}), "etl goes on with step transform (retry 3 of 3)\n", "", 3},
		"finally runs": {with(hasFailed(), func(sj *v1alpha1.SequentialJob) {
			andFinally(sj)
			sj.Status.Phase, sj.Status.Result = v1alpha1.SequentialJobRunning, &v1alpha1.StepsResult{Type: v1alpha1.ResultFailed}
		}), "etl goes on with step transform (retry 1 of 1) once finally, which runs now, has ended\n", "", 1},
		"finally failed": {with(sequenceOf(threeSteps[:1], v1alpha1.SequentialJobFailed, stepCompleted), andFinally),
			"etl goes on with finally (notify) (retry 1 of 1)\n", "", 1},
		"the failed step was taken out": {with(hasFailed(), func(sj *v1alpha1.SequentialJob) { sj.Spec.Containers = sj.Spec.Containers[:1] }),
			"etl goes on, and no step is left to run (retry 1 of 1)\n", "", 1},
		"it is suspended": {with(hasFailed(), isSuspended), goesOn,
			"Warning: etl is suspended, so nothing starts until it is resumed\n  kubectl sj resume etl\n", 1},
		"the step waits for approval": {with(hasFailed(), func(sj *v1alpha1.SequentialJob) {
			sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "transform", Suspend: new(true)}}
		}), goesOn, "Warning: step transform waits for approval\n  kubectl sj resume etl --step transform\n", 1},
		"it was invalid, and may have been corrected": {with(hasFailed(), func(sj *v1alpha1.SequentialJob) {
			sj.Status.Progress.FailureReason, sj.Status.FailedWith = v1alpha1.ReasonInvalidSpec, &v1alpha1.FailedWith{StepsHash: "another"}
		}), goesOn, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := steer(t, tc.sj)
			s.want(s.tool.retry(t.Context(), s.clients, "etl", false), "", tc.out, tc.warning)
			if diff := cmp.Diff(tc.retries, ptr.Deref(s.stored().Spec.Retries, 0)); diff != "" {
				t.Errorf("retries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRetryRefusesAndSaysWhatToDo(t *testing.T) {
	const another = "\n  kubectl sj create etl-2 --from=sj/etl"
	for name, tc := range map[string]struct {
		sj   *v1alpha1.SequentialJob
		want string
	}{
		"running":  {runs(), "1: cannot retry etl: it has not failed"},
		"complete": {isComplete(), "1: cannot retry etl: it has completed\nTo run it again, create another one." + another},
		"cancelled": {with(hasFailed(), isCancelled),
			"1: cannot retry etl: it was cancelled\nIt was cancelled, which is final. To run it again, create another one." + another},
		"out of time": {with(hasFailed(), func(sj *v1alpha1.SequentialJob) {
			sj.Spec.ActiveDeadlineSeconds, sj.Status.ActiveSeconds = new(int64(60)), 60
		}), "1: cannot retry etl: it would fail again at once, because its time is used up\n" +
			"Its time is used up: raise activeDeadlineSeconds, and retries with it.\n" +
			`  kubectl patch sj etl --type=merge --patch '{"spec":{"activeDeadlineSeconds":120,"retries":1}}'`},
		"suspended": {with(between(v1alpha1.SequentialJobSuspended), isSuspended),
			"1: cannot retry etl: it has not failed\nResume it when it may go on.\n  kubectl sj resume etl"},
	} {
		t.Run(name, func(t *testing.T) {
			s := steer(t, tc.sj)
			s.want(s.tool.retry(t.Context(), s.clients, "etl", false), tc.want, "", "")
			if patches := s.patches(); patches != nil {
				t.Errorf("patches %q", patches)
			}
		})
	}
}
