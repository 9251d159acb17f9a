package kubectl

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Snapshot is what the API server has of one sequence.
type Snapshot struct {
	// SequentialJob is as it was seen last.
	SequentialJob *v1alpha1.SequentialJob
	// Gone says that it exists no more. Another one of its name does not count as this one.
	Gone bool
	// Replaced says that there is another one of its name.
	Replaced bool
	// Jobs and Pods are those of the sequence, in the order in which they were created.
	Jobs []batchv1.Job
	Pods []corev1.Pod
	// Missing says what could not be read, and why, a sentence each.
	Missing []string
	// Waiting says why the API server cannot be reached, if it cannot.
	Waiting string
}

// listWatch is how objects of one kind are listed and watched.
type listWatch struct {
	resource string
	example  runtime.Object
	options  metav1.ListOptions
	list     func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch    func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

func (l *listWatch) adjust(options metav1.ListOptions) metav1.ListOptions {
	options.LabelSelector, options.FieldSelector = l.options.LabelSelector, l.options.FieldSelector
	return options
}

func sequentialJobOf(c Clients, sj *v1alpha1.SequentialJob) listWatch {
	client := c.SequentialJobs.BatchV1alpha1().SequentialJobs(sj.Namespace)
	return listWatch{
		resource: resourceSequentialJobs, example: &v1alpha1.SequentialJob{},
		options: metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, sj.Name).String()},
		list:    func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		watch:   client.Watch,
	}
}

func ofSequence(sj *v1alpha1.SequentialJob) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: labels.Set{v1alpha1.SequentialJobUIDLabel: string(sj.UID)}.String()}
}

func jobsOf(c Clients, sj *v1alpha1.SequentialJob) listWatch {
	client := c.Kube.BatchV1().Jobs(sj.Namespace)
	return listWatch{
		resource: resourceJobs, example: &batchv1.Job{}, options: ofSequence(sj),
		list:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		watch: client.Watch,
	}
}

func podsOf(c Clients, sj *v1alpha1.SequentialJob) listWatch {
	client := c.Kube.CoreV1().Pods(sj.Namespace)
	return listWatch{
		resource: resourcePods, example: &corev1.Pod{}, options: ofSequence(sj),
		list:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		watch: client.Watch,
	}
}

// Observer follows one sequence, and what runs for it, across restarts of the API server.
type Observer struct {
	// Changed has a value when there may be something new.
	Changed <-chan struct{}

	tool    *Tool
	uid     types.UID
	changed chan struct{}
	jobs    cache.SharedIndexInformer // nil if only the SequentialJob is watched
	pods    cache.SharedIndexInformer

	mutex       sync.Mutex
	latest      *v1alpha1.SequentialJob
	gone        bool
	replaced    bool
	missing     []string
	failure     error
	unreachable string
}

// observe watches a SequentialJob, with its Jobs and pods if it is asked to, until the context ends. What may not be read of Jobs and
// pods is missing from the snapshots, which say so.
func (t *Tool) observe(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob, withPods bool) (*Observer, error) {
	changed := make(chan struct{}, 1)
	o := &Observer{Changed: changed, changed: changed, tool: t, uid: sj.UID, latest: sj}
	sequences := o.start(ctx, sj.Namespace, sequentialJobOf(c, sj), cache.ResourceEventHandlerFuncs{
		AddFunc: o.see, UpdateFunc: func(_, obj any) { o.see(obj) }, DeleteFunc: o.lose,
	})
	go func() {
		// What was deleted before it was listed is never told to be deleted.
		if cache.WaitForCacheSync(ctx.Done(), sequences.HasSynced) && len(sequences.GetStore().List()) == 0 {
			o.lose(nil)
		}
	}()
	if withPods {
		any := cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { o.signal() }, UpdateFunc: func(_, _ any) { o.signal() }, DeleteFunc: func(any) { o.signal() },
		}
		o.jobs = o.start(ctx, sj.Namespace, jobsOf(c, sj), any)
		o.pods = o.start(ctx, sj.Namespace, podsOf(c, sj), any)
	}
	return o, o.waitForLists(ctx)
}

// start watches objects of one kind.
func (o *Observer) start(ctx context.Context, namespace string, l listWatch, handler cache.ResourceEventHandler) cache.SharedIndexInformer {
	ctx, stop := context.WithCancel(ctx)
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if options.ResourceVersion == "0" {
				options.ResourceVersion = "" // what an API server remembers may be older than what is known already
			}
			list, err := l.list(ctx, l.adjust(options))
			if err == nil {
				o.reached()
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := l.watch(ctx, l.adjust(options))
			switch {
			case err == nil:
				o.reached()
			case utilnet.IsConnectionRefused(err): // the informer tries again, and tells nobody
				o.failed(err, access{verb: "watch", resource: l.resource, namespace: namespace})
			}
			return w, err
		},
	}, l.example, 0, cache.Indexers{})
	// Neither can fail before an informer has started.
	_ = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		if o.failed(err, access{verb: "watch", resource: l.resource, namespace: namespace}) {
			stop()
		}
	})
	_, _ = informer.AddEventHandler(handler)
	go informer.RunWithContext(ctx)
	return informer
}

func (o *Observer) signal() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

func (o *Observer) see(obj any) {
	sj, ok := obj.(*v1alpha1.SequentialJob)
	if !ok {
		return
	}
	o.mutex.Lock()
	if sj.UID == o.uid {
		o.latest = sj
	} else {
		o.gone, o.replaced = true, true
	}
	o.mutex.Unlock()
	o.signal()
}

// lose notes that it exists no more. How it was last, if that is told, may be news: it may have ended and gone at once.
func (o *Observer) lose(obj any) {
	if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = unknown.Obj
	}
	sj, ok := obj.(*v1alpha1.SequentialJob)
	if ok && sj.UID != o.uid {
		return
	}
	o.mutex.Lock()
	if ok {
		o.latest = sj
	}
	o.gone = true
	o.mutex.Unlock()
	o.signal()
}

// reached tells that the API server answers again, if it was told that it did not.
func (o *Observer) reached() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.unreachable != "" {
		o.unreachable = ""
		fmt.Fprintln(o.tool.ErrOut, "The API server answers again")
	}
}

// failed notes why something cannot be watched, and says whether that is final. What passes by itself is tried again.
func (o *Observer) failed(err error, a access) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	switch {
	case apierrors.IsForbidden(err) && a.resource == resourceSequentialJobs, apierrors.IsUnauthorized(err):
		o.failure = o.tool.explain(err, a)
	case apierrors.IsForbidden(err):
		if text := a.forbidden(); !slices.Contains(o.missing, text) {
			o.missing = append(o.missing, text)
		}
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return false
	default:
		if o.unreachable == "" {
			o.unreachable = fmt.Sprintf("Waiting: %v", o.tool.explain(err, a))
			fmt.Fprintln(o.tool.ErrOut, o.unreachable)
		}
		return false
	}
	o.signal()
	return true
}

// waitForLists waits until everything that may be read has been listed once.
func (o *Observer) waitForLists(ctx context.Context) error {
	const interval = 20 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for !o.isListed() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.failure
}

func (o *Observer) isListed() bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.failure != nil || o.jobs == nil {
		return true
	}
	for _, informer := range []cache.SharedIndexInformer{o.jobs, o.pods} {
		if !informer.HasSynced() && !informer.IsStopped() {
			return false
		}
	}
	return true
}

// Snapshot returns what is known now. It fails if the SequentialJob may no longer be read.
func (o *Observer) Snapshot() (Snapshot, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	s := Snapshot{
		SequentialJob: o.latest, Gone: o.gone, Replaced: o.replaced, Missing: slices.Clone(o.missing), Waiting: o.unreachable,
	}
	if o.jobs != nil {
		for _, obj := range o.jobs.GetStore().List() {
			s.Jobs = append(s.Jobs, *obj.(*batchv1.Job)) //nolint:forcetypeassert // the informer is one of Jobs
		}
		for _, obj := range o.pods.GetStore().List() {
			s.Pods = append(s.Pods, *obj.(*corev1.Pod)) //nolint:forcetypeassert // the informer is one of pods
		}
	}
	s.sort()
	return s, o.failure
}
