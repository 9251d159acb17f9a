package controller

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/testutil"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
	sjinformers "github.com/example/sequential-job-operator/pkg/generated/informers/externalversions/batch/v1alpha1"
)

// badPort is a container that the Go types cannot hold.
const badPort = `,"readinessProbe":{"httpGet":{"path":"/","port":99999999999}}`

// servers are the ways in which an informer may come by what is stored.
var servers = map[string]struct {
	watchList bool
	pageSize  int
}{
	"a watch that begins with all": {watchList: true},
	"list and watch":               {},
	"a list of pages":              {pageSize: 2},
}

// rawWorld is a cache that is filled by a rawServer.
type rawWorld struct {
	*rawServer
	caches *Informers
	kube   *kubefake.Clientset
}

func forEachServer(t *testing.T, test func(t *testing.T, w *rawWorld)) {
	t.Helper()
	for name, tc := range servers {
		t.Run(name, func(t *testing.T) {
			server, client := newRawServer(t, tc.watchList, tc.pageSize)
			w := &rawWorld{rawServer: server, kube: kubefake.NewClientset()}
			var err error
			w.caches, err = NewInformers(w.kube, client)
			must(t, err)
			test(t, w)
		})
	}
}

// start fills the caches.
func (w *rawWorld) start() {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w.t.Cleanup(func() { stop(); w.endWatches(); w.caches.Shutdown() })
	w.caches.Start(ctx)
	w.until("the caches to be filled", w.caches.HaveSynced)
}

func (w *rawWorld) until(what string, done func() bool) {
	w.t.Helper()
	if err := wait.PollUntilContextTimeout(w.t.Context(), 5*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return done(), nil
	}); err != nil {
		w.t.Fatalf("waiting for %s: cached %v, undecodable %v", what, w.cached(), w.undecodable())
	}
}

func (w *rawWorld) cached() []string {
	all, _ := w.caches.of(namespace).sequentialJobs.Lister().List(labels.Everything())
	var names []string
	for _, sj := range all {
		names = append(names, sj.Name)
	}
	slices.Sort(names)
	return names
}

func (w *rawWorld) undecodable() []string {
	var names []string
	for _, object := range w.caches.Undecodable() {
		names = append(names, object.Name)
	}
	return names
}

// untilThese waits until these are cached, and those are not because they cannot be decoded.
func (w *rawWorld) untilThese(cached, undecodable string) {
	w.t.Helper()
	w.until(fmt.Sprintf("cached [%s], undecodable [%s]", cached, undecodable), func() bool {
		return strings.Join(w.cached(), " ") == cached && strings.Join(w.undecodable(), " ") == undecodable
	})
}

func TestWhatCannotBeDecodedIsNamedAndStopsNoOther(t *testing.T) {
	bad := map[string]struct{ container, spec, says string }{
		"bad-port":     {badPort, "", "99999999999"},
		"bad-quantity": {`,"resources":{"limits":{"memory":"1e1.5"}}`, "", "quantities must match"},
		"bad-exponent": {`,"resources":{"limits":{"memory":"1e99999999999999999999"}}`, "", "quantit"},
		"bad-time":     {"", `,"template":{"metadata":{"creationTimestamp":"2024-01-01t00:00:00z"}}`, "2024-01-01t00:00:00z"},
		"bad-int32":    {"", `,"backoffLimit":3000000000`, "backoffLimit"},
		"bad-type":     {"", `,"suspend":"yes"`, "suspend"},
	}
	forEachServer(t, func(t *testing.T, w *rawWorld) {
		for _, name := range []string{"a-good", "bad-good", "z-good"} {
			w.put(name, raw(name, "", ""))
		}
		for name, tc := range bad {
			w.put(name, raw(name, tc.container, tc.spec))
		}
		w.start()
		w.untilThese("a-good bad-good z-good", "bad-exponent bad-int32 bad-port bad-quantity bad-time bad-type")
		for _, object := range w.caches.Undecodable() {
			if says := bad[object.Name].says; !strings.Contains(object.Err.Error(), says) {
				t.Errorf("%s: %v, want %q", object.ObjectName, object.Err, says)
			}
			if object.Namespace != namespace || object.UID == "" || object.ResourceVersion == "" {
				t.Errorf("%+v does not say which object it is", object)
			}
		}
		// And the watch goes on.
		w.put("later", raw("later", "", ""))
		w.put("bad-later", raw("bad-later", badPort, ""))
		w.untilThese("a-good bad-good later z-good", "bad-exponent bad-int32 bad-later bad-port bad-quantity bad-time bad-type")
	})
}

func TestAnObjectThatCannotBeDecodedAnyMoreIsNotActedOnUntilItIsCorrected(t *testing.T) {
	forEachServer(t, func(t *testing.T, w *rawWorld) {
		w.put("etl", raw("etl", "", ""))
		deleted := make(chan *v1alpha1.SequentialJob, 10)
		_, err := w.caches.of(namespace).sequentialJobs.TypedInformer().AddTypedEventHandler(sjinformers.SequentialJobHandlerFuncs{
			DeleteFunc: func(object cache.DeletedObject[*v1alpha1.SequentialJob]) { deleted <- object.OptionalObj },
		})
		must(t, err)
		w.start()
		w.untilThese("etl", "")
		w.put("etl", raw("etl", badPort, ""))
		w.untilThese("", "etl")
		if sj := <-deleted; sj.Name != "etl" || sj.UID != "uid-of-etl" {
			t.Errorf("%s (%s) was told to be deleted", sj.Name, sj.UID)
		}
		w.put("etl", raw("etl", `,"command":["true"]`, ""))
		w.untilThese("etl", "")
		sj, err := w.caches.sequentialJob(cache.NewObjectName(namespace, "etl"))
		must(t, err)
		if got := sj.Spec.Containers[0].Name; got != "only" {
			t.Errorf("step %q", got)
		}
	})
}

func TestAnObjectThatCannotBeDecodedIsForgottenWhenItIsDeleted(t *testing.T) {
	forEachServer(t, func(_ *testing.T, w *rawWorld) {
		for _, name := range []string{"bad-1", "bad-2", "bad-3", "bad-4"} {
			w.put(name, raw(name, badPort, ""))
		}
		w.put("good", raw("good", "", ""))
		w.start()
		w.untilThese("good", "bad-1 bad-2 bad-3 bad-4")
		w.remove("bad-1")
		w.untilThese("good", "bad-2 bad-3 bad-4")
		// While nobody watches.
		w.lock.Lock()
		delete(w.objects, "bad-3")
		w.objects["bad-4"] = raw("bad-4", "", "")
		w.lock.Unlock()
		w.endWatches()
		w.untilThese("bad-4 good", "bad-2")
	})
}

func TestAWarningIsPublishedForEachVersionThatCannotBeDecoded(t *testing.T) {
	forEachServer(t, func(t *testing.T, w *rawWorld) {
		w.put("before", raw("before", badPort, ""))
		w.start()
		sender := newEventSender(w.kube.CoreV1().Events(metav1.NamespaceAll))
		t.Cleanup(sender.start(t.Context()))
		stop := w.caches.publishUndecodable(sender)
		w.put("after", raw("after", badPort, ""))
		w.untilThese("", "after before")
		w.endWatches() // the same versions are told again
		w.put("after", raw("after", `,"resources":{"limits":{"memory":"`+strings.Repeat("1e1.5", 1000)+`"}}`, ""))
		var events []corev1.Event
		w.until("the events", func() bool {
			list, err := w.kube.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
			must(t, err)
			events = list.Items
			return len(events) == 3
		})
		stop()
		for _, event := range events {
			if event.Type != corev1.EventTypeWarning || event.Reason != "Undecodable" || !strings.Contains(event.Message, "cannot be decoded") ||
				len(event.Message) > 1024 || event.Count > 1 {
				t.Errorf("event %+v", event)
			}
			if about := event.InvolvedObject; about.Kind != "SequentialJob" || about.UID == "" || about.Namespace != namespace ||
				(about.Name != "before" && about.Name != "after") {
				t.Errorf("event about %+v", about)
			}
		}
	})
}

func TestWhatCannotBeDecodedIsCounted(t *testing.T) {
	forEachServer(t, func(t *testing.T, w *rawWorld) {
		registerMetrics()
		w.put("bad-1", raw("bad-1", badPort, ""))
		w.put("bad-2", raw("bad-2", badPort, ""))
		w.start()
		w.untilThese("", "bad-1 bad-2")
		phases.count(w.caches)
		defer phases.count(nil)
		want := `# HELP sequentialjob_undecodable_objects [ALPHA] SequentialJobs that are stored and cannot be decoded, so that nothing is done about them. The log has their names.
# TYPE sequentialjob_undecodable_objects gauge
sequentialjob_undecodable_objects 2
`
		if err := testutil.GatherAndCompare(legacyregistry.DefaultGatherer, strings.NewReader(want), "sequentialjob_undecodable_objects"); err != nil {
			t.Error(err)
		}
	})
}

// As if all had been deleted.
func TestWhatIsNoListIsNotTakenForAnEmptyOne(t *testing.T) {
	for _, body := range []string{`{}`, `{"kind":"Status","apiVersion":"v1"}`, `{"items":[{"spec":1}]}`, `[]`, `<html>`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", runtime.ContentTypeJSON)
			fmt.Fprint(w, body)
		}))
		defer server.Close()
		client := versioned.NewForConfigOrDie(&rest.Config{Host: server.URL})
		source := &tolerantListWatch{client: client.BatchV1alpha1().RESTClient(), undecodable: &undecodables{}}
		if list, err := source.list(t.Context(), metav1.ListOptions{}); err == nil {
			t.Errorf("%s is taken for %+v", body, list)
		}
	}
}

// An informer goes by the reason; people go by the words.
func TestARefusedListSaysWhy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		w.WriteHeader(http.StatusGone)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old","reason":"Expired","code":410}`)
	}))
	t.Cleanup(server.Close)
	client, err := newTolerantClient(versioned.NewForConfigOrDie(&rest.Config{Host: server.URL}).BatchV1alpha1().RESTClient().(*rest.RESTClient))
	must(t, err)
	source := &tolerantListWatch{client: client, undecodable: &undecodables{}}
	_, listed := source.list(t.Context(), metav1.ListOptions{})
	_, watched := source.watch(t.Context(), metav1.ListOptions{})
	for _, err := range []error{listed, watched} {
		if !apierrors.IsResourceExpired(err) || err.Error() != "too old" {
			t.Errorf("error %v, want the API server's", err)
		}
	}
}

func TestWhatKeepsTheCachesEmptyIsSaid(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	caches, err := NewInformers(kubefake.NewClientset(), versioned.NewForConfigOrDie(&rest.Config{Host: server.URL}))
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	caches.Start(ctx)
	t.Cleanup(func() { stop(); caches.Shutdown() })
	if err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return strings.Contains(caches.Unfilled().Error(), "could not find the requested resource"), nil
	}); err != nil {
		t.Errorf("it says %v", caches.Unfilled())
	}
}

// Whoever stops a watch does not take what it had to tell.
func TestAWatchThatIsStoppedEnds(t *testing.T) {
	source := watch.NewFake()
	w := &tolerantWatch{source: source, undecodable: &undecodables{}, result: make(chan watch.Event), stopped: make(chan struct{})}
	ended := make(chan struct{})
	go func() { w.run(t.Context()); close(ended) }()
	source.Add(&v1alpha1.SequentialJob{})
	w.Stop()
	w.Stop()
	<-ended
}
