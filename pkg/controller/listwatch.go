package controller

import (
	"context"
	encodingjson "encoding/json"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	tolerant, err := newTolerantClient(base)
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

// newTolerantClient returns a client whose watches tell of what they cannot decode instead of ending. It shares connections
// and limits with the typed client.
func newTolerantClient(base *rest.RESTClient) (rest.Interface, error) {
	version := schema.GroupVersion{Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version}
	negotiator := runtime.NewClientNegotiator(scheme.Codecs.WithoutConversion(), version)
	return rest.NewRESTClient(base.Get().AbsPath("/").URL(), "/apis/"+version.String(),
		rest.ClientContentConfig{
			ContentType:  runtime.ContentTypeJSON,
			GroupVersion: version,
			Negotiator:   tolerantNegotiator{negotiator},
		}, base.GetRateLimiter(), base.Client)
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
	result := l.request(&options).Do(ctx)
	if err := result.Error(); err != nil { // Raw would not tell the API server's reason
		return nil, err
	}
	data, err := result.Raw()
	if err != nil {
		return nil, err
	}
	if options.Continue == "" {
		l.leftOut = sets.New[cache.ObjectName]()
	}
	list := &v1alpha1.SequentialJobList{}
	if err := json.Unmarshal(data, list); err != nil {
		if list, err = l.decodeEach(ctx, data); err != nil {
			return nil, err
		}
	}
	// What is something else looks like an empty list: as if all objects had been deleted.
	if want := v1alpha1.SequentialJobKind + "List"; list.Kind != want {
		return nil, fmt.Errorf("the answer to a list is a %q, not a %s", list.Kind, want)
	}
	if list.Continue == "" {
		l.undecodable.retain(l.leftOut)
	}
	return list, nil
}

// decodeEach decodes the items of a list one by one.
func (l *tolerantListWatch) decodeEach(ctx context.Context, data []byte) (*v1alpha1.SequentialJobList, error) {
	var page struct {
		metav1.TypeMeta `json:",inline"`
		metav1.ListMeta `json:"metadata"`
		Items           []encodingjson.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return nil, err
	}
	list := &v1alpha1.SequentialJobList{TypeMeta: page.TypeMeta, ListMeta: page.ListMeta}
	for _, item := range page.Items {
		var sj v1alpha1.SequentialJob
		cause := json.Unmarshal(item, &sj)
		if cause == nil {
			list.Items = append(list.Items, sj)
			continue
		}
		object, err := identify(item, cause)
		if err != nil {
			return nil, err
		}
		l.undecodable.add(ctx, object)
		l.leftOut.Insert(object.ObjectName)
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

// tolerantWatch tells of an object that cannot be decoded as deleted. (watch.Filter could do that, but leaves its goroutine
// behind when it is stopped with an event that nobody has taken.)
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
	switch object := event.Object.(type) {
	case *v1alpha1.SequentialJob:
		switch {
		case event.Type != watch.Bookmark:
			w.undecodable.forget(cache.MetaObjectToName(object))
		case object.Annotations[metav1.InitialEventsAnnotationKey] == "true":
			// All that there is has been told now. What else could not be decoded is gone since an earlier watch.
			w.undecodable.retain(w.leftOut)
		}
	case *undecodableObject:
		if event.Type == watch.Deleted {
			w.undecodable.forget(object.ObjectName)
		} else {
			w.undecodable.add(ctx, object.Undecodable)
			w.leftOut.Insert(object.ObjectName)
		}
		return watch.Event{Type: watch.Deleted, Object: &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{
			Namespace: object.Namespace, Name: object.Name, UID: object.UID, ResourceVersion: object.ResourceVersion,
		}}}
	}
	return event
}

// tolerantNegotiator makes the decoders of watches tolerant.
type tolerantNegotiator struct{ runtime.ClientNegotiator }

// StreamDecoder returns what a watch decodes with.
func (n tolerantNegotiator) StreamDecoder(contentType string, params map[string]string) (
	runtime.Decoder, runtime.Serializer, runtime.Framer, error,
) {
	decoder, serializer, framer, err := n.ClientNegotiator.StreamDecoder(contentType, params)
	return tolerantDecoder{decoder}, serializer, framer, err
}

// tolerantDecoder decodes as its Decoder does, and what that cannot decode into an undecodableObject.
type tolerantDecoder struct{ runtime.Decoder }

// Decode decodes an object.
func (d tolerantDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (
	runtime.Object, *schema.GroupVersionKind, error,
) {
	decoded, kind, err := d.Decoder.Decode(data, defaults, into)
	if err == nil {
		return decoded, kind, nil
	}
	object, err := identify(data, err)
	if err != nil {
		return nil, kind, err
	}
	return &undecodableObject{Undecodable: object}, kind, nil
}

// undecodableObject stands in a watch for an object that could not be decoded.
type undecodableObject struct {
	metav1.TypeMeta
	Undecodable
}

// DeepCopyObject returns a copy.
func (o *undecodableObject) DeepCopyObject() runtime.Object {
	copied := *o
	return &copied
}
