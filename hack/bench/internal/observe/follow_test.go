package observe

import (
	"context"
	"errors"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

func job(revision string) watch.Event {
	return watch.Event{Type: watch.Modified, Object: &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: revision}}}
}

// watches answers one request after another with these events, each time ended by the API server; then it answers with an error.
func watches(asked *[]string, answers ...[]watch.Event) OpenWatch {
	return func(_ context.Context, options metav1.ListOptions) (watch.Interface, error) {
		*asked = append(*asked, options.ResourceVersion)
		if len(answers) == 0 {
			return nil, errTest
		}
		events := answers[0]
		answers = answers[1:]
		w := watch.NewFakeWithChanSize(len(events), false)
		for _, event := range events {
			w.Action(event.Type, event.Object)
		}
		w.Stop()
		return w, nil
	}
}

var errTest = errors.New("no more watches")

func TestAWatchThatEndsGoesOnWhereItWas(t *testing.T) {
	var asked, seen []string
	restarts := 0
	handle := func(event watch.Event) { seen = append(seen, event.Object.(*batchv1.Job).ResourceVersion) }
	open := watches(&asked, []watch.Event{job("11"), job("12")}, nil, []watch.Event{job("15")})
	err := Follow(t.Context(), open, metav1.ListOptions{ResourceVersion: "10"}, handle, func() { restarts++ })
	if !errors.Is(err, errTest) {
		t.Errorf("error %v, want that of the last request", err)
	}
	if want := []string{"10", "12", "12", "15"}; !slices.Equal(asked, want) {
		t.Errorf("asked from %q on, want %q", asked, want)
	}
	if want := []string{"11", "12", "15"}; !slices.Equal(seen, want) || restarts != 3 {
		t.Errorf("seen %q with %d restarts, want %q with 3", seen, restarts, want)
	}
}

func TestWhatCannotBeMadeUpForIsAnError(t *testing.T) {
	var asked []string
	expired := apierrors.NewResourceExpired("too old").ErrStatus
	open := watches(&asked, []watch.Event{{Type: watch.Error, Object: &expired}})
	err := Follow(t.Context(), open, metav1.ListOptions{}, func(watch.Event) {}, func() {})
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("error %v, want that the revision is gone", err)
	}
}

func TestTheEndIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var asked []string
	open := watches(&asked, []watch.Event{job("11")})
	if err := Follow(ctx, open, metav1.ListOptions{}, func(watch.Event) { cancel() }, func() {}); err != nil {
		t.Error(err)
	}
}
