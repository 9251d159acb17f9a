package controller

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// The metrics carry no names of objects or namespaces: there may be any number of these. docs/monitoring.md explains them all.
const metricsSubsystem = "sequentialjob"

var (
	sequencesFinished = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: metricsSubsystem, Name: "sequences_finished_total", StabilityLevel: metrics.ALPHA,
		Help: "SequentialJobs that ended, by result (completed, failed) and by reason. " +
			"One that fails, is retried by hand and completes counts once for each end.",
	}, []string{"result", "reason"})
	stepsFinished = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: metricsSubsystem, Name: "steps_finished_total", StabilityLevel: metrics.ALPHA,
		Help: "Attempts at steps that ended, by result (completed, failed) and by reason.",
	}, []string{"result", "reason"})
	sequenceDuration = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: metricsSubsystem, Name: "sequence_duration_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "Time from the start of a SequentialJob's first step to its end, by result; the time for which it was suspended included.",
		Buckets: durationBuckets,
	}, []string{"result"})
	stepDuration = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem: metricsSubsystem, Name: "step_duration_seconds", StabilityLevel: metrics.ALPHA,
		Help:    "Time from the start of an attempt at a step to its end, by result.",
		Buckets: durationBuckets,
	}, []string{"result"})
	stepGap = metrics.NewHistogram(&metrics.HistogramOpts{
		Subsystem: metricsSubsystem, Name: "step_gap_seconds", StabilityLevel: metrics.ALPHA,
		Help: "Time from this controller seeing that a step's Job is complete to the API server having created the Job of the next " +
			"step. Steps that were suspended in between are left out.",
		Buckets: metrics.ExponentialBuckets(0.005, 2, 14),
	})
	timeToFirstStep = metrics.NewHistogram(&metrics.HistogramOpts{
		Subsystem: metricsSubsystem, Name: "time_to_first_step_seconds", StabilityLevel: metrics.ALPHA,
		Help: "Time from the creation of a SequentialJob to that of its first Job, in whole seconds as the API server records them. " +
			"Those that were suspended from the beginning are left out.",
		Buckets: []float64{0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600},
	})
	syncErrors = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: metricsSubsystem, Name: "sync_errors_total", StabilityLevel: metrics.ALPHA,
		Help: "Attempts to work on a SequentialJob that failed and are tried again, by the API server's reason. " +
			"Conflict is harmless: somebody else was faster.",
	}, []string{"reason"})
	syncPanics = metrics.NewCounter(&metrics.CounterOpts{
		Subsystem: metricsSubsystem, Name: "sync_panics_total", StabilityLevel: metrics.ALPHA,
		Help: "How often the work on one SequentialJob ended in a panic. The others are not affected; " +
			"the log has the SequentialJob and the stack. Any value above 0 is a bug worth reporting.",
	})
	eventsSent = metrics.NewCounter(&metrics.CounterOpts{
		Subsystem: metricsSubsystem, Name: "events_sent_total", StabilityLevel: metrics.ALPHA,
		Help: "Events that the API server has taken.",
	})
	eventsDropped = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem: metricsSubsystem, Name: "events_dropped_total", StabilityLevel: metrics.ALPHA,
		Help: "Events that nobody will see, by reason. NamespaceGone is harmless: there is nobody left to tell.",
	}, []string{"reason"})
	eventsPending = metrics.NewGauge(&metrics.GaugeOpts{
		Subsystem: metricsSubsystem, Name: "events_pending", StabilityLevel: metrics.ALPHA,
		Help: "Events that wait to be sent.",
	})
	phases = &phaseCollector{}

	// From one second to about three days.
	durationBuckets = metrics.ExponentialBuckets(1, 2, 19)
)

// registerMetrics makes the metrics part of what the process exposes, once, however many controllers it runs.
var registerMetrics = sync.OnceFunc(func() {
	legacyregistry.MustRegister(sequencesFinished, stepsFinished, sequenceDuration, stepDuration, stepGap, timeToFirstStep,
		syncErrors, syncPanics, eventsSent, eventsDropped, eventsPending)
	legacyregistry.CustomMustRegister(phases)
	startAtZero()
})

// startAtZero exposes what has not happened yet: the rate of a counter that appears with its first event misses that event,
// and an alert cannot tell one that is not there from one that was renamed.
func startAtZero() {
	sequencesFinished.WithLabelValues(completed, v1alpha1.ReasonCompleted)
	stepsFinished.WithLabelValues(completed, v1alpha1.ReasonJobCompleted)
	for _, reason := range failureReasons() {
		sequencesFinished.WithLabelValues(failed, reason)
		stepsFinished.WithLabelValues(failed, reason)
	}
	sequencesFinished.WithLabelValues(cancelled, v1alpha1.ReasonCancelled)
	stepsFinished.WithLabelValues(cancelled, v1alpha1.ReasonCancelled)
	for _, result := range []string{completed, failed, cancelled} {
		sequenceDuration.WithLabelValues(result)
		stepDuration.WithLabelValues(result)
	}
	// The API server has many more reasons than these.
	for _, reason := range []string{string(metav1.StatusReasonConflict), string(metav1.StatusReasonForbidden), "Panic", "Timeout", "Other"} {
		syncErrors.WithLabelValues(reason)
	}
	for _, reason := range dropReasons {
		eventsDropped.WithLabelValues(reason)
	}
}

// Why an event is dropped.
const (
	droppedQueueFull     = "QueueFull"
	droppedRefused       = "Refused"
	droppedNamespaceGone = "NamespaceGone"
	droppedTooMany       = "TooManyOfOneObject"
)

var dropReasons = []string{droppedQueueFull, droppedRefused, droppedNamespaceGone, droppedTooMany}

// phaseCollector counts the cached SequentialJobs, and those that the caches leave out, when it is asked. It reports nothing while no controller runs: a replica
// that does not lead must not count them a second time.
type phaseCollector struct {
	metrics.BaseStableCollector
	source atomic.Pointer[Informers]
}

var (
	_ metrics.StableCollector = &phaseCollector{}

	phaseDesc = metrics.NewDesc(metricsSubsystem+"_sequences", "SequentialJobs that exist, by phase.", []string{"phase"}, nil,
		metrics.ALPHA, "")
	undecodableDesc = metrics.NewDesc(metricsSubsystem+"_undecodable_objects",
		"SequentialJobs that are stored and cannot be decoded, so that nothing is done about them. The log has their names.", nil, nil,
		metrics.ALPHA, "")
)

// count makes the collector count what these informers have cached; nil makes it stop.
func (p *phaseCollector) count(informers *Informers) { p.source.Store(informers) }

// DescribeWithStability describes the metrics.
func (p *phaseCollector) DescribeWithStability(ch chan<- *metrics.Desc) {
	ch <- phaseDesc
	ch <- undecodableDesc
}

// CollectWithStability counts.
func (p *phaseCollector) CollectWithStability(ch chan<- metrics.Metric) {
	informers := p.source.Load()
	if informers == nil || !informers.HaveSynced() {
		return
	}
	for phase, n := range informers.phases() {
		ch <- metrics.NewLazyConstMetric(phaseDesc, metrics.GaugeValue, float64(n), string(phase))
	}
	ch <- metrics.NewLazyConstMetric(undecodableDesc, metrics.GaugeValue, float64(len(informers.Undecodable())))
}

// phases counts the cached SequentialJobs by phase.
func (i *Informers) phases() map[v1alpha1.SequentialJobPhase]int {
	counts := map[v1alpha1.SequentialJobPhase]int{
		v1alpha1.SequentialJobPending: 0, v1alpha1.SequentialJobRunning: 0, v1alpha1.SequentialJobSuspended: 0,
		v1alpha1.SequentialJobCompleted: 0, v1alpha1.SequentialJobFailed: 0,
	}
	for _, in := range i.byNamespace {
		sequentialJobs, _ := in.sequentialJobs.Lister().List(labels.Everything()) // a cache has no errors
		for _, sj := range sequentialJobs {
			phase := sj.Status.Phase
			if phase == "" {
				phase = v1alpha1.SequentialJobPending
			}
			counts[phase]++
		}
	}
	return counts
}

// countSyncError counts what went wrong with a sync. Waiting for what the API server did not refuse is no error.
func countSyncError(err error) {
	if reason := syncErrorReason(err); reason != "" {
		syncErrors.WithLabelValues(reason).Inc()
	}
}

func syncErrorReason(err error) string {
	reason := apierrors.ReasonForError(err)
	switch {
	case err == nil:
		return ""
	case reason != metav1.StatusReasonUnknown:
		return string(reason)
	case errors.Is(err, errPanic):
		return "Panic"
	case errors.Is(err, context.DeadlineExceeded):
		return "Timeout"
	case err == errWaiting: //nolint:errorlint // what wraps it also has a cause
		return ""
	}
	return "Other"
}
