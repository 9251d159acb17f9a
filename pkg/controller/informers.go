package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeinformers "k8s.io/client-go/informers"
	batchinformers "k8s.io/client-go/informers/batch/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
	informers "github.com/example/sequential-job-operator/pkg/generated/informers/externalversions"
	sjinformers "github.com/example/sequential-job-operator/pkg/generated/informers/externalversions/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

const ownerIndex = "owner"

// Informers cache the SequentialJobs of some namespaces, or of all, their Jobs, and the pods whose success starts the next step.
type Informers struct {
	// byNamespace has one entry for metav1.NamespaceAll, or one for each namespace.
	byNamespace map[string]namespaceInformers
	// lastError is the last error of a list or watch, of whichever informer.
	lastError atomic.Pointer[error]
}

type namespaceInformers struct {
	sequentialJobFactory informers.SharedInformerFactory
	jobFactory           kubeinformers.SharedInformerFactory
	podFactory           kubeinformers.SharedInformerFactory
	sequentialJobs       sjinformers.TypedSequentialJobInformer
	jobs                 cache.SharedIndexInformer // of what pack returns
	pods                 coreinformers.TypedPodInformer
	undecodable          *undecodables
}

// NewInformers returns informers for the given namespaces, or for all namespaces if none is given. Of SequentialJobs and Jobs
// they keep only what the controller reads: an object from these caches must never be written back.
func NewInformers(kube kubernetes.Interface, client versioned.Interface, namespaces ...string) (*Informers, error) {
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	i := &Informers{byNamespace: map[string]namespaceInformers{}}
	for _, namespace := range namespaces {
		undecodable := &undecodables{}
		sequentialJobs, err := newSequentialJobFactory(client, namespace, undecodable)
		if err != nil {
			return nil, fmt.Errorf("client for the cache of SequentialJobs: %w", err)
		}
		jobFactory, jobs := newJobInformer(kube, namespace)
		pods := newPodFactory(kube, namespace)
		in := namespaceInformers{
			sequentialJobFactory: sequentialJobs,
			jobFactory:           jobFactory,
			podFactory:           pods,
			sequentialJobs:       sequentialJobs.Batch().V1alpha1().SequentialJobs(),
			jobs:                 jobs,
			pods:                 pods.Core().V1().Pods(),
			undecodable:          undecodable,
		}
		if err := in.pods.TypedInformer().AddTypedIndexers(coreinformers.PodIndexers{ownerIndex: jobOfPod}); err != nil {
			return nil, fmt.Errorf("index pods by Job: %w", err)
		}
		// A factory starts only what was asked for before, as it is here.
		for _, informer := range in.all() {
			if err := informer.SetWatchErrorHandlerWithContext(i.rememberError); err != nil {
				return nil, fmt.Errorf("errors of a cache: %w", err)
			}
		}
		i.byNamespace[namespace] = in
	}
	return i, nil
}

// newJobInformer makes an informer that caches, of the Jobs of SequentialJobs only, what decisions need; and the factory that starts it.
func newJobInformer(kube kubernetes.Interface, namespace string) (kubeinformers.SharedInformerFactory, cache.SharedIndexInformer) {
	factory := kubeinformers.NewSharedInformerFactoryWithOptions(kube, 0, kubeinformers.WithTransform(func(obj any) (any, error) {
		if job, ok := obj.(*batchv1.Job); ok {
			return pack(job), nil
		}
		return obj, nil
	}))
	jobs := factory.InformerFor(&batchv1.Job{}, func(kube kubernetes.Interface, resync time.Duration) cache.SharedIndexInformer {
		return batchinformers.NewFilteredJobInformer(kube, namespace, resync, cache.Indexers{ownerIndex: ownerOf},
			func(options *metav1.ListOptions) { options.LabelSelector = v1alpha1.SequentialJobUIDLabel })
	})
	return factory, jobs
}

// newSequentialJobFactory makes a factory whose SequentialJob informer leaves out what cannot be decoded.
func newSequentialJobFactory(client versioned.Interface, namespace string, undecodable *undecodables) (informers.SharedInformerFactory, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithNamespace(namespace),
		informers.WithTransform(func(obj any) (any, error) {
			if sj, ok := obj.(*v1alpha1.SequentialJob); ok {
				sequence.Outline(sj)
			}
			return obj, nil
		}))
	tolerant, err := newTolerantInformer(client, namespace, undecodable)
	if tolerant != nil {
		factory.InformerFor(&v1alpha1.SequentialJob{}, func(versioned.Interface, time.Duration) cache.SharedIndexInformer { return tolerant })
	}
	return factory, err
}

// Start begins to fill the caches, until ctx is done.
func (i *Informers) Start(ctx context.Context) {
	for _, in := range i.byNamespace {
		in.sequentialJobFactory.StartWithContext(ctx)
		in.jobFactory.StartWithContext(ctx)
		in.podFactory.StartWithContext(ctx)
	}
}

// Shutdown waits until all informers have stopped, after the context that they were started with is done.
func (i *Informers) Shutdown() {
	for _, in := range i.byNamespace {
		in.sequentialJobFactory.Shutdown()
		in.jobFactory.Shutdown()
		in.podFactory.Shutdown()
	}
}

func (i *Informers) rememberError(ctx context.Context, reflector *cache.Reflector, err error) {
	i.lastError.Store(&err)
	cache.DefaultWatchErrorHandler(ctx, reflector, err)
}

// Unfilled returns an error that says what keeps the caches from being filled, or nil if they are.
func (i *Informers) Unfilled() error {
	if i.HaveSynced() {
		return nil
	}
	if err := i.lastError.Load(); err != nil {
		return fmt.Errorf("the caches are not filled: %w", *err)
	}
	return errors.New("the caches are not filled")
}

// HaveSynced says whether all caches have been filled once.
func (i *Informers) HaveSynced() bool {
	for _, in := range i.byNamespace {
		for _, informer := range in.all() {
			if !informer.HasSynced() {
				return false
			}
		}
	}
	return true
}

// all returns the informers of a namespace.
func (in *namespaceInformers) all() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{in.sequentialJobs.Informer(), in.jobs, in.pods.Informer()}
}

func (i *Informers) syncCheckers() []cache.DoneChecker {
	var checkers []cache.DoneChecker
	for _, in := range i.byNamespace {
		for _, informer := range in.all() {
			checkers = append(checkers, informer.HasSyncedChecker())
		}
	}
	return checkers
}

// of returns the informers that watch a namespace.
func (i *Informers) of(namespace string) namespaceInformers {
	if in, ok := i.byNamespace[namespace]; ok {
		return in
	}
	return i.byNamespace[metav1.NamespaceAll]
}

// sequentialJob reads from the cache. It returns a NotFound error if the cache has none of that name.
func (i *Informers) sequentialJob(name cache.ObjectName) (*v1alpha1.SequentialJob, error) {
	return i.of(name.Namespace).sequentialJobs.Lister().SequentialJobs(name.Namespace).Get(name.Name)
}

// jobsOf returns the cached Jobs that may belong to a SequentialJob.
func (i *Informers) jobsOf(sj *v1alpha1.SequentialJob) ([]*batchv1.Job, error) {
	cached, err := i.of(sj.Namespace).jobs.GetIndexer().ByIndex(ownerIndex, string(sj.UID))
	if err != nil {
		return nil, err
	}
	jobs := make([]*batchv1.Job, len(cached))
	for n := range cached {
		jobs[n] = unpack(cached[n])
	}
	return jobs, nil
}

func ownerOf(obj any) ([]string, error) {
	var uids []string
	for _, owner := range ownersOf(unpack(obj)) {
		uids = append(uids, string(owner.uid))
	}
	return uids, nil
}
