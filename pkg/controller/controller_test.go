package controller

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/component-base/metrics/testutil"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// running starts the controller of w with real informers. What Run returned comes on done after stop was called.
func running(t *testing.T, w *world) (stop context.CancelFunc, done <-chan error) {
	t.Helper()
	panics, err := testutil.GetCounterMetricValue(syncPanics)
	must(t, err)
	t.Cleanup(func() {
		if now, err := testutil.GetCounterMetricValue(syncPanics); err != nil || now != panics {
			t.Errorf("%v panics (%v)", now-panics, err)
		}
	})
	w.caches.Start(w.ctx)
	synctest.Wait() // a request that a test holds up would hold up their watches
	ended := make(chan error, 1)
	go func() {
		err := w.c.Run(w.ctx, 2)
		w.caches.Shutdown()
		ended <- err
	}()
	synctest.Wait()
	return w.stop, ended
}

func TestAReplicaThatStandsByQueuesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract"))
		w.caches.Start(w.ctx)
		synctest.Wait()
		if !w.caches.HaveSynced() || w.c.queue.Len() != 0 {
			t.Errorf("caches filled: %t; %d in the queue", w.caches.HaveSynced(), w.c.queue.Len())
		}
		stop, done := running(t, w)
		if got := w.job("etl-0"); got == nil {
			t.Error("the first step was not started")
		}
		stop()
		<-done
	})
}

func TestRunTakesASequenceToItsEndAndThenRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract", "transform", "load"))
		stop, done := running(t, w)
		for _, name := range []string{"etl-0", "etl-1", "etl-2"} {
			w.endJob(name, batchv1.JobComplete, "")
			synctest.Wait()
		}
		if phase := w.stored().Status.Phase; phase != v1alpha1.SequentialJobCompleted {
			t.Fatalf("phase %s", phase)
		}
		w.clear()
		<-time.After(24 * time.Hour) // of the clock of this test
		if got := w.requests(); got != nil {
			t.Errorf("requests for a finished sequence: %q", got)
		}
		stop()
		must(t, <-done)
	})
}

func TestRunTriesAgainWithBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract"))
		var attempts atomic.Int64
		w.failCreates(func(create clienttesting.CreateActionImpl) error {
			if len(create.GetCreateOptions().DryRun) == 0 {
				attempts.Add(1)
				return quotaErr
			}
			return nil
		})
		stop, done := running(t, w)
		<-time.After(time.Minute)
		first := attempts.Load()
		<-time.After(time.Minute)
		if perMinute := attempts.Load() - first; first < 5 || perMinute < 3 || perMinute > 5 {
			t.Errorf("%d attempts in the first minute, %d in the second", first, perMinute)
		}
		stop()
		must(t, <-done)
	})
}

func TestShutdownLetsASyncUnderWayFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract", "load"))
		creating, answer := make(chan struct{}), make(chan struct{})
		w.failCreates(func(create clienttesting.CreateActionImpl) error {
			if len(create.GetCreateOptions().DryRun) == 0 {
				close(creating)
				<-answer
			}
			return nil
		})
		stop, done := running(t, w)
		<-creating
		stop()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Run returned (%v) while a Job was being created", err)
		default:
		}
		close(answer)
		must(t, <-done)
		if steps := w.stored().Status.Steps; len(steps) != 1 || steps[0].JobName != "etl-0" {
			t.Errorf("steps %+v: what was begun was not recorded", steps)
		}
		events, err := w.kube.CoreV1().Events(namespace).List(context.Background(), metav1.ListOptions{})
		must(t, err)
		if len(events.Items) != 1 {
			t.Errorf("%d events were sent before Run returned, want 1", len(events.Items))
		}
	})
}

func TestRunEndsWhenItsCachesDoNotFill(t *testing.T) {
	w := newWorld(t, nil) // whose informers nobody starts
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.New("enough"))
	if err := w.c.Run(ctx, 1); err == nil {
		t.Error("Run: no error")
	}
}
