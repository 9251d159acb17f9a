package controller

import (
	"context"
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// explain asks the API server what a plan cannot know from Jobs alone: why a step failed, or does not start. There is no
// informer of pods or events: both questions are rare enough to be asked.
func (c *Controller) explain(
	ctx context.Context, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan,
) (sequence.Plan, error) {
	switch {
	case plan.Failed != nil:
		pods, err := c.podsOf(ctx, plan.Failed)
		if err != nil {
			return plan, err
		}
		detail := sequence.FailureDetail(plan.Failed.Labels[v1alpha1.StepNameLabel], pods)
		return plan.WithFailureDetail(sj, jobs, detail, c.now()), nil
	case plan.Inspect != nil:
		pods, err := c.podsOf(ctx, plan.Inspect)
		if err != nil {
			return plan, err
		}
		events, err := c.warningsAbout(ctx, plan.Inspect, pods)
		if err != nil {
			return plan, err
		}
		return plan.Stuck(sj, sequence.WhyNotRunning(plan.Inspect, pods, events), c.timestamp()), nil
	}
	return plan, nil
}

func (c *Controller) podsOf(ctx context.Context, job *batchv1.Job) ([]corev1.Pod, error) {
	pods, err := c.kube.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{batchv1.ControllerUidLabel: string(job.UID)}.String(),
	})
	if err != nil {
		return nil, fmt.Errorf("list pods of Job %s: %w", job.Name, err)
	}
	return pods.Items, nil
}

// warningsAbout returns the Warning events about a Job and its pods that have not started.
func (c *Controller) warningsAbout(ctx context.Context, job *batchv1.Job, pods []corev1.Pod) ([]corev1.Event, error) {
	about := []types.UID{job.UID}
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodPending {
			about = append(about, pods[i].UID)
		}
	}
	var out []corev1.Event
	for _, uid := range about {
		events, err := c.kube.CoreV1().Events(job.Namespace).List(ctx, metav1.ListOptions{
			FieldSelector: fields.Set{"involvedObject.uid": string(uid), "type": corev1.EventTypeWarning}.String(),
		})
		if err != nil {
			return nil, fmt.Errorf("list events about Job %s: %w", job.Name, err)
		}
		out = append(out, events.Items...)
	}
	return out, nil
}

// changeJob changes a Job, unless it is no longer the one that was decided on.
func (c *Controller) changeJob(ctx context.Context, change *sequence.JobChange) error {
	var suspendedBy any
	if change.SuspendedByUs {
		suspendedBy = v1alpha1.ControllerName
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"uid": change.Job.UID, "resourceVersion": change.Job.ResourceVersion,
			"annotations": map[string]any{v1alpha1.SuspendedByAnnotation: suspendedBy},
		},
		"spec": map[string]any{"suspend": change.Suspend, "activeDeadlineSeconds": change.ActiveDeadlineSeconds},
	})
	if err != nil {
		return fmt.Errorf("encode change of Job: %w", err)
	}
	_, err = c.kube.BatchV1().Jobs(change.Job.Namespace).Patch(ctx, change.Job.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: v1alpha1.ControllerName})
	if err != nil {
		return fmt.Errorf("change Job %s: %w", change.Job.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Changed Job", "job", klog.KObj(change.Job), "suspend", change.Suspend)
	return nil
}

// blockChange reports that a Job could not be changed. What the plan said besides was on condition that it could.
func (c *Controller) blockChange(ctx context.Context, sj *v1alpha1.SequentialJob, change *sequence.JobChange, err error) error {
	if apierrors.IsConflict(err) {
		return err
	}
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: %w", errWaiting, err)
	}
	verb := "given its deadline"
	if change.SuspendedByUs {
		verb = "suspended"
	} else if change.Job.Annotations[v1alpha1.SuspendedByAnnotation] != "" {
		verb = "resumed"
	}
	unchanged := sequence.Plan{Status: sj.Status}
	return c.block(ctx, sj, unchanged, v1alpha1.ReasonJobUpdateFailed,
		fmt.Sprintf("Job %s cannot be %s, trying again: %v", change.Job.Name, verb, err), err)
}

// waitForPods records that the next step waits until the pods of the Job that it had before have ended.
func (c *Controller) waitForPods(ctx context.Context, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan) error {
	waiting := plan.Waiting(sj, v1alpha1.ReasonRetrying,
		fmt.Sprintf("Job %d starts again once the pods that its last attempt left have ended", plan.CreateIndex), c.timestamp())
	if err := c.record(ctx, sj, jobs, waiting); err != nil {
		return err
	}
	c.queue.AddAfter(cache.MetaObjectToName(sj), podPollInterval)
	return nil
}

// podsRun says whether a pod of any step has not ended, whether or not its Job is still there.
func (c *Controller) podsRun(ctx context.Context, sj *v1alpha1.SequentialJob) (bool, error) {
	pods, err := c.kube.CoreV1().Pods(sj.Namespace).List(ctx, ownedBy(sj))
	if err != nil {
		return false, fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		if phase := pods.Items[i].Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
			return true, nil
		}
	}
	return false, nil
}
