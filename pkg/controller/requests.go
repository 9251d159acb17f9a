package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var (
	errPutOff         = errors.New("put off: many steps are looked at already")
	errUnknownRequest = errors.New("unknown request")
)

// send sends one request and returns the answer.
func (c *Controller) send(ctx context.Context, sj *v1alpha1.SequentialJob, a sequence.Action) (sequence.Answer, error) {
	if a.Optional && !c.mayInspect() {
		return sequence.Answer{}, errPutOff
	}
	switch a.Request {
	case sequence.ReadSequentialJob:
		return aboutSequentialJob(c.client.BatchV1alpha1().SequentialJobs(sj.Namespace).Get(ctx, sj.Name, metav1.GetOptions{}))
	case sequence.StoreStatus:
		return c.storeStatus(ctx, sj, a)
	case sequence.AddFinalizer:
		return c.patchFinalizers(ctx, sj, append(slices.Clone(sj.Finalizers), v1alpha1.CleanupFinalizer))
	case sequence.RemoveFinalizer:
		return c.patchFinalizers(ctx, sj, slices.DeleteFunc(slices.Clone(sj.Finalizers),
			func(finalizer string) bool { return finalizer == v1alpha1.CleanupFinalizer }))
	case sequence.DeleteSequentialJob:
		return c.deleteSequentialJob(ctx, sj)
	case sequence.ReadJob:
		return aboutJob(c.kube.BatchV1().Jobs(sj.Namespace).Get(ctx, a.Name, metav1.GetOptions{}))
	case sequence.CheckSteps:
		return c.checkSteps(ctx, a)
	case sequence.CreateJob:
		return c.createJob(ctx, a.Job)
	case sequence.ChangeJob:
		return c.changeJob(ctx, a.Change)
	case sequence.DeleteJob:
		return c.deleteJob(ctx, a.Job)
	case sequence.ListJobPods:
		return c.listPods(ctx, sj.Namespace, batchv1.ControllerUidLabel, a.Job.UID)
	case sequence.ListPods:
		return c.listPods(ctx, sj.Namespace, v1alpha1.SequentialJobUIDLabel, sj.UID)
	case sequence.ListEvents:
		return c.listEvents(ctx, sj.Namespace, a.About)
	default: // the end of a turn, too, is not to be sent
		return sequence.Answer{}, fmt.Errorf("%w: %q", errUnknownRequest, a.Request)
	}
}

// mayInspect says whether a request may be sent that only explains why a step makes no progress.
func (c *Controller) mayInspect() bool {
	if c.queue.Len() > busyQueue {
		return c.busyInspections.TryAccept()
	}
	return c.inspections.TryAccept()
}

func aboutSequentialJob(sj *v1alpha1.SequentialJob, err error) (sequence.Answer, error) {
	return sequence.Answer{SequentialJob: sj}, err
}

func aboutJob(job *batchv1.Job, err error) (sequence.Answer, error) {
	return sequence.Answer{Job: job}, err
}

func (c *Controller) storeStatus(ctx context.Context, sj *v1alpha1.SequentialJob, a sequence.Action) (sequence.Answer, error) {
	// What else it has the API server takes from what is stored.
	update := &v1alpha1.SequentialJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: sj.Namespace, Name: sj.Name, UID: sj.UID, ResourceVersion: sj.ResourceVersion},
		Status:     *a.Status,
	}
	return aboutSequentialJob(c.client.BatchV1alpha1().SequentialJobs(sj.Namespace).UpdateStatus(ctx, update,
		metav1.UpdateOptions{FieldManager: v1alpha1.ControllerName}))
}

func (c *Controller) patchFinalizers(ctx context.Context, sj *v1alpha1.SequentialJob, finalizers []string) (sequence.Answer, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": sj.UID, "resourceVersion": sj.ResourceVersion, "finalizers": finalizers,
	}})
	if err != nil {
		return sequence.Answer{}, fmt.Errorf("encode finalizers: %w", err)
	}
	return aboutSequentialJob(c.client.BatchV1alpha1().SequentialJobs(sj.Namespace).Patch(ctx, sj.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: v1alpha1.ControllerName}))
}

// deleteSequentialJob deletes it only as it was seen. It needs no finalizer any more, so the garbage collector takes its Jobs.
func (c *Controller) deleteSequentialJob(ctx context.Context, sj *v1alpha1.SequentialJob) (sequence.Answer, error) {
	return sequence.Answer{}, c.client.BatchV1alpha1().SequentialJobs(sj.Namespace).Delete(ctx, sj.Name,
		deleteOptions(sj, metav1.DeletePropagationBackground))
}

// deleteJob deletes a Job only as it was seen, and in the foreground, so that it stays visible until its pods are gone.
func (c *Controller) deleteJob(ctx context.Context, job *batchv1.Job) (sequence.Answer, error) {
	return sequence.Answer{}, c.kube.BatchV1().Jobs(job.Namespace).Delete(ctx, job.Name,
		deleteOptions(job, metav1.DeletePropagationForeground))
}

func deleteOptions(seen metav1.Object, propagation metav1.DeletionPropagation) metav1.DeleteOptions {
	uid, version := seen.GetUID(), seen.GetResourceVersion()
	return metav1.DeleteOptions{
		PropagationPolicy: &propagation,
		Preconditions:     &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
	}
}

// createJob sends JSON: of what is sent as protobuf, an older API server leaves out the fields that it does not know without a word.
func (c *Controller) createJob(ctx context.Context, job *batchv1.Job) (sequence.Answer, error) {
	return aboutJob(c.kubeJSON.BatchV1().Jobs(job.Namespace).Create(ctx, job, metav1.CreateOptions{
		FieldManager: v1alpha1.ControllerName, FieldValidation: metav1.FieldValidationStrict,
	}))
}

// checkSteps has a time limit of its own: webhooks that hang must not use up the time of the turn, in which a step may have to be
// suspended or its end recorded.
func (c *Controller) checkSteps(ctx context.Context, a sequence.Action) (sequence.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	_, err := c.kubeJSON.BatchV1().Jobs(a.Job.Namespace).Create(ctx, a.Job, metav1.CreateOptions{
		FieldManager: v1alpha1.ControllerName, DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
	return sequence.Answer{}, err
}

// changeJob patches a Job, unless it is no longer the one that was decided on.
func (c *Controller) changeJob(ctx context.Context, change *sequence.JobChange) (sequence.Answer, error) {
	metadata := map[string]any{"uid": change.Job.UID, "resourceVersion": change.Job.ResourceVersion}
	spec := map[string]any{}
	if len(change.Annotations) > 0 {
		metadata["annotations"] = change.Annotations
	}
	if len(change.Labels) > 0 {
		metadata["labels"] = change.Labels
	}
	if change.OwnerReferences != nil {
		metadata["ownerReferences"] = change.OwnerReferences
	}
	if change.Suspend != nil {
		spec["suspend"] = *change.Suspend
	}
	if change.ActiveDeadlineSeconds != nil {
		spec["activeDeadlineSeconds"] = *change.ActiveDeadlineSeconds
	}
	patch, err := json.Marshal(map[string]any{"metadata": metadata, "spec": spec})
	if err != nil {
		return sequence.Answer{}, fmt.Errorf("encode change of Job: %w", err)
	}
	return aboutJob(c.kube.BatchV1().Jobs(change.Job.Namespace).Patch(ctx, change.Job.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: v1alpha1.ControllerName}))
}

func (c *Controller) listPods(ctx context.Context, namespace, label string, uid types.UID) (sequence.Answer, error) {
	pods, err := c.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set{label: string(uid)}.String()})
	if err != nil {
		return sequence.Answer{}, err
	}
	return sequence.Answer{Pods: pods.Items}, nil
}

func (c *Controller) listEvents(ctx context.Context, namespace string, about types.UID) (sequence.Answer, error) {
	events, err := c.kube.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.Set{"involvedObject.uid": string(about)}.String(),
	})
	if err != nil {
		return sequence.Answer{}, err
	}
	return sequence.Answer{Events: events.Items}, nil
}

// logAction notes what users and operators look for in a log. What only reads is left out.
func logAction(ctx context.Context, a sequence.Action, answer sequence.Answer) {
	logger := klog.FromContext(ctx).V(2)
	switch a.Request {
	case sequence.CreateJob:
		logger.Info("Created Job", "job", klog.KObj(answer.Job))
	case sequence.ChangeJob:
		logger.Info("Changed Job", "job", klog.KObj(answer.Job), "suspend", a.Change.Suspend)
	case sequence.DeleteJob:
		logger.Info("Deleted Job", "job", klog.KObj(a.Job))
	case sequence.DeleteSequentialJob:
		logger.Info("Deleted: its ttlSecondsAfterFinished is over")
	case sequence.StoreStatus:
		for _, event := range a.Events {
			logger.Info("Transition", "reason", event.Reason, "message", event.Message)
		}
	default:
	}
}
