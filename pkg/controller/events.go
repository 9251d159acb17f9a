package controller

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	recordutil "k8s.io/client-go/tools/record/util"
	"k8s.io/client-go/tools/reference"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/scheme"
)

const (
	// maxEventsPerObject is after how many events of one object client-go's correlator drops or combines some. Its default of 25
	// is for objects that fail again and again; a sequence of 100 steps has more than 200, each of which tells something else.
	maxEventsPerObject = 1000
	// maxWaitingEvents bounds the memory that events take which the API server does not: about 100 MB.
	maxWaitingEvents = 100_000
	// firstEventDelay and maxEventDelay bound the exponential back-off of the events of one object.
	firstEventDelay = 100 * time.Millisecond
	maxEventDelay   = 30 * time.Second
)

// recorder publishes events. It does not wait for them to be sent.
type recorder interface {
	Event(object runtime.Object, eventType, reason, message string)
}

// eventSender is a recorder that sends the events of one object in the order in which they were recorded, and those of different
// objects side by side. client-go's own has one queue of 1,000 for all of them, drops what is more, and waits for each before it
// sends the next.
type eventSender struct {
	sink       eventSink
	correlator *record.EventCorrelator
	// objects are those that have events waiting. They take turns, one event each.
	objects workqueue.TypedRateLimitingInterface[types.UID]
	limit   int

	mu       sync.Mutex
	waiting  map[types.UID][]*waitingEvent // in order; an object without any is not in it
	count    int                           // of events in waiting
	lastName int64                         // the time in the name of the last event
	drained  chan struct{}                 // closed as soon as none waits; nil unless somebody wants to know
}

// waitingEvent is an event that is not sent yet.
type waitingEvent struct {
	*corev1.Event
	// correlated is what to send for it. It is found out once, however often that is tried: the correlator counts.
	correlated *record.EventCorrelateResult
}

func newEventSender(sink eventSink) *eventSender {
	return &eventSender{
		sink: sink,
		correlator: record.NewEventCorrelatorWithOptions(record.CorrelatorOptions{
			BurstSize: maxEventsPerObject, MaxEvents: maxEventsPerObject,
		}),
		objects: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[types.UID](firstEventDelay, maxEventDelay),
			workqueue.TypedRateLimitingQueueConfig[types.UID]{Name: eventQueueName}),
		limit:   maxWaitingEvents,
		waiting: map[types.UID][]*waitingEvent{},
	}
}

// Event records an event. If too many wait already it is dropped.
func (s *eventSender) Event(object runtime.Object, eventType, reason, message string) {
	about, err := reference.GetReference(scheme.Scheme, object)
	if err != nil { // it is no Kubernetes object
		klog.Background().Error(err, "Cannot tell which object an event is about", "reason", reason, "message", message)
		return
	}
	s.add(&corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: about.Namespace},
		InvolvedObject:      *about,
		Type:                eventType,
		Reason:              reason,
		Message:             message,
		Count:               1,
		Source:              corev1.EventSource{Component: v1alpha1.ControllerName},
		ReportingController: v1alpha1.ControllerName,
	})
}

func (s *eventSender) add(event *corev1.Event) {
	about := event.InvolvedObject.UID
	s.mu.Lock()
	if s.count >= s.limit {
		s.mu.Unlock()
		eventsDropped.WithLabelValues(droppedQueueFull).Inc()
		return
	}
	s.stamp(event)
	isFirst := len(s.waiting[about]) == 0
	s.waiting[about] = append(s.waiting[about], &waitingEvent{Event: event})
	s.count++
	s.mu.Unlock()
	eventsPending.Inc()
	if isFirst { // otherwise the object has its turn already, or backs off
		s.objects.Add(about)
	}
}

// stamp gives an event its time, and a name after it that no other has: the API server takes a second one of the same name for the first.
func (s *eventSender) stamp(event *corev1.Event) {
	now := metav1.Now()
	s.lastName = max(s.lastName+1, now.UnixNano())
	event.FirstTimestamp, event.LastTimestamp = now, now
	event.Name = recordutil.GenerateEventName(event.InvolvedObject.Name, s.lastName)
}

// first returns the event of an object that is to be sent next, or nil if there is none.
func (s *eventSender) first(about types.UID) *waitingEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if events := s.waiting[about]; len(events) > 0 {
		return events[0]
	}
	return nil
}

// removeFirst says whether the object has more events waiting.
func (s *eventSender) removeFirst(about types.UID) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
	eventsPending.Dec()
	if s.count == 0 && s.drained != nil {
		close(s.drained)
		s.drained = nil
	}
	events := s.waiting[about]
	if len(events) == 1 {
		delete(s.waiting, about)
		return false
	}
	events[0] = nil
	s.waiting[about] = events[1:]
	return true
}
