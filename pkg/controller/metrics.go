package controller

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

var syncPanics = metrics.NewCounter(&metrics.CounterOpts{
	Subsystem: "sequentialjob_controller",
	Name:      "sync_panics_total",
	Help: "How often the work on one SequentialJob ended in a panic. The others are not affected; " +
		"the log has the SequentialJob and the stack. Any value above 0 is a bug worth reporting.",
	StabilityLevel: metrics.ALPHA,
})

// registerMetrics makes the metrics part of what the process exposes, once, however many controllers it runs.
var registerMetrics = sync.OnceFunc(func() { legacyregistry.MustRegister(syncPanics) })
