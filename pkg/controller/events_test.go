package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/testutil"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestAnEventSaysWhatItIsAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{}
		sender, _ := newTestSender(t, sink)
		stop := sender.start(t.Context())
		about := sequenceNamed("etl")
		about.ResourceVersion = "7"
		sender.Event(about, corev1.EventTypeWarning, "StepFailed", "it failed")
		sender.Event(nil, corev1.EventTypeWarning, "StepFailed", "it is about nothing") // and is left out
		stop()
		now := metav1.Now()
		want := &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("etl.%x", now.UnixNano())},
			InvolvedObject: corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SequentialJob",
				Namespace: namespace, Name: "etl", UID: about.UID, ResourceVersion: "7"},
			Type: corev1.EventTypeWarning, Reason: "StepFailed", Message: "it failed",
			Source: corev1.EventSource{Component: v1alpha1.ControllerName}, ReportingController: v1alpha1.ControllerName,
			FirstTimestamp: now, LastTimestamp: now, Count: 1,
		}
		if diff := cmp.Diff([]*corev1.Event{want}, sink.stored); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

var transientErrors = map[string]error{
	"internal error":    internalErr,
	"unavailable":       apierrors.NewServiceUnavailable("starting"),
	"timeout":           timeoutErr,
	"too many requests": apierrors.NewTooManyRequestsError("slow down"),
	"no credentials":    apierrors.NewUnauthorized("the token is too old"),
	"conflict":          apierrors.NewConflict(corev1.Resource("events"), "etl", nil),
	"no connection":     errors.New("connection refused"),
	"no answer":         context.DeadlineExceeded,
}

// Many objects have their events recorded at once, and the API server fails at random, before it has stored an event and after.
func TestTheEventsOfAnObjectAreStoredInOrderWhateverFails(t *testing.T) {
	const objects, each = 30, 40
	synctest.Test(t, func(t *testing.T) {
		failures := slices.Collect(maps.Values(transientErrors))
		fail := func(context.Context, *corev1.Event) error {
			if rand.IntN(3) > 0 {
				return nil
			}
			return failures[rand.IntN(len(failures))]
		}
		sink := &fakeSink{before: fail, after: fail}
		sender, dropped := newTestSender(t, sink)
		stop := sender.start(t.Context())
		var want []string
		for i := range each {
			want = append(want, fmt.Sprint(i))
		}
		var recorded sync.WaitGroup
		for i := range objects {
			recorded.Go(func() {
				for _, message := range want {
					sender.Event(sequenceNamed(fmt.Sprint(i)), corev1.EventTypeNormal, "Told", message)
				}
			})
		}
		recorded.Wait()
		<-time.After(time.Hour)
		stop()
		for i := range objects {
			if diff := cmp.Diff(want, sink.messages(sequenceNamed(fmt.Sprint(i)))); diff != "" {
				t.Errorf("events of object %d (-want +got):\n%s", i, diff)
			}
		}
		for _, reason := range dropReasons {
			if n := dropped(reason); n != 0 {
				t.Errorf("%d events were dropped: %s", n, reason)
			}
		}
	})
}

func TestABurstIsSentInFullToASlowAPIServer(t *testing.T) {
	const objects, all = 2000, 5000
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{before: func(context.Context, *corev1.Event) error { <-time.After(time.Second); return nil }}
		sender, _ := newTestSender(t, sink)
		stop := sender.start(t.Context())
		sent, pending := counted(t, eventsSent), gauged(t)
		for i := range all {
			sender.Event(sequenceNamed(fmt.Sprint(i%objects)), corev1.EventTypeNormal, "Told", fmt.Sprint(i))
		}
		if n := gauged(t) - pending; n != all {
			t.Errorf("%d events are pending, want %d", n, all)
		}
		<-time.After(time.Hour)
		if n := counted(t, eventsSent) - sent; n != all || len(sink.stored) != all || gauged(t) != pending {
			t.Errorf("%v events were sent and %d stored, want %d; %d pend", n, len(sink.stored), all, gauged(t)-pending)
		}
		if len(sender.waiting) != 0 {
			t.Errorf("%d objects are remembered", len(sender.waiting))
		}
		stop()
	})
}

// gauged returns how many events are pending, of whichever sender.
func gauged(t *testing.T) int {
	t.Helper()
	value, err := testutil.GetGaugeMetricValue(eventsPending)
	must(t, err)
	return int(value)
}

func TestObjectsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{}
		sender, _ := newTestSender(t, sink)
		many, one := sequenceNamed("many"), sequenceNamed("one")
		for i := range 500 {
			sender.Event(many, corev1.EventTypeNormal, "Told", fmt.Sprint(i))
		}
		sender.Event(one, corev1.EventTypeNormal, "Told", "the only one")
		for range 2 {
			sender.sendNext(t.Context())
		}
		if len(sink.messages(one)) != 1 {
			t.Errorf("%d events of another object were sent first", len(sink.messages(many)))
		}
		stop := sender.start(t.Context())
		stop()
	})
}

// What may succeed later holds up the events of that object, in order, and no others.
func TestAnEventIsTriedUntilItIsTaken(t *testing.T) {
	for name, failure := range transientErrors {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int64
				down := atomic.Bool{}
				down.Store(true)
				failing, other := sequenceNamed("failing"), sequenceNamed("other")
				sink := &fakeSink{before: func(_ context.Context, event *corev1.Event) error {
					if event.InvolvedObject.UID == failing.UID && down.Load() {
						tries.Add(1)
						return failure
					}
					return nil
				}}
				sender, _ := newTestSender(t, sink)
				stop := sender.start(t.Context())
				for _, message := range []string{"first", "second", "third"} {
					sender.Event(failing, corev1.EventTypeNormal, "Told", message)
				}
				sender.Event(other, corev1.EventTypeNormal, "Told", "another object's")
				<-time.After(24 * time.Hour)
				if diff := cmp.Diff([]string{"another object's"}, sink.messages(other)); diff != "" || tries.Load() < 100 || len(sink.stored) > 1 {
					t.Errorf("%d tries; another object's events (-want +got):\n%s", tries.Load(), diff)
				}
				down.Store(false)
				<-time.After(time.Hour)
				if diff := cmp.Diff([]string{"first", "second", "third"}, sink.messages(failing)); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				stop()
			})
		})
	}
}

func TestOnlyTheEventThatIsRefusedIsDropped(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		reason string
	}{
		"forbidden":                {apierrors.NewForbidden(corev1.Resource("events"), "etl", errors.New("no permission")), droppedRefused},
		"invalid":                  {apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Event").GroupKind(), "etl", nil), droppedRefused},
		"bad request":              {apierrors.NewBadRequest("what is this"), droppedRefused},
		"no request":               {&rest.RequestConstructionError{Err: errors.New("it cannot be encoded")}, droppedRefused},
		"namespace is terminating": {terminatingErr(), droppedNamespaceGone},
		"namespace is gone":        {apierrors.NewNotFound(corev1.Resource("namespaces"), namespace), droppedNamespaceGone},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &fakeSink{before: func(_ context.Context, event *corev1.Event) error {
					if event.Message == "second" {
						return tc.err
					}
					return nil
				}}
				sender, dropped := newTestSender(t, sink)
				stop := sender.start(t.Context())
				about := sequenceNamed("etl")
				for _, message := range []string{"first", "second", "third"} {
					sender.Event(about, corev1.EventTypeNormal, "Told", message)
				}
				stop()
				if diff := cmp.Diff([]string{"first", "third"}, sink.messages(about)); diff != "" || dropped(tc.reason) != 1 {
					t.Errorf("%d dropped as %s; events (-want +got):\n%s", dropped(tc.reason), tc.reason, diff)
				}
			})
		})
	}
}

func TestEqualEventsAreCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		fails   int  // patches that fail, each after it was carried out
		deleted bool // is the event before it happens again
	}{
		"once each":                         {},
		"the answer gets lost":              {fails: 3},
		"the API server has forgotten it":   {deleted: true},
		"forgotten, and the answer is lost": {fails: 1, deleted: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left := tc.fails
				sink := &fakeSink{after: func(_ context.Context, event *corev1.Event) error {
					if event.Count > 1 && left > 0 {
						left--
						return timeoutErr
					}
					return nil
				}}
				sender, _ := newTestSender(t, sink)
				stop := sender.start(t.Context())
				for range 3 {
					sender.Event(sequenceNamed("etl"), corev1.EventTypeWarning, "StepFailed", "again")
					<-time.After(time.Minute)
					if tc.deleted {
						sink.forget()
					}
				}
				sender.Event(sequenceNamed("etl"), corev1.EventTypeWarning, "StepFailed", "again")
				<-time.After(time.Minute)
				stop()
				if len(sink.stored) != 1 || sink.stored[0].Count != 4 {
					t.Errorf("events %v", sink.stored)
				}
			})
		})
	}
}

func TestTheNewestEventsAreDroppedWhenTooManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{}
		sender, dropped := newTestSender(t, sink)
		sender.limit = 3
		about, other := sequenceNamed("etl"), sequenceNamed("other")
		for i := range 5 {
			sender.Event(about, corev1.EventTypeNormal, "Told", fmt.Sprint(i))
			sender.Event(other, corev1.EventTypeNormal, "Told", fmt.Sprint(i))
		}
		sender.start(t.Context())()
		if diff := cmp.Diff([][]string{{"0", "1"}, {"0"}}, [][]string{sink.messages(about), sink.messages(other)}); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if n := dropped(droppedQueueFull); n != 7 {
			t.Errorf("%d are counted as dropped, want 7", n)
		}
	})
}

func TestOneObjectDoesNotFillTheAPIServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &fakeSink{}
		sender, dropped := newTestSender(t, sink)
		for range maxEventsPerObject + 10 {
			sender.Event(sequenceNamed("etl"), corev1.EventTypeNormal, "Told", "again")
		}
		sender.start(t.Context())()
		if n := dropped(droppedTooMany); n != 10 || sink.stored[0].Count != maxEventsPerObject {
			t.Errorf("%d are counted as dropped, want 10; events %v", n, sink.stored)
		}
	})
}
