package kubectl

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

// apiServer serves SequentialJobs: what it has, what it remembers, and what becomes of it.
type apiServer struct {
	stored, remembered []v1alpha1.SequentialJob
	events             []watch.Event
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	query := r.URL.Query()
	switch {
	case query.Get("sendInitialEvents") != "":
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure, Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity,
		})
	case query.Get("watch") != "":
		for _, event := range s.events {
			_ = json.NewEncoder(w).Encode(map[string]any{"type": event.Type, "object": event.Object})
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		list := v1alpha1.SequentialJobList{Items: s.stored}
		if query.Get("resourceVersion") == "0" {
			list.Items = s.remembered
		}
		list.APIVersion, list.Kind, list.ResourceVersion = v1alpha1.GroupVersion.String(), "SequentialJobList", "10"
		_ = json.NewEncoder(w).Encode(list)
	}
}

func generationOf(uid types.UID, generation int64) v1alpha1.SequentialJob {
	sj := v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Name: "etl", Namespace: "default", UID: uid, Generation: generation}}
	sj.APIVersion, sj.Kind = v1alpha1.GroupVersion.String(), v1alpha1.SequentialJobKind
	return sj
}

// watched observes a SequentialJob on a server until a condition holds.
func watched(t *testing.T, server *apiServer, sj v1alpha1.SequentialJob, until func(Snapshot) bool) Snapshot {
	t.Helper()
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	t.Cleanup(listener.CloseClientConnections)
	client, err := versioned.NewForConfig(&rest.Config{Host: listener.URL})
	if err != nil {
		t.Fatal(err)
	}
	tool := &Tool{IOStreams: genericiooptions.IOStreams{Out: io.Discard, ErrOut: io.Discard}}
	o, err := tool.observe(t.Context(), Clients{SequentialJobs: client}, &sj, false)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.After(10 * time.Second)
	for {
		s, err := o.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if until(s) {
			return s
		}
		select {
		case <-o.Changed:
		case <-deadline:
			t.Fatal("nothing was told")
		}
	}
}

func TestSequenceThatIsDeletedBeforeItIsWatchedIsGone(t *testing.T) {
	s := watched(t, &apiServer{}, generationOf("1", 1), func(s Snapshot) bool { return s.Gone })
	if s.Replaced {
		t.Error("another one is said to have its name")
	}
}

func TestWhatTheServerRememberedIsNotBelieved(t *testing.T) {
	retried, failed, next := generationOf("1", 2), generationOf("1", 1), generationOf("1", 3)
	s := watched(t, &apiServer{
		stored: []v1alpha1.SequentialJob{retried}, remembered: []v1alpha1.SequentialJob{failed}, events: []watch.Event{{Type: watch.Modified, Object: &next}},
	}, retried, func(s Snapshot) bool {
		if s.SequentialJob.Generation < retried.Generation {
			t.Fatal("it is seen as it was before the retry")
		}
		return s.SequentialJob.Generation == next.Generation
	})
	if s.Gone {
		t.Error("it is said to be gone")
	}
}

func TestDeletionOfAnotherOneOfTheNameIsNotItsOwn(t *testing.T) {
	for uid, want := range map[types.UID]bool{"1": true, "2": false} {
		sj, other := generationOf("1", 1), generationOf(uid, 1)
		o := &Observer{uid: sj.UID, latest: &sj, changed: make(chan struct{}, 1)}
		o.lose(&other)
		if o.gone != want {
			t.Errorf("gone is %v after the deletion of %s, want %v", o.gone, uid, want)
		}
	}
}

// What a list does not have says nothing of how it was last.
func TestLossWithoutWordKeepsTheLastThatWasSeen(t *testing.T) {
	first, last := generationOf("1", 1), generationOf("1", 2)
	o := &Observer{uid: first.UID, latest: &first, changed: make(chan struct{}, 1)}
	o.lose(&last)
	o.lose(nil)
	if !o.gone || o.latest.Generation != last.Generation {
		t.Errorf("gone is %v, generation %d", o.gone, o.latest.Generation)
	}
}
