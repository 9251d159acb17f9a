// Package controller runs SequentialJobs: it asks the package sequence what to do next, does that, and tells it the answer.
package controller

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

const (
	// firstRetryDelay and maxRetryDelay bound the exponential back-off of one SequentialJob. There is no limit that
	// all of them share: one that keeps failing must not slow the others down.
	firstRetryDelay = 50 * time.Millisecond
	maxRetryDelay   = 15 * time.Second
	// syncTimeout ends a sync whose API calls hang. It is also how long a shutdown waits for the syncs under way.
	syncTimeout = 30 * time.Second
	// checkTimeout ends a dry run that hangs.
	checkTimeout = 10 * time.Second
	// inspectionsPerSecond and inspectionBurst bound the requests that only explain why steps make no progress. All SequentialJobs
	// share them: a thousand that wait for the same node must not use up what the others need to go on.
	inspectionsPerSecond, inspectionBurst = 10, 50
	// busyInspectionsPerSecond is how many of them there are while more than busyQueue SequentialJobs wait for a worker. A step of a large
	// burst waits for its pod for a while, and to find out why makes the API server go through all pods and events of the namespace.
	busyInspectionsPerSecond, busyQueue = 1, 20

	queueName      = "sequentialjob"
	eventQueueName = "sequentialjob-events"
)

var errPanic = errors.New("panic")

// Controller runs SequentialJobs.
type Controller struct {
	kube, kubeJSON kubernetes.Interface
	client         versioned.Interface

	informers *Informers

	queue       workqueue.TypedRateLimitingInterface[cache.ObjectName]
	memory      memory
	inspections flowcontrol.PassiveRateLimiter
	// busyInspections is the same while there is a lot to do.
	busyInspections flowcontrol.PassiveRateLimiter
	completions     completions
	events          *eventSender
	recorder        recorder // events, but for tests
	now             func() time.Time
}

// New returns a Controller that reads from the given informers, which may have been started already.
func New(clients Clients, informers *Informers) *Controller {
	registerMetrics()
	events := newEventSender(clients.Events.Events(metav1.NamespaceAll))
	return &Controller{
		kube:            clients.Kube,
		kubeJSON:        clients.KubeJSON,
		client:          clients.SequentialJobs,
		informers:       informers,
		queue:           newQueue(),
		inspections:     flowcontrol.NewTokenBucketPassiveRateLimiter(inspectionsPerSecond, inspectionBurst),
		busyInspections: flowcontrol.NewTokenBucketPassiveRateLimiter(busyInspectionsPerSecond, busyInspectionsPerSecond),
		events:          events,
		recorder:        events,
		now:             time.Now,
	}
}

// Run works until ctx is done. It returns after the syncs under way have ended and their events are sent.
func (c *Controller) Run(ctx context.Context, workers int) error {
	logger := klog.FromContext(ctx)
	defer c.events.start(ctx)()
	defer c.informers.publishUndecodable(c.recorder)()
	defer c.queue.ShutDown()

	phases.count(c.informers)
	defer phases.count(nil)
	logger.V(2).Info("Waiting for caches")
	if !cache.WaitFor(ctx, "SequentialJobs, Jobs and pods", c.informers.syncCheckers()...) {
		return fmt.Errorf("caches did not fill: %w", context.Cause(ctx))
	}
	// Not before: in the queue of a replica that stands by, what nobody works on would pile up.
	if err := c.watchAll(logger); ctx.Err() != nil {
		return fmt.Errorf("stopped before the start: %w", context.Cause(ctx)) // and so may the informers have been
	} else if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	logger.V(2).Info("Started", "workers", workers)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() { wait.UntilWithContext(ctx, c.work, time.Second) })
	}
	<-ctx.Done()
	logger.V(2).Info("Stopping: waiting for the syncs under way")
	c.queue.ShutDown()
	running.Wait()
	return nil
}

func (c *Controller) work(ctx context.Context) {
	for ctx.Err() == nil && c.workOnce(ctx) {
	}
}

func (c *Controller) workOnce(ctx context.Context) bool {
	name, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(name)
	logger := klog.LoggerWithValues(klog.FromContext(ctx), "sequentialJob", klog.KRef(name.Namespace, name.Name))
	// A shutdown must not tear a sync apart: what it has begun is finished and recorded.
	syncCtx, cancel := context.WithTimeout(klog.NewContext(context.WithoutCancel(ctx), logger), syncTimeout)
	defer cancel()

	err := c.syncSafely(syncCtx, name)
	countSyncError(err)
	switch {
	case err == nil:
		c.queue.Forget(name)
	case errors.Is(err, errWaiting), apierrors.IsConflict(err):
		logger.V(4).Info("Trying again later", "reason", err)
		c.queue.AddRateLimited(name)
	default:
		logger.Error(err, "Sync failed, trying again later")
		c.queue.AddRateLimited(name)
	}
	return true
}

// syncSafely turns a panic into an error: one object that this version cannot cope with must not stop all the others.
func (c *Controller) syncSafely(ctx context.Context, name cache.ObjectName) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			syncPanics.Inc()
			err = fmt.Errorf("%w: %v\n%s", errPanic, cause, debug.Stack())
		}
	}()
	return c.sync(ctx, name)
}
