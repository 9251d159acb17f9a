package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// cleanUp stops what a SequentialJob that is being deleted has running, and lets it go once its Jobs and their pods are
// gone. Jobs are listed live: the garbage collector may just have released them because the user asked for that.
func (c *Controller) cleanUp(ctx context.Context, sj *v1alpha1.SequentialJob) error {
	if !slices.Contains(sj.Finalizers, v1alpha1.CleanupFinalizer) {
		return nil
	}
	jobs, err := c.kube.BatchV1().Jobs(sj.Namespace).List(ctx, ownedBy(sj))
	if err != nil {
		return fmt.Errorf("list Jobs: %w", err)
	}
	plan := sequence.Next(sj, pointers(jobs.Items), c.now())
	for _, job := range plan.Delete {
		if err := c.deleteJob(ctx, job); err != nil {
			return err
		}
	}
	if plan.Finalizer {
		return nil
	}
	if !slices.Contains(sj.Finalizers, metav1.FinalizerOrphanDependents) {
		switch left, err := c.podsLeft(ctx, sj); {
		case err != nil:
			return err
		case left:
			c.queue.AddAfter(cache.MetaObjectToName(sj), podPollInterval)
			return nil
		}
	}
	_, err = c.setFinalizer(ctx, sj, false)
	return err
}

// deleteJob deletes a Job in the foreground, so that it stays visible until its pods are gone. The preconditions make
// sure that it is still the Job, and still ours, that was decided on.
func (c *Controller) deleteJob(ctx context.Context, job *batchv1.Job) error {
	foreground := metav1.DeletePropagationForeground
	err := c.kube.BatchV1().Jobs(job.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{
		PropagationPolicy: &foreground,
		Preconditions:     &metav1.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete Job %s: %w", job.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Deleted Job", "job", klog.KObj(job))
	return nil
}

// podsLeft says whether pods of Jobs that are gone still run: a Job that was deleted in the background leaves before its
// pods do.
func (c *Controller) podsLeft(ctx context.Context, sj *v1alpha1.SequentialJob) (bool, error) {
	pods, err := c.kube.CoreV1().Pods(sj.Namespace).List(ctx, ownedBy(sj))
	if err != nil {
		return false, fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		owner := metav1.GetControllerOf(pod)
		if owner == nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		job, err := c.kube.BatchV1().Jobs(pod.Namespace).Get(ctx, owner.Name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return false, fmt.Errorf("read Job %s: %w", owner.Name, err)
		}
		if err != nil || job.UID != owner.UID {
			return true, nil
		}
	}
	return false, nil
}

// deleteExpired deletes a SequentialJob that finished long enough ago, if the live object agrees: it may have been given
// more time, or been retried, just now. It needs no finalizer any more, so the garbage collector takes its Jobs.
func (c *Controller) deleteExpired(ctx context.Context, sj *v1alpha1.SequentialJob) error {
	live, err := c.client.BatchV1alpha1().SequentialJobs(sj.Namespace).Get(ctx, sj.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if live.UID != sj.UID || !live.DeletionTimestamp.IsZero() || !sequence.Finished(&live.Status) ||
		!sequence.Next(live, nil, c.now()).Expired {
		return nil // the cache will tell, and it is looked at again
	}
	background := metav1.DeletePropagationBackground
	err = c.client.BatchV1alpha1().SequentialJobs(live.Namespace).Delete(ctx, live.Name, metav1.DeleteOptions{
		PropagationPolicy: &background,
		Preconditions:     &metav1.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete: %w", err)
	}
	klog.FromContext(ctx).V(2).Info("Deleted: its ttlSecondsAfterFinished is over")
	return nil
}

// setFinalizer adds or removes the cleanup finalizer and returns the object as stored.
func (c *Controller) setFinalizer(ctx context.Context, sj *v1alpha1.SequentialJob, want bool) (*v1alpha1.SequentialJob, error) {
	finalizers := slices.DeleteFunc(slices.Clone(sj.Finalizers), func(f string) bool { return f == v1alpha1.CleanupFinalizer })
	if has := len(finalizers) != len(sj.Finalizers); has == want {
		return sj, nil
	}
	if want {
		finalizers = append(finalizers, v1alpha1.CleanupFinalizer)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": sj.UID, "resourceVersion": sj.ResourceVersion, "finalizers": finalizers,
	}})
	if err != nil {
		return nil, fmt.Errorf("encode finalizers: %w", err)
	}
	stored, err := c.client.BatchV1alpha1().SequentialJobs(sj.Namespace).Patch(ctx, sj.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: v1alpha1.ControllerName})
	if err != nil {
		if !want && apierrors.IsNotFound(err) {
			return sj, nil
		}
		return nil, fmt.Errorf("set finalizer: %w", err)
	}
	c.ownWrites.remember(stored)
	return stored, nil
}

func ownedBy(sj *v1alpha1.SequentialJob) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: labels.Set{v1alpha1.SequentialJobUIDLabel: string(sj.UID)}.String()}
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
