package controller

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	batchinformers "k8s.io/client-go/informers/batch/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	sjinformers "github.com/example/sequential-job-operator/pkg/generated/informers/externalversions/batch/v1alpha1"
)

func (c *Controller) watchAll(logger klog.Logger) error {
	for _, in := range c.informers.byNamespace {
		if err := c.watch(logger, in.sequentialJobs.TypedInformer(), in.jobs.TypedInformer()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) watch(
	logger klog.Logger, sequentialJobs sjinformers.SequentialJobIndexInformer, jobs batchinformers.JobIndexInformer,
) error {
	options := cache.HandlerOptions{Logger: &logger}
	if _, err := sequentialJobs.AddTypedEventHandler(sjinformers.SequentialJobHandlerFuncs{
		AddFunc: c.enqueue,
		UpdateFunc: func(before, after *v1alpha1.SequentialJob) {
			if c.needsSync(before, after) {
				c.enqueue(after)
			}
		},
		DeleteFunc: func(deleted cache.DeletedObject[*v1alpha1.SequentialJob]) {
			if sj := deleted.OptionalObj; sj != nil {
				c.ownWrites.forgetAll(sj.UID)
			}
		},
	}, options); err != nil {
		return fmt.Errorf("events of SequentialJobs: %w", err)
	}
	if _, err := jobs.AddTypedEventHandler(batchinformers.JobHandlerFuncs{
		AddFunc: c.enqueueOwner,
		UpdateFunc: func(before, after *batchv1.Job) {
			c.completions.observe(before, after, c.now())
			c.enqueueOwner(after)
		},
		DeleteFunc: func(deleted cache.DeletedObject[*batchv1.Job]) {
			if job := deleted.OptionalObj; job != nil {
				c.completions.take(job.UID)
				c.enqueueOwner(job)
			}
		},
	}, options); err != nil {
		return fmt.Errorf("events of Jobs: %w", err)
	}
	return nil
}

// needsSync is false for what changes nothing (labels, annotations) and for the echo of our own status writes: a sync
// would find nothing to do.
func (c *Controller) needsSync(before, after *v1alpha1.SequentialJob) bool {
	echo := c.ownWrites.arrived(after)
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

func (c *Controller) enqueueOwner(job *batchv1.Job) {
	owner := metav1.GetControllerOf(job)
	if owner == nil || owner.Kind != v1alpha1.SequentialJobKind {
		return
	}
	if gv, err := schema.ParseGroupVersion(owner.APIVersion); err == nil && gv.Group == v1alpha1.GroupName {
		c.queue.Add(cache.NewObjectName(job.Namespace, owner.Name))
	}
}
