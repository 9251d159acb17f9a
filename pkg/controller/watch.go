package controller

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	sjinformers "github.com/example/sequential-job-operator/pkg/generated/informers/externalversions/batch/v1alpha1"
)

func (c *Controller) watchAll(logger klog.Logger) error {
	for _, in := range c.informers.byNamespace {
		if err := c.watch(logger, in.sequentialJobs.TypedInformer(), in.jobs); err != nil {
			return err
		}
		if err := c.watchPods(logger, in.pods.TypedInformer()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) watch(
	logger klog.Logger, sequentialJobs sjinformers.SequentialJobIndexInformer, jobs cache.SharedIndexInformer,
) error {
	options := cache.HandlerOptions{Logger: &logger}
	if _, err := sequentialJobs.AddTypedEventHandler(sjinformers.SequentialJobHandlerFuncs{
		AddFunc: func(sj *v1alpha1.SequentialJob) {
			c.memory.sawSequentialJob(sj)
			c.enqueue(sj)
		},
		UpdateFunc: c.sawSequentialJob,
		DeleteFunc: func(deleted cache.DeletedObject[*v1alpha1.SequentialJob]) {
			if sj := deleted.OptionalObj; sj != nil {
				c.memory.forget(sj.UID)
			}
		},
	}, options); err != nil {
		return fmt.Errorf("events of SequentialJobs: %w", err)
	}
	if _, err := jobs.AddEventHandlerWithOptions(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.sawJob(nil, unpack(obj)) },
		UpdateFunc: func(before, after any) { c.sawJobChange(unpack(before), unpack(after)) },
		DeleteFunc: func(obj any) {
			if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			if job := unpack(obj); job != nil {
				c.sawJobGone(job)
			}
		},
	}, options); err != nil {
		return fmt.Errorf("events of Jobs: %w", err)
	}
	return nil
}

// sawSequentialJob wakes a SequentialJob that has changed.
func (c *Controller) sawSequentialJob(before, after *v1alpha1.SequentialJob) {
	if before.UID != after.UID { // after a new list: one of the same name was created meanwhile
		c.memory.forget(before.UID)
	}
	c.memory.sawSequentialJob(after)
	wake := c.needsSync(before, after)
	c.settle(after)
	if wake {
		c.enqueue(after)
	}
}

func (c *Controller) sawJobChange(before, after *batchv1.Job) {
	if before.UID != after.UID {
		c.sawJobGone(before)
		before = nil
	}
	c.completions.observe(before, after, c.now())
	c.sawJob(before, after)
}

// sawJob wakes the SequentialJob that a Job belongs to, and the one that it belonged to before.
func (c *Controller) sawJob(before, after *batchv1.Job) {
	for _, owner := range slices.Compact(append(ownersOf(before), ownersOf(after)...)) {
		c.memory.sawJob(owner.uid, before, after, c.now(), c.cached(owner))
		c.queue.Add(owner.name)
	}
}

// sawJobGone wakes the SequentialJob that a Job belonged to.
func (c *Controller) sawJobGone(job *batchv1.Job) {
	c.completions.take(job.UID)
	for _, owner := range ownersOf(job) {
		c.memory.sawJobGone(owner.uid, job, c.cached(owner))
		c.queue.Add(owner.name)
	}
}

// cached returns what reads a SequentialJob from the cache, or nil if that has it no more.
func (c *Controller) cached(owner owner) func() *v1alpha1.SequentialJob {
	return func() *v1alpha1.SequentialJob {
		sj, err := c.informers.sequentialJob(owner.name)
		if err != nil || sj.UID != owner.uid {
			return nil
		}
		return sj
	}
}

// needsSync is false for what changes nothing (labels, annotations) and for the echo of our own status writes: a sync
// would find nothing to do.
func (c *Controller) needsSync(before, after *v1alpha1.SequentialJob) bool {
	echo := c.memory.arrived(after)
	if before.Generation != after.Generation || before.UID != after.UID ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() {
		return true
	}
	if echo {
		return false
	}
	return !equality.Semantic.DeepEqual(before.Status, after.Status) ||
		!equality.Semantic.DeepEqual(before.Finalizers, after.Finalizers)
}

func (c *Controller) enqueue(sj *v1alpha1.SequentialJob) {
	c.queue.Add(cache.MetaObjectToName(sj))
}

// owner is a SequentialJob that a Job belongs to.
type owner struct {
	name cache.ObjectName
	uid  types.UID
}

// ownersOf returns the SequentialJob that controls a Job; if nothing does, the one that our labels name. Somebody may have taken the
// reference away. It is no proof, but a reason to look.
func ownersOf(job *batchv1.Job) []owner {
	if job == nil {
		return nil
	}
	if ref := metav1.GetControllerOf(job); ref != nil {
		gv, err := schema.ParseGroupVersion(ref.APIVersion)
		if err != nil || gv.Group != v1alpha1.GroupName || ref.Kind != v1alpha1.SequentialJobKind {
			return nil
		}
		return []owner{{cache.NewObjectName(job.Namespace, ref.Name), ref.UID}}
	}
	name, uid := job.Labels[v1alpha1.SequentialJobNameLabel], job.Labels[v1alpha1.SequentialJobUIDLabel]
	if name == "" || uid == "" {
		return nil
	}
	return []owner{{cache.NewObjectName(job.Namespace, name), types.UID(uid)}}
}
