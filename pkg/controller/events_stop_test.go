package controller

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// An event that backs off for longer than a shutdown waits is tried once more.
func TestAShutdownSendsWhatWasRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		sink := &fakeSink{before: func(context.Context, *corev1.Event) error {
			if down.Load() {
				return internalErr
			}
			return nil
		}}
		sender, _ := newTestSender(t, sink)
		ctx, shutdown := context.WithCancel(t.Context())
		stop := sender.start(ctx)
		about := sequenceNamed("etl")
		sender.Event(about, corev1.EventTypeNormal, "Told", "first")
		<-time.After(time.Hour)
		shutdown()
		sender.Event(about, corev1.EventTypeNormal, "Told", "second")
		down.Store(false)
		stop()
		if diff := cmp.Diff([]string{"first", "second"}, sink.messages(about)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// The bubble of the test ends only if nothing is left that waits.
func TestAShutdownDoesNotWaitForEventsThatAreNotTaken(t *testing.T) {
	for name, before := range map[string]func(context.Context, *corev1.Event) error{
		"they are refused for now": func(context.Context, *corev1.Event) error { return internalErr },
		"there is no answer":       func(ctx context.Context, _ *corev1.Event) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &fakeSink{before: before}
				sender, _ := newTestSender(t, sink)
				stop := sender.start(t.Context())
				for _, name := range []string{"a", "b", "c"} {
					sender.Event(sequenceNamed(name), corev1.EventTypeNormal, "Told", "first")
				}
				stop()
				if len(sink.stored) != 0 {
					t.Errorf("events %v", sink.stored)
				}
			})
		})
	}
}

// Not one event is taken, and yet a sequence gets to its end.
func TestJobsDoNotWaitForEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract", "transform", "load"))
		taken := make(chan struct{})
		sink := &fakeSink{before: func(context.Context, *corev1.Event) error { <-taken; return nil }}
		w.c.events.sink = sink
		stop, done := running(t, w)
		for _, name := range []string{"etl-0", "etl-1", "etl-2"} {
			w.endJob(name, batchv1.JobComplete, "")
			synctest.Wait()
		}
		w.wantPhase(v1alpha1.SequentialJobCompleted)
		if len(sink.stored) != 0 {
			t.Fatalf("events %v: nothing was held up", sink.stored)
		}
		close(taken)
		stop()
		must(t, <-done)
		var reasons []string
		for _, event := range sink.stored {
			reasons = append(reasons, event.Reason)
		}
		want := []string{"JobStarted", "JobCompleted", "JobStarted", "JobCompleted", "JobStarted", "JobCompleted", "Completed"}
		if diff := cmp.Diff(want, reasons); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestEventsHaveALimitOfRequestsOfTheirOwn(t *testing.T) {
	clients, err := NewClients(&rest.Config{Host: "https://localhost", QPS: 20, Burst: 40})
	must(t, err)
	ofEvents := clients.Events.(*typedcorev1.CoreV1Client).RESTClient().GetRateLimiter()
	ofJobs := clients.Kube.BatchV1().RESTClient().GetRateLimiter()
	if ofJobs == ofEvents || ofEvents.QPS() != 20 || ofJobs != clients.SequentialJobs.BatchV1alpha1().RESTClient().GetRateLimiter() ||
		ofJobs != clients.KubeJSON.BatchV1().RESTClient().GetRateLimiter() {
		t.Error("all others share one, and events have another one of the same size")
	}
	if clients, err = NewClients(&rest.Config{Host: "https://localhost", QPS: -1}); err != nil {
		t.Fatal(err)
	}
	if limit := clients.Events.(*typedcorev1.CoreV1Client).RESTClient().GetRateLimiter(); limit != nil {
		t.Errorf("events have a limit of %v though there is to be none", limit.QPS())
	}
}
