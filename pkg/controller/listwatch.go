package controller

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/scheme"
)

const sequentialJobResource = "sequentialjobs"

// tolerantCodecs read SequentialJobs as decoded.
var tolerantCodecs = func() serializer.CodecFactory {
	tolerant := runtime.NewScheme()
	tolerant.AddKnownTypeWithName(v1alpha1.SchemeGroupVersion.WithKind(v1alpha1.SequentialJobKind), &decoded{})
	metav1.AddToGroupVersion(tolerant, v1alpha1.SchemeGroupVersion)
	metav1.AddToGroupVersion(tolerant, schema.GroupVersion{Version: "v1"}) // Status
	return serializer.NewCodecFactory(tolerant)
}()

// tolerantListWatch lists and watches SequentialJobs as the generated informer does, but for one thing: an object that cannot
// be decoded fails neither list nor watch. It is left out of the list, and is deleted as far as the watch tells.
type tolerantListWatch struct {
	client      rest.Interface
	namespace   string
	undecodable *undecodables
	// leftOut are the objects that the pages of a list had so far and that cannot be decoded.
	leftOut sets.Set[cache.ObjectName]
}

// newTolerantInformer returns an informer of *v1alpha1.SequentialJob, or nil if the client is a fake without a REST client,
// for which there is nothing to decode.
func newTolerantInformer(client versioned.Interface, namespace string, undecodable *undecodables) (cache.SharedIndexInformer, error) {
	base, ok := client.BatchV1alpha1().RESTClient().(*rest.RESTClient)
	if !ok || base == nil {
		return nil, nil
	}
	tolerant, err := rest.NewRESTClient(base.Get().AbsPath("/").URL(), "/apis/"+v1alpha1.SchemeGroupVersion.String(),
		rest.ClientContentConfig{
			ContentType:  runtime.ContentTypeJSON,
			GroupVersion: v1alpha1.SchemeGroupVersion,
			Negotiator:   runtime.NewClientNegotiator(tolerantCodecs.WithoutConversion(), v1alpha1.SchemeGroupVersion),
		}, base.GetRateLimiter(), base.Client)
	if err != nil {
		return nil, err
	}
	source := &tolerantListWatch{client: tolerant, namespace: namespace, undecodable: undecodable}
	return cache.NewSharedIndexInformerWithOptions(
		cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
			ListWithContextFunc:  source.list,
			WatchFuncWithContext: source.watch,
		}, client),
		&v1alpha1.SequentialJob{},
		cache.SharedIndexInformerOptions{Indexers: cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}},
	), nil
}

func (l *tolerantListWatch) request(options *metav1.ListOptions) *rest.Request {
	var timeout time.Duration
	if options.TimeoutSeconds != nil {
		timeout = time.Duration(*options.TimeoutSeconds) * time.Second
	}
	return l.client.Get().NamespaceIfScoped(l.namespace, l.namespace != metav1.NamespaceAll).Resource(sequentialJobResource).
		VersionedParams(options, scheme.ParameterCodec).Timeout(timeout)
}

// list returns one page. An informer asks for one after another.
func (l *tolerantListWatch) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	data, err := l.request(&options).Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	var page struct {
		metav1.ListMeta `json:"metadata"`
		Items           []decoded `json:"items"`
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return nil, err
	}
	if options.Continue == "" {
		l.leftOut = sets.New[cache.ObjectName]()
	}
	list := &v1alpha1.SequentialJobList{ListMeta: page.ListMeta, Items: make([]v1alpha1.SequentialJob, 0, len(page.Items))}
	for i := range page.Items {
		if item := &page.Items[i]; l.undecodable.observe(ctx, item) {
			list.Items = append(list.Items, item.SequentialJob)
		} else {
			l.leftOut.Insert(cache.MetaObjectToName(item))
		}
	}
	if page.Continue == "" {
		l.undecodable.retain(l.leftOut)
	}
	return list, nil
}

func (l *tolerantListWatch) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	source, err := l.request(&options).Watch(ctx)
	if err != nil {
		return nil, err
	}
	w := &tolerantWatch{
		source: source, undecodable: l.undecodable, leftOut: sets.New[cache.ObjectName](),
		result: make(chan watch.Event), stopped: make(chan struct{}),
	}
	go w.run(ctx)
	return w, nil
}

// tolerantWatch turns what a watch tells of decoded into what it tells of SequentialJobs. (watch.Filter does such a thing, but
// leaves its goroutine behind when it is stopped with an event that nobody has taken.)
type tolerantWatch struct {
	source      watch.Interface
	undecodable *undecodables
	// leftOut are the objects that this watch has told of and that cannot be decoded.
	leftOut sets.Set[cache.ObjectName]
	result  chan watch.Event
	stop    sync.Once
	stopped chan struct{}
}

// ResultChan is closed when the watch has ended.
func (w *tolerantWatch) ResultChan() <-chan watch.Event { return w.result }

// Stop ends the watch.
func (w *tolerantWatch) Stop() {
	w.stop.Do(func() { close(w.stopped) })
	w.source.Stop()
}

func (w *tolerantWatch) run(ctx context.Context) {
	defer close(w.result)
	for event := range w.source.ResultChan() {
		select {
		case w.result <- w.convert(ctx, event):
		case <-w.stopped:
			return
		}
	}
}

func (w *tolerantWatch) convert(ctx context.Context, event watch.Event) watch.Event {
	object, ok := event.Object.(*decoded)
	if !ok {
		return event // the Status of an error
	}
	name := cache.MetaObjectToName(object)
	switch event.Type {
	case watch.Added, watch.Modified:
		if !w.undecodable.observe(ctx, object) {
			w.leftOut.Insert(name)
			event.Type = watch.Deleted
		}
	case watch.Deleted:
		w.undecodable.forget(name)
	case watch.Bookmark:
		// All that there is has been told now. What else could not be decoded is gone since an earlier watch.
		if object.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
			w.undecodable.retain(w.leftOut)
		}
	}
	event.Object = &object.SequentialJob
	return event
}
