package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// maxInvalidSteps bounds how many invalid steps one refusal lists.
const maxInvalidSteps = 5

// createJob creates the Job of a plan and records that its step has started. The Job comes first: if this process ends
// before the status is written, the next one finds the Job by its name and takes it over.
func (c *Controller) createJob(ctx context.Context, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan) error {
	job, err := c.kube.BatchV1().Jobs(sj.Namespace).Create(ctx, plan.Create,
		metav1.CreateOptions{FieldManager: v1alpha1.ControllerName})
	switch {
	case err == nil:
		klog.FromContext(ctx).V(2).Info("Created Job", "job", klog.KObj(job))
		c.ownWrites.rememberJob(sj, job)
		c.measureGap(plan)
	case apierrors.IsAlreadyExists(err):
		return c.takeOver(ctx, sj, jobs, plan)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), apierrors.IsNotFound(err):
		// The namespace is going away, and everything in it: there is nobody to tell.
		return nil
	case apierrors.IsInvalid(err), isTooLarge(err):
		message := strings.Join(sequence.DescribeInvalid(plan.CreateIndex, causes(err)), "; ")
		return c.record(ctx, sj, jobs, plan.Invalid(sj, plan.CreateIndex, message, c.timestamp()))
	default:
		return c.block(ctx, sj, plan, v1alpha1.ReasonJobCreateFailed, createFailed(plan, err), err)
	}
	jobs = append(jobs[:len(jobs):len(jobs)], job)
	return c.record(ctx, sj, jobs, sequence.Next(sj, jobs, c.now()))
}

// takeOver looks at the Job that already has the name. It is ours if an earlier attempt created it without being able
// to tell; anybody else's is left alone.
func (c *Controller) takeOver(ctx context.Context, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan) error {
	job, err := c.kube.BatchV1().Jobs(sj.Namespace).Get(ctx, plan.Create.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: Job %s was removed just now", errWaiting, plan.Create.Name)
	}
	if err != nil {
		return fmt.Errorf("read Job %s: %w", plan.Create.Name, err)
	}
	if conflict := sequence.Conflict(sj, plan.CreateIndex, job); conflict != "" {
		if sequence.LeftByPredecessor(sj, job) {
			return c.wait(ctx, sj, plan.Waiting(sj, v1alpha1.ReasonJobNameConflict,
				fmt.Sprintf("Waiting until Job %s of the deleted SequentialJob of this name is removed", job.Name), c.timestamp()), nil)
		}
		return c.block(ctx, sj, plan, v1alpha1.ReasonJobNameConflict, conflict, nil)
	}
	klog.FromContext(ctx).V(2).Info("Took over Job", "job", klog.KObj(job))
	jobs = append(jobs[:len(jobs):len(jobs)], job)
	return c.record(ctx, sj, jobs, sequence.Next(sj, jobs, c.now()))
}

// findInvalidStep asks the API server, before the first step runs, whether it would accept the Jobs of all of them. It
// returns the index of the first step that it would refuse and what is wrong, or an empty message. One request checks
// all steps in one Job; only a refusal of that makes it look at single steps, because only these are proof.
func (c *Controller) findInvalidStep(ctx context.Context, sj *v1alpha1.SequentialJob) (int, string, error) {
	err := c.dryRun(ctx, sequence.NewCheckJob(sj))
	if !apierrors.IsInvalid(err) {
		return 0, "", inconclusive(err)
	}
	first, problems, invalid := 0, []string{}, 0
	for _, index := range sequence.SuspectSteps(sj, causes(err)) {
		err := c.dryRun(ctx, sequence.NewStepCheckJob(sj, index))
		if !apierrors.IsInvalid(err) {
			if err = inconclusive(err); err != nil {
				return 0, "", err
			}
			continue
		}
		if invalid++; invalid == 1 {
			first = index
		}
		for _, problem := range sequence.DescribeInvalid(index, causes(err)) {
			if len(problems) == 0 || problems[len(problems)-1] != problem {
				problems = append(problems, problem)
			}
		}
		if invalid == maxInvalidSteps {
			break
		}
	}
	return first, strings.Join(problems, "; "), nil
}

func (c *Controller) dryRun(ctx context.Context, job *batchv1.Job) error {
	_, err := c.kube.BatchV1().Jobs(job.Namespace).Create(ctx, job,
		metav1.CreateOptions{FieldManager: v1alpha1.ControllerName, DryRun: []string{metav1.DryRunAll}})
	return err
}

// inconclusive keeps the errors that may hide an invalid step, to be tried again. A request that is refused for another
// reason, such as a quota or a webhook that does not support dry runs, says nothing about the spec: the real request
// will tell.
func inconclusive(err error) error {
	if apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// causes returns what the API server found wrong, field by field.
func causes(err error) []metav1.StatusCause {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return nil
	}
	if details := status.Status().Details; details != nil && len(details.Causes) > 0 {
		return details.Causes
	}
	return []metav1.StatusCause{{Message: status.Status().Message}}
}

// isTooLarge says whether an object is too large to be stored, which no further try changes. etcd's own limit comes as an
// error 500 without a reason.
func isTooLarge(err error) bool {
	return apierrors.IsRequestEntityTooLargeError(err) || strings.Contains(err.Error(), "etcdserver: request is too large")
}

func createFailed(plan sequence.Plan, err error) string {
	return fmt.Sprintf("Job %s of step %d cannot be created, trying again: %v", plan.Create.Name, plan.CreateIndex, err)
}
