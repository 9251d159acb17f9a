package controller

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

// rawServer is an API server that lists and watches SequentialJobs, whatever they contain: it stores JSON.
type rawServer struct {
	t *testing.T
	// watchList says whether a watch can begin with what there is.
	watchList bool
	// pageSize bounds how many objects a page of a list has; 0 does not.
	pageSize int

	lock     sync.Mutex
	version  int
	objects  map[string]string // by name, with %d for the resourceVersion
	versions map[string]int
	// deletions are by the version that they made, for a watch that begins after them.
	deletions map[int]watchEvent
	watches   map[chan watchEvent]struct{}
}

type watchEvent struct {
	Type   watch.EventType `json:"type"`
	Object json.RawMessage `json:"object"`
}

// raw is a SequentialJob with these fields in the one container of its spec, and these in its spec.
func raw(name, container, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"batch.example.com/v1alpha1","kind":"SequentialJob",`+
		`"spec":{"containers":[{"name":"only","image":"shell"%s}]%s},`+
		`"metadata":{"name":%q,"namespace":%q,"uid":"uid-of-%s","resourceVersion":"%%d"}}`, container, spec, name, namespace, name)
}

func newRawServer(t *testing.T, watchList bool, pageSize int) (*rawServer, versioned.Interface) {
	t.Helper()
	s := &rawServer{
		t: t, watchList: watchList, pageSize: pageSize, version: 10,
		objects: map[string]string{}, versions: map[string]int{}, deletions: map[int]watchEvent{}, watches: map[chan watchEvent]struct{}{},
	}
	mux := http.NewServeMux()
	// With a prefix, as behind a proxy.
	mux.HandleFunc("GET /cluster/apis/batch.example.com/v1alpha1/sequentialjobs", s.serve)
	server := httptest.NewServer(mux)
	t.Cleanup(func() { s.endWatches(); server.CloseClientConnections(); server.Close() })
	return s, versioned.NewForConfigOrDie(&rest.Config{Host: server.URL + "/cluster"})
}

// put stores an object and tells those who watch.
func (s *rawServer) put(name, object string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.version++
	kind := watch.Modified
	if s.objects[name] == "" {
		kind = watch.Added
	}
	s.objects[name], s.versions[name] = object, s.version
	s.tell(watchEvent{kind, s.object(name)})
}

func (s *rawServer) remove(name string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.version++
	s.versions[name] = s.version
	event := watchEvent{watch.Deleted, s.object(name)}
	delete(s.objects, name)
	s.deletions[s.version] = event
	s.tell(event)
}

func (s *rawServer) object(name string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(s.objects[name], s.versions[name]))
}

func (s *rawServer) tell(event watchEvent) {
	for events := range s.watches {
		events <- event
	}
}

// endWatches makes those who watch begin again, with all that there is: what they know is too old.
func (s *rawServer) endWatches() {
	s.lock.Lock()
	defer s.lock.Unlock()
	gone := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`
	s.tell(watchEvent{watch.Error, json.RawMessage(gone)})
	for events := range s.watches {
		close(events)
	}
	clear(s.watches)
}

func (s *rawServer) names() []string {
	var names []string
	for name := range s.objects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *rawServer) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	switch query := r.URL.Query(); {
	case query.Get("watch") == "":
		s.serveList(w, query.Get("continue"))
	case query.Get("sendInitialEvents") == "true" && !s.watchList:
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`)
	default:
		s.serveWatch(w, r, query.Get("sendInitialEvents") == "true")
	}
}

func (s *rawServer) serveList(w http.ResponseWriter, after string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	names, next := s.names(), ""
	names = names[slices.IndexFunc(append(names, "~"), func(name string) bool { return name > after }):]
	if s.pageSize > 0 && len(names) > s.pageSize {
		names = names[:s.pageSize]
		next = names[len(names)-1]
	}
	var items []string
	for _, name := range names {
		items = append(items, string(s.object(name)))
	}
	fmt.Fprintf(w, `{"apiVersion":"batch.example.com/v1alpha1","kind":"SequentialJobList","metadata":{"resourceVersion":"%d","continue":%q},"items":[%s]}`,
		s.version, next, strings.Join(items, ","))
}

func (s *rawServer) serveWatch(w http.ResponseWriter, r *http.Request, initial bool) {
	s.lock.Lock()
	since, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	var first []watchEvent
	for _, name := range s.names() {
		if initial || s.versions[name] > since {
			first = append(first, watchEvent{watch.Added, s.object(name)})
		}
	}
	for version := since + 1; version <= s.version && !initial; version++ {
		if deletion, ok := s.deletions[version]; ok {
			first = append(first, deletion)
		}
	}
	if initial {
		bookmark := fmt.Sprintf(`{"apiVersion":"batch.example.com/v1alpha1","kind":"SequentialJob","metadata":{"resourceVersion":"%d",`+
			`"creationTimestamp":null,"annotations":{%q:"true"}},"spec":{"containers":null}}`, s.version, metav1.InitialEventsAnnotationKey)
		first = append(first, watchEvent{watch.Bookmark, json.RawMessage(bookmark)})
	}
	events := make(chan watchEvent, 100)
	s.watches[events] = struct{}{}
	s.lock.Unlock()

	encoder := json.NewEncoder(w)
	for _, event := range first {
		_ = encoder.Encode(event) // the client is gone, then
	}
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done(): // a watch may begin after the last word to all was said
			s.forget(events)
			return
		case event, ok := <-events:
			if !ok {
				return
			}
			_ = encoder.Encode(event)
			w.(http.Flusher).Flush()
		}
	}
}

func (s *rawServer) forget(events chan watchEvent) {
	s.lock.Lock()
	defer s.lock.Unlock()
	delete(s.watches, events)
}
