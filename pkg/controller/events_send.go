package controller

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/sequence"
)

const (
	// eventWorkers is how many events are sent at the same time. Few, so that in a burst the API server is busy with Jobs first.
	eventWorkers = 3
	// drainTimeout bounds how long a shutdown waits for events that the API server does not take.
	drainTimeout = 5 * time.Second
)

// eventSink is what is used of a client for events. Unlike record.EventSink it can be told that nobody waits any more.
type eventSink interface {
	CreateWithEventNamespaceWithContext(ctx context.Context, event *corev1.Event) (*corev1.Event, error)
	PatchWithEventNamespaceWithContext(ctx context.Context, event *corev1.Event, patch []byte) (*corev1.Event, error)
}

// start sends events until stop is called, which returns once those that were recorded so far are sent, or after a while. The end of
// ctx does not end it: the syncs under way at a shutdown have events to send.
func (s *eventSender) start(ctx context.Context) (stop func()) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	for range eventWorkers {
		go func() {
			for s.sendNext(sending) {
			}
		}()
	}
	return func() {
		select {
		case <-s.drain():
		case <-time.After(drainTimeout):
			klog.FromContext(ctx).Error(nil, "Events are lost: the API server did not take them in time", "events", s.len())
		}
		s.objects.ShutDown()
		cancel()
	}
}

// drain returns a channel that is closed as soon as no event waits. What backs off is tried at once.
func (s *eventSender) drain() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	drained := make(chan struct{})
	if s.count == 0 {
		close(drained)
		return drained
	}
	s.drained = drained
	for about := range s.waiting {
		s.objects.Add(about)
	}
	return drained
}

func (s *eventSender) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// sendNext sends the first event of the object whose turn it is. The next one of the same object has to wait until that is done with.
func (s *eventSender) sendNext(ctx context.Context) bool {
	about, shutdown := s.objects.Get()
	if shutdown {
		return false
	}
	defer s.objects.Done(about)
	event := s.first(about)
	if event == nil { // it had two turns: see drain
		return ctx.Err() == nil
	}
	dropped, err := s.send(ctx, event)
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Sending an event failed, trying again later", "reason", err)
		s.objects.AddRateLimited(about)
		return ctx.Err() == nil
	}
	if dropped == "" {
		eventsSent.Inc()
	} else {
		eventsDropped.WithLabelValues(dropped).Inc()
	}
	s.objects.Forget(about)
	if s.removeFirst(about) {
		s.objects.Add(about)
	}
	return true
}

// send sends an event once. It returns why the event is dropped, if it is, or an error if another try may succeed.
func (s *eventSender) send(ctx context.Context, event *waitingEvent) (dropped string, err error) {
	if event.correlated == nil {
		if event.correlated, err = s.correlator.EventCorrelate(event.Event); err != nil {
			klog.FromContext(ctx).Error(err, "An event could not be compared with those before") // and is sent as it is
		}
	}
	if event.correlated.Skip {
		return droppedTooMany, nil
	}
	stored, err := s.store(ctx, event.correlated)
	if err == nil {
		s.correlator.UpdateState(stored)
		return "", nil
	}
	logger := klog.LoggerWithValues(klog.FromContext(ctx), "about", klog.KRef(event.InvolvedObject.Namespace, event.InvolvedObject.Name),
		"reason", event.Reason, "message", event.Message)
	unsendable := (*rest.RequestConstructionError)(nil)
	switch class := refusalOf(err).Class; {
	case errors.As(err, &unsendable):
		logger.Error(err, "An event is dropped: it cannot be sent")
		return droppedRefused, nil
	case class == sequence.NameTaken: // by itself: it was stored before, and the answer got lost
		return "", nil
	case class == sequence.Unavailable, class == sequence.Conflict:
		return "", err
	case class == sequence.NamespaceGone:
		logger.V(4).Info("An event is dropped: its namespace is gone")
		return droppedNamespaceGone, nil
	}
	logger.Error(err, "An event is dropped: it is refused")
	return droppedRefused, nil
}

// store creates an event, or raises the count of an equal one. That may be gone by now: the API server keeps events for an hour.
func (s *eventSender) store(ctx context.Context, correlated *record.EventCorrelateResult) (*corev1.Event, error) {
	event := correlated.Event
	if event.Count > 1 {
		stored, err := s.sink.PatchWithEventNamespaceWithContext(ctx, event, correlated.Patch)
		if !apierrors.IsNotFound(err) {
			return stored, err
		}
	}
	event.ResourceVersion = ""
	return s.sink.CreateWithEventNamespaceWithContext(ctx, event)
}
