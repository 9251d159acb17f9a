package controller

import (
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// newQueue returns the queue of the SequentialJobs to work on. Namespaces take turns.
func newQueue() workqueue.TypedRateLimitingInterface[cache.ObjectName] {
	fair := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[cache.ObjectName]{Name: queueName, Queue: &fairQueue{}})
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[cache.ObjectName]{
		Name: queueName, Queue: fair,
	})
	return workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](firstRetryDelay, maxRetryDelay),
		workqueue.TypedRateLimitingQueueConfig[cache.ObjectName]{Name: queueName, DelayingQueue: delaying})
}

// fairQueue hands out one object of each namespace in turn: thousands in one namespace must not make the single one of
// another wait. Within a namespace, first come, first served.
type fairQueue struct {
	// turns are the namespaces that have objects waiting, the next one first.
	turns   []string
	waiting map[string][]cache.ObjectName
	length  int
}

var _ workqueue.Queue[cache.ObjectName] = &fairQueue{}

// Touch is called when an object is added that waits already. It keeps its place.
func (q *fairQueue) Touch(cache.ObjectName) {}

// Push adds an object.
func (q *fairQueue) Push(name cache.ObjectName) {
	if q.waiting == nil {
		q.waiting = map[string][]cache.ObjectName{}
	}
	if len(q.waiting[name.Namespace]) == 0 {
		q.turns = append(q.turns, name.Namespace)
	}
	q.waiting[name.Namespace] = append(q.waiting[name.Namespace], name)
	q.length++
}

// Len returns how many objects wait.
func (q *fairQueue) Len() int { return q.length }

// Pop removes the next object. There has to be one.
func (q *fairQueue) Pop() cache.ObjectName {
	namespace := q.turns[0]
	q.turns = q.turns[1:]
	names := q.waiting[namespace]
	if len(names) > 1 {
		q.waiting[namespace] = names[1:]
		q.turns = append(q.turns, namespace)
	} else {
		delete(q.waiting, namespace)
	}
	q.length--
	return names[0]
}
