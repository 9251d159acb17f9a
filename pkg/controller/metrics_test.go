package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/testutil"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestSyncErrorsAreCountedByTheAPIServersReason(t *testing.T) {
	quota := apierrors.NewForbidden(jobs.GroupResource(), "etl-0", errors.New("exceeded quota"))
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"none":                       {nil, ""},
		"conflict":                   {fmt.Errorf("store status: %w", apierrors.NewConflict(jobs.GroupResource(), "etl", nil)), "Conflict"},
		"waiting, refused":           {fmt.Errorf("%w: %w", errWaiting, quota), "Forbidden"},
		"waiting, nobody refused it": {errWaiting, ""},
		"panic":                      {fmt.Errorf("%w: nil map", errPanic), "Panic"},
		"timeout":                    {fmt.Errorf("read: %w", context.DeadlineExceeded), "Timeout"},
		"network":                    {errors.New("connection refused"), "Other"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := syncErrorReason(tc.err); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// Before anything has happened, so that the first time is not missed by a rate.
func TestCountersStartAtZero(t *testing.T) {
	newSyncWorld(t, newSequence("extract"))
	for _, reset := range []func(){sequencesFinished.Reset, stepsFinished.Reset, syncErrors.Reset, eventsDropped.Reset} {
		reset()
	}
	startAtZero()
	want := map[string]int{
		"sequentialjob_sequences_finished_total": 11, "sequentialjob_steps_finished_total": 11, "sequentialjob_sync_errors_total": 5,
		"sequentialjob_events_sent_total": 1, "sequentialjob_events_pending": 1, "sequentialjob_events_dropped_total": len(dropReasons),
		"sequentialjob_sequence_duration_seconds": 3, "sequentialjob_step_duration_seconds": 3,
	}
	got := map[string]int{}
	families, err := legacyregistry.DefaultGatherer.Gather()
	must(t, err)
	for _, family := range families {
		if name := family.GetName(); want[name] > 0 {
			got[name] = len(family.GetMetric())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

func TestPhasesAreCountedOnlyWhileAControllerRuns(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	const name = "sequentialjob_sequences"
	want := `# HELP sequentialjob_sequences [ALPHA] SequentialJobs that exist, by phase.
# TYPE sequentialjob_sequences gauge
sequentialjob_sequences{phase="Completed"} 0
sequentialjob_sequences{phase="Failed"} 0
sequentialjob_sequences{phase="Pending"} 1
sequentialjob_sequences{phase="Running"} 0
sequentialjob_sequences{phase="Suspended"} 0
`
	if got := w.c.informers.phases()[v1alpha1.SequentialJobPending]; got != 1 {
		t.Errorf("%d are pending, want 1", got)
	}
	if err := testutil.GatherAndCompare(legacyregistry.DefaultGatherer, strings.NewReader(""), name); err != nil {
		t.Errorf("no controller runs: %v", err)
	}
	w.caches.Start(w.ctx)
	t.Cleanup(func() { w.stop(); w.caches.Shutdown() })
	if !cache.WaitFor(w.ctx, "caches", w.caches.syncCheckers()...) {
		t.Fatal("the caches did not fill")
	}
	phases.count(w.caches)
	defer phases.count(nil)
	if err := testutil.GatherAndCompare(legacyregistry.DefaultGatherer, strings.NewReader(want), name); err != nil {
		t.Error(err)
	}
}

// What the controller measures over a sequence of two steps, the second of which fails.
func TestASequenceIsMeasured(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract", "load"))
	begin := time.Now().Truncate(time.Second)
	now := begin
	w.c.now = func() time.Time { return now }
	reset := func() {
		sequencesFinished.Reset()
		stepsFinished.Reset()
	}
	reset()
	gaps := observations(t, "sequentialjob_step_gap_seconds")
	must(t, w.syncFresh())
	before := w.job("etl-0")
	w.endJob("etl-0", batchv1.JobComplete, "")
	w.c.completions.observe(before, w.job("etl-0"), now)
	now = begin.Add(250 * time.Millisecond)
	must(t, w.syncFresh())
	w.endJob("etl-1", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	must(t, w.syncFresh())

	want := `# HELP sequentialjob_sequences_finished_total [ALPHA] SequentialJobs that ended, by result (completed, failed) and by reason. ` +
		`One that fails, is retried by hand and completes counts once for each end.
# TYPE sequentialjob_sequences_finished_total counter
sequentialjob_sequences_finished_total{reason="BackoffLimitExceeded",result="failed"} 1
# HELP sequentialjob_steps_finished_total [ALPHA] Attempts at steps that ended, by result (completed, failed) and by reason.
# TYPE sequentialjob_steps_finished_total counter
sequentialjob_steps_finished_total{reason="BackoffLimitExceeded",result="failed"} 1
sequentialjob_steps_finished_total{reason="JobCompleted",result="completed"} 1
`
	if err := testutil.GatherAndCompare(legacyregistry.DefaultGatherer, strings.NewReader(want),
		"sequentialjob_sequences_finished_total", "sequentialjob_steps_finished_total"); err != nil {
		t.Error(err)
	}
	if got := observations(t, "sequentialjob_step_gap_seconds"); got != gaps+1 {
		t.Errorf("%d gaps between steps were measured, want 1", got-gaps)
	}
	var left []any
	w.c.completions.seen.Range(func(uid, _ any) bool { left = append(left, uid); return true })
	if diff := cmp.Diff([]any(nil), left); diff != "" {
		t.Errorf("Jobs are still remembered: %s", diff)
	}
}

// observations returns how many values a histogram without labels has.
func observations(t *testing.T, name string) uint64 {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	return 0
}

func TestMetricsAreNamedByTheRulesOfPrometheus(t *testing.T) {
	newSyncWorld(t, newSequence("extract"))
	stepsFinished.WithLabelValues("completed", "JobCompleted").Inc()
	sequencesFinished.WithLabelValues("completed", "Completed").Inc()
	sequenceDuration.WithLabelValues("completed").Observe(1)
	stepDuration.WithLabelValues("completed").Observe(1)
	syncErrors.WithLabelValues("Conflict").Inc()
	answer := httptest.NewRecorder()
	legacyregistry.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if n := strings.Count(answer.Body.String(), "# TYPE "+metricsSubsystem+"_"); n < 8 {
		t.Errorf("only %d metrics of ours are there", n)
	}
	problems, err := testutil.NewPromLinter(answer.Body).Lint()
	must(t, err)
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, metricsSubsystem+"_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
}
