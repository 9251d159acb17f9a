package controller

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// errWaiting asks for another try later, for a cause that the status already tells.
var errWaiting = errors.New("the next step waits")

// sync takes one SequentialJob as far as it goes now.
func (c *Controller) sync(ctx context.Context, name cache.ObjectName) error {
	sj, err := c.sequentialJobs.SequentialJobs(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read from cache: %w", err)
	}
	sj = c.ownWrites.newest(sj)
	if !sj.DeletionTimestamp.IsZero() {
		return c.cleanUp(ctx, sj)
	}
	jobs, err := c.jobsOf(ctx, sj)
	if err != nil {
		return err
	}
	plan := sequence.Next(sj, jobs, c.now())
	if plan.Create == nil {
		return c.record(ctx, sj, plan)
	}
	return c.startStep(ctx, name)
}

// startStep starts the next step, if the live object agrees that it is due. The cache may lag behind this process's own
// writes and, after a hand-over, behind another controller's: deciding on what was just read is what keeps a step whose
// Job has come and gone from being started a second time.
func (c *Controller) startStep(ctx context.Context, name cache.ObjectName) error {
	sj, err := c.client.BatchV1alpha1().SequentialJobs(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if !sj.DeletionTimestamp.IsZero() {
		return c.cleanUp(ctx, sj)
	}
	jobs, err := c.jobsOf(ctx, sj)
	if err != nil {
		return err
	}
	plan := sequence.Next(sj, jobs, c.now())
	if plan.Create == nil {
		return c.record(ctx, sj, plan)
	}
	if sj, err = c.setFinalizer(ctx, sj, true); err != nil {
		return err
	}
	if len(sj.Status.Steps) == 0 {
		if index, message, err := c.findInvalidStep(ctx, sj); err != nil {
			return c.block(ctx, sj, plan, v1alpha1.ReasonJobCreateFailed, createFailed(plan, err))
		} else if message != "" {
			return c.record(ctx, sj, plan.Invalid(sj, index, message, c.timestamp()))
		}
	}
	return c.createJob(ctx, sj, jobs, plan)
}

// jobsOf returns the Jobs of a SequentialJob. If the running step's is not in the cache it is read live: only the API
// server can tell a Job that is gone from one that has not arrived here yet.
func (c *Controller) jobsOf(ctx context.Context, sj *v1alpha1.SequentialJob) ([]*batchv1.Job, error) {
	jobs, err := c.jobs.ByTypedIndex(ownerIndex, string(sj.UID))
	if err != nil {
		return nil, fmt.Errorf("list Jobs from cache: %w", err)
	}
	step := runningStep(sj)
	if step == nil {
		return jobs, nil
	}
	for _, job := range jobs {
		if job.UID == step.JobUID {
			return jobs, nil
		}
	}
	job, err := c.kube.BatchV1().Jobs(sj.Namespace).Get(ctx, step.JobName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return jobs, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Job %s: %w", step.JobName, err)
	}
	return append(jobs[:len(jobs):len(jobs)], job), nil
}

func runningStep(sj *v1alpha1.SequentialJob) *v1alpha1.StepStatus {
	if n := len(sj.Status.Steps); n > 0 && sj.Status.Steps[n-1].State == v1alpha1.StepRunning {
		return &sj.Status.Steps[n-1]
	}
	return nil
}

// record stores the status of a plan, publishes its events and drops the finalizer once there is nothing left to clean
// up. Nothing is written if nothing changed.
func (c *Controller) record(ctx context.Context, sj *v1alpha1.SequentialJob, plan sequence.Plan) error {
	if plan.Failed != nil {
		detail, err := c.failureDetail(ctx, plan)
		if err != nil {
			return err
		}
		plan = plan.WithFailureDetail(sj, detail, c.timestamp())
	}
	if !equality.Semantic.DeepEqual(sj.Status, plan.Status) {
		update := sj.DeepCopy()
		update.Status = plan.Status
		stored, err := c.client.BatchV1alpha1().SequentialJobs(sj.Namespace).UpdateStatus(ctx, update, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("store status: %w", err)
		}
		c.ownWrites.remember(stored)
		sj = stored
		for _, event := range plan.Events {
			klog.FromContext(ctx).V(2).Info("Transition", "reason", event.Reason, "message", event.Message)
			c.recorder.Event(sj, event.Type, event.Reason, event.Message)
		}
	}
	if plan.Finalizer {
		return nil
	}
	_, err := c.setFinalizer(ctx, sj, false)
	return err
}

// block records why the next step cannot start now and asks for another try.
func (c *Controller) block(ctx context.Context, sj *v1alpha1.SequentialJob, plan sequence.Plan, reason, message string) error {
	return c.wait(ctx, sj, plan.Blocked(sj, reason, message, c.timestamp()))
}

// wait records a plan and asks for another try.
func (c *Controller) wait(ctx context.Context, sj *v1alpha1.SequentialJob, plan sequence.Plan) error {
	if err := c.record(ctx, sj, plan); err != nil {
		return err
	}
	return errWaiting
}

// failureDetail asks the pods of a failed Job what happened. There is no pod informer: a failure is rare enough to ask.
func (c *Controller) failureDetail(ctx context.Context, plan sequence.Plan) (string, error) {
	job := plan.Failed
	pods, err := c.kube.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{batchv1.ControllerUidLabel: string(job.UID)}.String(),
	})
	if err != nil {
		return "", fmt.Errorf("list pods of failed Job %s: %w", job.Name, err)
	}
	return sequence.FailureDetail(job.Labels[v1alpha1.StepNameLabel], pods.Items), nil
}

func (c *Controller) timestamp() metav1.Time {
	return metav1.NewTime(c.now())
}
