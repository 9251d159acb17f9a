package controller

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// fakeSink stores events as an API server does.
type fakeSink struct {
	// before is called with each request, and after with each that was carried out. What they return is the answer, unless it is nil.
	before, after func(context.Context, *corev1.Event) error

	mu     sync.Mutex
	stored []*corev1.Event // in the order in which they were created
}

func (s *fakeSink) CreateWithEventNamespaceWithContext(ctx context.Context, event *corev1.Event) (*corev1.Event, error) {
	return s.answer(ctx, event, func(at int) (*corev1.Event, error) {
		if at >= 0 {
			return nil, apierrors.NewAlreadyExists(corev1.Resource("events"), event.Name)
		}
		s.stored = append(s.stored, event.DeepCopy())
		return event, nil
	})
}

func (s *fakeSink) PatchWithEventNamespaceWithContext(ctx context.Context, event *corev1.Event, patch []byte) (*corev1.Event, error) {
	return s.answer(ctx, event, func(at int) (*corev1.Event, error) {
		if at < 0 {
			return nil, apierrors.NewNotFound(corev1.Resource("events"), event.Name)
		}
		err := json.Unmarshal(patch, s.stored[at])
		return s.stored[at].DeepCopy(), err
	})
}

func (s *fakeSink) answer(ctx context.Context, event *corev1.Event, write func(at int) (*corev1.Event, error)) (*corev1.Event, error) {
	if s.before != nil {
		if err := s.before(ctx, event); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	stored, err := write(slices.IndexFunc(s.stored, func(other *corev1.Event) bool { return other.Name == event.Name }))
	s.mu.Unlock()
	if err == nil && s.after != nil {
		err = s.after(ctx, event)
	}
	return stored, err
}

// messages returns those of the events about an object, in the order in which they were stored.
func (s *fakeSink) messages(about *v1alpha1.SequentialJob) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var messages []string
	for _, event := range s.stored {
		if event.InvolvedObject.UID == about.UID {
			messages = append(messages, event.Message)
		}
	}
	return messages
}

// forget deletes all events, as the API server does after an hour.
func (s *fakeSink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = nil
}

// newTestSender returns a sender to a sink, and what says how many events were dropped since then.
func newTestSender(t *testing.T, sink eventSink) (sender *eventSender, dropped func(reason string) int) {
	t.Helper()
	registerMetrics()
	sender = newEventSender(sink)
	before := map[string]float64{}
	for _, reason := range dropReasons {
		before[reason] = counted(t, eventsDropped.WithLabelValues(reason))
	}
	return sender, func(reason string) int {
		return int(counted(t, eventsDropped.WithLabelValues(reason)) - before[reason])
	}
}

func counted(t *testing.T, counter metrics.CounterMetric) float64 {
	t.Helper()
	value, err := testutil.GetCounterMetricValue(counter)
	must(t, err)
	return value
}

// sequenceNamed returns a SequentialJob to tell something about.
func sequenceNamed(name string) *v1alpha1.SequentialJob {
	return &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name)}}
}
