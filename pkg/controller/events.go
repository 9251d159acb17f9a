package controller

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
)

const (
	// lastEvent marks the end of the events. It is never sent.
	lastEvent = "LastEvent"
	// drainTimeout bounds how long a shutdown waits for events that the API server does not take.
	drainTimeout = 5 * time.Second
)

// drainingSink sends events and tells when all are sent: a broadcaster sends them one after another, but its Shutdown
// drops those that are still queued.
type drainingSink struct {
	record.EventSink
	drained chan struct{}
}

// Create sends an event.
func (s drainingSink) Create(event *corev1.Event) (*corev1.Event, error) {
	if event.Reason == lastEvent {
		close(s.drained)
		return event, nil
	}
	return s.EventSink.Create(event)
}

// drain waits until the events that were recorded so far are sent.
func (s drainingSink) drain(recorder record.EventRecorder) {
	recorder.Event(&corev1.ObjectReference{}, corev1.EventTypeNormal, lastEvent, "")
	select {
	case <-s.drained:
	case <-time.After(drainTimeout):
	}
}
