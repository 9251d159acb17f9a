package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const failedAdvice = "Fix the cause; then retry. Completed steps do not run again.\n  kubectl sj logs etl --failed\n  kubectl sj retry etl -f\n"

// onWatch does something once the sequence is watched.
func (s *steering) onWatch(then func()) {
	s.sjs.PrependWatchReactor("sequentialjobs", func(action clienttesting.Action) (bool, watch.Interface, error) {
		// The fake does not send what there is already with a watch: the informer lists it.
		if watching, ok := action.(clienttesting.WatchActionImpl); ok && watching.ListOptions.SendInitialEvents != nil {
			return true, nil, invalid
		}
		w, err := s.sjs.Tracker().Watch(sequentialJobs, action.GetNamespace())
		if err == nil {
			go then()
		}
		return true, w, err
	})
}

func TestWaitTellsHowItEnds(t *testing.T) {
	becomes := func(sj *v1alpha1.SequentialJob) func(*steering) {
		return func(s *steering) { s.store(func(stored *v1alpha1.SequentialJob) { stored.Status = sj.Status }) }
	}
	cancelled := hasFailed()
	cancelled.Status.Progress.FailureReason = v1alpha1.ReasonCancelled
	cancelled.Status.Conditions[0].Message = "Cancelled by spec.cancel: Job 1 (transform) was stopped"
	for name, tc := range map[string]struct {
		sj               *v1alpha1.SequentialJob
		meanwhile        func(*steering)
		code             int
		out, errOut, why string
	}{
		"it has completed": {sj: isComplete(), out: "etl completed\n"},
		"it completes":     {sj: runs(), meanwhile: becomes(isComplete()), out: "etl completed\n"},
		"it had failed":    {sj: hasFailed(), code: 1, out: "etl failed: Job 1 (transform) failed: why\n", errOut: failedAdvice},
		"it fails": {
			sj: runs(), meanwhile: becomes(hasFailed()), code: 1, out: "etl failed: Job 1 (transform) failed: why\n", errOut: failedAdvice,
		},
		"it was cancelled": {
			sj: with(runs(), isCancelled), meanwhile: becomes(cancelled), code: 1, out: "etl: Cancelled by spec.cancel: Job 1 (transform) was stopped\n",
			errOut: "It was cancelled, which is final. To run it again, create another one.\n  kubectl sj create etl-2 --from=sj/etl\n",
		},
		"it is deleted": {sj: runs(), meanwhile: func(s *steering) {
			if err := s.sjs.Tracker().Delete(sequentialJobs, "ns", "etl"); err != nil {
				s.Error(err)
			}
		}, code: 2, errOut: "error: etl was deleted before it ended\n"},
		// It has not ended before the controller has seen that.
		"it is retried": {
			sj: with(hasFailed(), func(sj *v1alpha1.SequentialJob) { sj.Generation = 2 }), code: 0, out: "etl completed\n",
			meanwhile: becomes(with(isComplete(), func(sj *v1alpha1.SequentialJob) { sj.Status.ObservedGeneration = 2 })),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := steer(t, tc.sj)
			if tc.meanwhile != nil {
				s.onWatch(func() { tc.meanwhile(s) })
			}
			err := s.tool.wait(t.Context(), s.clients, []string{"etl"}, 0)
			if code := ExitCode(err); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if diff := cmp.Diff([]string{tc.out, tc.errOut}, []string{s.out.String(), s.err.String()}); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWaitEndsAfterItsTimeout(t *testing.T) {
	s := steer(t, runs())
	err := s.tool.wait(t.Context(), s.clients, []string{"etl"}, time.Nanosecond)
	if code := ExitCode(err); code != ExitTimeout {
		t.Errorf("exit code %d: %v", code, err)
	}
}

func TestWaitIsInterrupted(t *testing.T) {
	s := steer(t, runs())
	ctx, interrupt := context.WithCancel(t.Context())
	s.onWatch(interrupt)
	if code := ExitCode(s.tool.wait(ctx, s.clients, []string{"etl"}, 0)); code != ExitInterrupted {
		t.Errorf("exit code %d", code)
	}
}

func TestWaitNeedsAllNamesToBeThere(t *testing.T) {
	s := steer(t, isComplete())
	s.want(s.tool.wait(t.Context(), s.clients, []string{"etl", "other"}, 0),
		"2: SequentialJob \"other\" not found in namespace \"ns\": `kubectl get sj -A` lists all", "", "")
}

func TestWaitStopsIfItMayNotWatch(t *testing.T) {
	s := steer(t, runs())
	forbidden := apierrors.NewForbidden(v1alpha1.Resource("sequentialjobs"), "",
		errors.New(`User "ann" cannot list resource "sequentialjobs" in API group "batch.example.com" in the namespace "ns"`))
	s.sjs.PrependReactor("list", "sequentialjobs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden })
	s.sjs.PrependWatchReactor("sequentialjobs", func(clienttesting.Action) (bool, watch.Interface, error) { return true, nil, forbidden })
	err := s.tool.wait(t.Context(), s.clients, []string{"etl"}, 0)
	const want = `error: you may not list sequentialjobs.batch.example.com in namespace "ns": ask for the role "view" there, or for one that allows it (`
	if got := s.err.String(); ExitCode(err) != ExitError || got != want+forbidden.Error()+")\n" {
		t.Errorf("exit code %d, said %q", ExitCode(err), got)
	}
}

func TestWhereASequenceStandsThatHasNotEnded(t *testing.T) {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	begun := func(sj *v1alpha1.SequentialJob) {
		sj.Status.Steps[1].StartTime = &metav1.Time{Time: now.Add(-time.Hour)}
	}
	progress := func(reason, message string) func(*v1alpha1.SequentialJob) {
		return func(sj *v1alpha1.SequentialJob) {
			sj.Status.Conditions[0].Reason, sj.Status.Conditions[0].Message = reason, message
		}
	}
	unseen := runs()
	unseen.Status = v1alpha1.SequentialJobStatus{ObservedGeneration: -1}
	for name, tc := range map[string]struct {
		sj   *v1alpha1.SequentialJob
		want string
	}{
		"a step runs":               {with(runs(), begun), "step transform (running 60m), 1/3 complete"},
		"its pod does not start":    {with(runs(), progress(v1alpha1.ReasonPodNotStarted, "Job 1 (transform) has no running pod: why")), "Job 1 (transform) has no running pod: why"},
		"between steps":             {between(v1alpha1.SequentialJobRunning), "running, 1/3 complete"},
		"no controller has seen it": {unseen, "no controller has seen it yet"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, standing(tc.sj, now)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheOutcomeOfSeveralIsTheWorst(t *testing.T) {
	failed, timeout, broken := exitWith(ExitFailed), exitWith(ExitTimeout), exitWith(ExitError)
	for want, outcomes := range map[int][]error{
		0:               {nil, nil},
		ExitFailed:      {nil, failed, nil},
		ExitTimeout:     {timeout, failed, nil},
		ExitError:       {timeout, broken, failed},
		ExitInterrupted: {broken, context.Canceled},
	} {
		if got := ExitCode(worst(outcomes)); got != want {
			t.Errorf("%v: exit code %d, want %d", outcomes, got, want)
		}
	}
}

func TestWhatSeveralSayAtOnceIsSaidOnce(t *testing.T) {
	var out bytes.Buffer
	w := &sharedWriter{out: &out}
	for _, line := range []string{"Waiting", "Waiting", "back", "Waiting"} {
		fmt.Fprintln(w, line)
	}
	if diff := cmp.Diff("Waiting\nback\nWaiting\n", out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
