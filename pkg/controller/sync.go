package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// errWaiting asks for another try later, for a cause that the status already tells.
var errWaiting = errors.New("the next step waits")

// sync takes one SequentialJob as far as it goes now.
func (c *Controller) sync(ctx context.Context, name cache.ObjectName) error {
	sj, err := c.informers.sequentialJob(name)
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
	plan, jobs, err := c.decide(ctx, sj)
	if err != nil {
		return err
	}
	if plan.Create == nil && plan.Change == nil {
		return c.record(ctx, sj, jobs, plan)
	}
	return c.act(ctx, name)
}

// act starts the next step, or changes the Job of the running one, if the live object agrees that it is due. The cache may
// lag behind this process's own writes and, after a hand-over, behind another controller's: deciding on what was just read
// keeps a step whose Job has come and gone from being started a second time, and a Job from being suspended again.
func (c *Controller) act(ctx context.Context, name cache.ObjectName) error {
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
	plan, jobs, err := c.decide(ctx, sj)
	if err != nil {
		return err
	}
	if plan.Create == nil {
		return c.record(ctx, sj, jobs, plan)
	}
	if plan.AfterPods {
		switch running, err := c.podsRun(ctx, sj); {
		case err != nil:
			return err
		case running:
			return c.waitForPods(ctx, sj, jobs, plan)
		}
	}
	first := len(sj.Status.Steps) == 0
	if first {
		if message := sequence.TooLarge(sj); message != "" {
			return c.record(ctx, sj, jobs, plan.Invalid(sj, 0, message, c.timestamp()))
		}
	}
	if sj, err = c.setFinalizer(ctx, sj, true); err != nil {
		return err
	}
	if first {
		if index, message, err := c.findInvalidStep(ctx, sj); err != nil {
			return c.block(ctx, sj, plan, v1alpha1.ReasonJobCreateFailed, createFailed(plan, err), err)
		} else if message != "" {
			return c.record(ctx, sj, jobs, plan.Invalid(sj, index, message, c.timestamp()))
		}
	}
	return c.createJob(ctx, sj, jobs, plan)
}

// decide gathers the Jobs of a SequentialJob and plans. Some Jobs are read live, where the cache alone would decide:
//   - that of the running step if it is not cached, because only the API server can tell a Job that is gone from one that
//     has not arrived here yet;
//   - one that has the name of the next and is not recorded, because it may have been replaced meanwhile. If it is gone the
//     cached one stands: it proves that the step was started;
//   - those that the plan takes for absent.
//
// A Job that this process created and could not record yet counts as started, too, whether or not it is still there.
func (c *Controller) decide(ctx context.Context, sj *v1alpha1.SequentialJob) (sequence.Plan, []*batchv1.Job, error) {
	cached, err := c.informers.jobsOf(sj)
	if err != nil {
		return sequence.Plan{}, nil, fmt.Errorf("list Jobs from cache: %w", err)
	}
	jobs := &known{c: c, namespace: sj.Namespace, jobs: slices.Clone(cached)}
	if !sequence.Finished(&sj.Status) {
		if next := sequence.NextJobName(sj); jobs.has(next) {
			jobs.read(ctx, next)
		}
		if own := c.ownWrites.unrecordedJob(sj); own != nil && !jobs.has(own.Name) {
			jobs.jobs = append(jobs.jobs, own)
		}
		if step := runningStep(sj); step != nil && !jobs.hasUID(step.JobUID) {
			jobs.read(ctx, step.JobName)
		}
	}
	now, asked := c.now(), sets.New[string]()
	plan := sequence.Next(sj, jobs.jobs, now)
	for !asked.HasAll(plan.Absent...) && jobs.err == nil {
		for _, name := range plan.Absent {
			jobs.read(ctx, name)
		}
		asked.Insert(plan.Absent...)
		plan = sequence.Next(sj, jobs.jobs, now)
	}
	return plan, jobs.jobs, jobs.err
}

// known are the Jobs that are known of one SequentialJob.
type known struct {
	c         *Controller
	namespace string
	jobs      []*batchv1.Job
	// err is the first error of a read. No decision may be made after it.
	err error
}

func (k *known) has(name string) bool {
	return slices.ContainsFunc(k.jobs, func(job *batchv1.Job) bool { return job.Name == name })
}

func (k *known) hasUID(uid types.UID) bool {
	return slices.ContainsFunc(k.jobs, func(job *batchv1.Job) bool { return job.UID == uid })
}

// read gets a Job live; it takes the place of a cached one of that name.
func (k *known) read(ctx context.Context, name string) {
	if k.err != nil {
		return
	}
	live, err := k.c.readJob(ctx, k.namespace, name)
	if k.err = err; live == nil {
		return
	}
	k.jobs = slices.DeleteFunc(k.jobs, func(job *batchv1.Job) bool { return job.Name == name })
	k.jobs = append(k.jobs, live)
}

// readJob returns a Job as the API server has it, or nil if there is none of that name.
func (c *Controller) readJob(ctx context.Context, namespace, name string) (*batchv1.Job, error) {
	job, err := c.kube.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Job %s: %w", name, err)
	}
	return job, nil
}

func runningStep(sj *v1alpha1.SequentialJob) *v1alpha1.StepStatus {
	if n := len(sj.Status.Steps); n > 0 && sj.Status.Steps[n-1].State == v1alpha1.StepRunning {
		return &sj.Status.Steps[n-1]
	}
	return nil
}

// record carries out what a plan wants besides a create: it changes the running step's Job, stores the status, publishes
// the events and drops the finalizer once there is nothing left to clean up. Nothing is written if nothing changed.
func (c *Controller) record(ctx context.Context, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan) error {
	plan, err := c.explain(ctx, sj, jobs, plan)
	if err != nil {
		return err
	}
	if plan.Change != nil {
		if err := c.changeJob(ctx, plan.Change); err != nil {
			return c.blockChange(ctx, sj, plan.Change, err)
		}
	}
	stored, err := c.storeStatus(ctx, sj, plan)
	if err != nil || stored == nil {
		return err
	}
	if !plan.Finalizer {
		if stored, err = c.setFinalizer(ctx, stored, false); err != nil {
			return err
		}
	}
	if plan.Expired {
		return c.deleteExpired(ctx, stored)
	}
	switch name := cache.MetaObjectToName(sj); {
	case plan.Again:
		c.queue.Add(name)
	case plan.LookAgain > 0:
		c.queue.AddAfter(name, plan.LookAgain)
	}
	return nil
}

// storeStatus returns the SequentialJob as stored, or nil if it is gone.
func (c *Controller) storeStatus(ctx context.Context, sj *v1alpha1.SequentialJob, plan sequence.Plan) (*v1alpha1.SequentialJob, error) {
	if equality.Semantic.DeepEqual(sj.Status, plan.Status) {
		return sj, nil
	}
	update := sj.DeepCopy()
	update.Status = plan.Status
	stored, err := c.client.BatchV1alpha1().SequentialJobs(sj.Namespace).UpdateStatus(ctx, update, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store status: %w", err)
	}
	c.ownWrites.remember(stored)
	c.measure(sj, &stored.Status)
	for _, event := range plan.Events {
		klog.FromContext(ctx).V(2).Info("Transition", "reason", event.Reason, "message", event.Message)
		c.recorder.Event(stored, event.Type, event.Reason, event.Message)
	}
	return stored, nil
}

// block records why the next step cannot start now and asks for another try. The cause is the error of the API server, if
// there is one.
func (c *Controller) block(
	ctx context.Context, sj *v1alpha1.SequentialJob, plan sequence.Plan, reason, message string, cause error,
) error {
	return c.wait(ctx, sj, plan.Blocked(sj, reason, message, c.timestamp()), cause)
}

// wait records a plan and asks for another try.
func (c *Controller) wait(ctx context.Context, sj *v1alpha1.SequentialJob, plan sequence.Plan, cause error) error {
	if err := c.record(ctx, sj, nil, plan); err != nil {
		return err
	}
	if cause != nil {
		return fmt.Errorf("%w: %w", errWaiting, cause)
	}
	return errWaiting
}

func (c *Controller) timestamp() metav1.Time {
	return metav1.NewTime(c.now())
}
