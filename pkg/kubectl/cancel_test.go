package kubectl

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestWhatACancelDoes(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	begun := func(sj *v1alpha1.SequentialJob) {
		sj.Status.Steps[1].StartTime = &metav1.Time{Time: now.Add(-2 * time.Minute)}
	}
	for name, tc := range map[string]struct {
		sj   *v1alpha1.SequentialJob
		want []string
	}{
		"a step runs":          {with(with(runs(), begun), andFinally), []string{"step transform (running 2m) is stopped", "1 step does not start", "finally (notify) runs"}},
		"nothing runs finally": {with(runs(), begun), []string{"step transform (running 2m) is stopped", "1 step does not start"}},
		"between steps":        {between(v1alpha1.SequentialJobSuspended), []string{"2 steps do not start"}},
		"a step starts again":  {sequenceOf(threeSteps, v1alpha1.SequentialJobRunning, stepCompleted, stepFailed), []string{"2 steps do not start"}},
		"no step has started":  {with(sequenceOf(threeSteps, v1alpha1.SequentialJobPending), andFinally), []string{"no step starts", "finally (notify) does not run either"}},
		"the last step runs":   {with(sequenceOf(threeSteps[:2], v1alpha1.SequentialJobRunning, stepCompleted, stepRunning), begun), []string{"step transform (running 2m) is stopped"}},
		"suspended":            {with(with(between(v1alpha1.SequentialJobSuspended), andFinally), isSuspended), []string{"2 steps do not start", "finally (notify) runs once it is resumed"}},
		"finally runs after a failure": {with(with(hasFailed(), andFinally), func(sj *v1alpha1.SequentialJob) {
			sj.Status.Phase, sj.Status.Result = v1alpha1.SequentialJobRunning, &v1alpha1.StepsResult{Type: v1alpha1.ResultFailed}
		}), []string{"its steps have ended, finally runs on", "it cannot be retried"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, cancelEffects(tc.sj, now)); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestACancelIsAskedFor(t *testing.T) {
	const question = "Cancel etl? 2 steps do not start. This cannot be taken back. [y/N] "
	for answer, isDone := range map[string]bool{"y\n": true, "Yes\n": true, "y": true, "n\n": false, "\n": false, "": false, "yikes\n": false} {
		s := steer(t, between(v1alpha1.SequentialJobRunning))
		s.tool.In = strings.NewReader(answer)
		err := s.tool.cancel(t.Context(), s.clients, "etl", false)
		if isDone {
			s.want(err, "", "etl is cancelled: 2 steps do not start\n", question)
		} else {
			s.want(err, "1: not cancelled", "", question)
		}
		if ptr.Deref(s.stored().Spec.Cancel, false) != isDone {
			t.Errorf("%q: cancel is %v", answer, s.stored().Spec.Cancel)
		}
	}
}

// The controller stores a status while the user thinks: that is no reason to ask twice.
func TestACancelIsAskedForOnce(t *testing.T) {
	s := steer(t, between(v1alpha1.SequentialJobRunning))
	s.tool.In = strings.NewReader("y\n")
	s.onPatch(func(n int) (*v1alpha1.SequentialJob, error) {
		if n > 1 {
			return nil, nil
		}
		s.store(func(sj *v1alpha1.SequentialJob) {
			sj.ResourceVersion = "2"
			sj.Status.Steps = runs().Status.Steps
		})
		return nil, conflict
	})
	s.want(s.tool.cancel(t.Context(), s.clients, "etl", false), "",
		"etl is cancelled: step transform (running) is stopped, 1 step does not start\n", "Cancel etl? 2 steps do not start. This cannot be taken back. [y/N] ")
}

func TestACancelThatMakesNoDifferenceIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		sj   *v1alpha1.SequentialJob
		want string
	}{
		"cancelled already": {with(runs(), isCancelled), "1: cannot cancel etl: it is being cancelled already"},
		"all steps are complete": {with(runs(), func(sj *v1alpha1.SequentialJob) {
			sj.Status.Result = &v1alpha1.StepsResult{Type: v1alpha1.ResultCompleted}
		}), "1: cannot cancel etl: all its steps are complete, and what runs finally is not stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			s := steer(t, tc.sj)
			s.want(s.tool.cancel(t.Context(), s.clients, "etl", true), tc.want, "", "")
		})
	}
}

func TestWithoutATerminalACancelNeedsAYes(t *testing.T) {
	streams := genericiooptions.NewTestIOStreamsDiscard()
	streams.In = strings.NewReader("y\n")
	root := NewCommand("kubectl sj", streams)
	root.SetArgs([]string{"cancel", "etl"})
	if err := root.ExecuteContext(t.Context()); ExitCode(err) != ExitError || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("error %v", err)
	}
}

func TestCtrlCEndsTheQuestion(t *testing.T) {
	s := steer(t, between(v1alpha1.SequentialJobRunning))
	in, typed := io.Pipe()
	defer typed.Close()
	s.tool.In = in
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if code := ExitCode(s.tool.confirm(ctx, "Cancel? ")); code != ExitInterrupted {
		t.Errorf("exit code %d", code)
	}
}
