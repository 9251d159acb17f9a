package controller

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/example/sequential-job-operator/pkg/sequence"
)

// How a turn ends decides on when the next one comes.
func TestTheEndOfATurnHasItsEffectOnTheQueue(t *testing.T) {
	refused := fmt.Errorf("store status: %w", internalErr)
	for name, tc := range map[string]struct {
		end     sequence.Action
		refusal error
		err     error
		now     int // how many wait in the queue
		later   int // after a minute
	}{
		"nothing more to do":                      {},
		"at once":                                 {end: sequence.Action{AtOnce: true}, now: 1, later: 1},
		"look again":                              {end: sequence.Action{LookAgain: time.Minute}, later: 1},
		"try again, for a reason that is told":    {end: sequence.Action{TryAgain: true}, err: errWaiting},
		"try again, because it was refused":       {end: sequence.Action{TryAgain: true}, refusal: refused, err: refused},
		"a refusal that does not matter":          {refusal: refused},
		"a refusal, and something to do at once":  {end: sequence.Action{AtOnce: true, TryAgain: true}, refusal: refused, now: 1, later: 1},
		"try again, and look again at the latest": {end: sequence.Action{TryAgain: true, LookAgain: time.Minute}, err: errWaiting, later: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				defer func() { w.c.events.objects.ShutDown(); w.c.queue.ShutDown(); w.stop(); synctest.Wait() }()
				if err := w.c.endTurn(key, tc.end, tc.refusal); err != tc.err { //nolint:errorlint // it is passed on as it is
					t.Errorf("error %v, want %v", err, tc.err)
				}
				if n := w.c.queue.Len(); n != tc.now {
					t.Errorf("%d wait now, want %d", n, tc.now)
				}
				<-time.After(time.Minute)
				synctest.Wait()
				if n := w.c.queue.Len(); n != tc.later {
					t.Errorf("%d wait after a minute, want %d", n, tc.later)
				}
			})
		})
	}
}

// What a refusal is in the log and in sync_errors_total. What the status tells, or passes by itself, is no error in the log.
func TestRefusalsAreCountedAndLoggedUnlessTheStatusTells(t *testing.T) {
	taken := apierrors.NewAlreadyExists(jobs.GroupResource(), "etl-0")
	modified := apierrors.NewConflict(sequentialJobs.GroupResource(), "etl", errors.New("modified"))
	for name, tc := range map[string]struct {
		verb, resource string
		err            error
		counted        string
		logged         bool
		requeues       int
	}{
		"no refusal":                     {},
		"a quota":                        {"create", "jobs", quotaErr, "Forbidden", false, 1},
		"the API server is down":         {"create", "jobs", internalErr, "InternalError", false, 1},
		"a name that is taken":           {"create", "jobs", taken, "AlreadyExists", false, 1},
		"a read":                         {"get", "sequentialjobs", internalErr, "InternalError", true, 1},
		"a status that was overtaken":    {"update", "sequentialjobs", modified, "Conflict", false, 1},
		"a status that is not taken":     {"update", "sequentialjobs", quotaErr, "Forbidden", true, 1},
		"a finalizer that was overtaken": {"patch", "sequentialjobs", modified, "Conflict", false, 1},
		"no connection":                  {"patch", "sequentialjobs", errors.New("connection refused"), "Other", true, 1},
		"it is gone":                     {"get", "sequentialjobs", apierrors.NewNotFound(sequentialJobs.GroupResource(), "etl"), "", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSyncWorld(t, newSequence("extract"))
			if tc.err != nil {
				w.fail(tc.verb, tc.resource, func(action clienttesting.Action) error {
					if create, ok := action.(clienttesting.CreateActionImpl); ok && len(create.GetCreateOptions().DryRun) > 0 {
						return nil
					}
					return tc.err
				})
			}
			syncErrors.Reset()
			var log bytes.Buffer
			logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log)))
			w.c.queue.Add(key)
			w.c.workOnce(klog.NewContext(t.Context(), logger))
			if logged := strings.Contains(log.String(), "Sync failed"); logged != tc.logged {
				t.Errorf("logged as an error: %v, want %v: %s", logged, tc.logged, log.String())
			}
			if n := w.c.queue.NumRequeues(key); n != tc.requeues {
				t.Errorf("%d requeues with back-off, want %d", n, tc.requeues)
			}
			if diff := cmp.Diff(tc.counted, countedErrors(t)); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
		})
	}
}

// countedErrors returns the reasons in sync_errors_total.
func countedErrors(t *testing.T) string {
	t.Helper()
	var reasons []string
	families, err := legacyregistry.DefaultGatherer.Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() != "sequentialjob_sync_errors_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			reasons = append(reasons, metric.GetLabel()[0].GetValue())
		}
	}
	return strings.Join(reasons, " ")
}

// Messages may differ each time: by a port, a time, an identity of the request.
func TestACreateThatIsRefusedInOtherWordsEachTimeBacksOff(t *testing.T) {
	for name, isDryRun := range map[string]bool{"the create": false, "the dry run": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, newSequence("extract"))
				var attempts atomic.Int64
				w.failCreates(func(create clienttesting.CreateActionImpl) error {
					if len(create.GetCreateOptions().DryRun) > 0 != isDryRun {
						return nil
					}
					return apierrors.NewInternalError(fmt.Errorf("read tcp 10.0.0.1:%d: connection reset", attempts.Add(1)))
				})
				stop, done := running(t, w)
				<-time.After(time.Minute)
				first := attempts.Load()
				<-time.After(time.Minute)
				// A few more than the back-off has: each try changes the status, and if the watch shows that before the answer comes, it
				// is not known for an own write.
				if perMinute := attempts.Load() - first; first < 5 || first > 60 || perMinute < 3 || perMinute > 30 {
					t.Errorf("%d attempts in the first minute, %d in the second", first, perMinute)
				}
				stop()
				must(t, <-done)
			})
		})
	}
}
