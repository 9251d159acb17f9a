package framework

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Job returns a Job as the API server has it.
func (c *Cluster) Job(name string) *batchv1.Job {
	c.T.Helper()
	job, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(c.T.Context(), name, metav1.GetOptions{})
	Must(c.T, err)
	return job
}

// WaitForRunning waits until a step's Job is recorded as running, and returns the Job.
func (c *Cluster) WaitForRunning(name string, index int) *batchv1.Job {
	c.T.Helper()
	sj := c.WaitFor(name, fmt.Sprintf("step %d of %s to run", index, name), func(sj *v1alpha1.SequentialJob) bool {
		return len(sj.Status.Steps) == index+1 && sj.Status.Steps[index].State == v1alpha1.StepRunning
	})
	return c.Job(sj.Status.Steps[index].JobName)
}

// WaitForJob waits until a Job is recorded as running, be it of a step or of spec.finally, and returns it.
func (c *Cluster) WaitForJob(name, job string) *batchv1.Job {
	c.T.Helper()
	c.WaitFor(name, "Job "+job+" to be recorded as running", func(sj *v1alpha1.SequentialJob) bool {
		return slices.ContainsFunc(slices.Concat(sj.Status.Steps, sj.Status.Finally), func(step v1alpha1.StepStatus) bool {
			return step.JobName == job && step.State == v1alpha1.StepRunning
		})
	})
	return c.Job(job)
}

// EndJob ends a Job of a namespace of NewByHandCluster as the Job controller would: how is JobComplete or JobFailed.
func (c *Cluster) EndJob(name string, how batchv1.JobConditionType, reason string) {
	c.T.Helper()
	Must(c.T, c.TryEndJob(c.T.Context(), name, how, reason))
}

// TryEndJob is EndJob where the Job may be gone, or changed at the same time.
func (c *Cluster) TryEndJob(ctx context.Context, name string, how batchv1.JobConditionType, reason string) error {
	job, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	now := metav1.Now()
	before := map[batchv1.JobConditionType]batchv1.JobConditionType{
		batchv1.JobComplete: batchv1.JobSuccessCriteriaMet, batchv1.JobFailed: batchv1.JobFailureTarget,
	}
	for _, condition := range []batchv1.JobConditionType{before[how], how} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: condition, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: now, LastProbeTime: now,
		})
	}
	if job.Status.StartTime == nil {
		job.Status.StartTime = &job.CreationTimestamp
	}
	job.Status.Active, job.Status.Ready = 0, nil
	if how == batchv1.JobComplete {
		job.Status.CompletionTime, job.Status.Succeeded = &now, 1
	}
	_, err = c.Kube.BatchV1().Jobs(c.Namespace).UpdateStatus(ctx, job, metav1.UpdateOptions{})
	return err
}

// IsTrue says whether a Job has a condition that is true.
func IsTrue(job *batchv1.Job, condition batchv1.JobConditionType) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == condition && c.Status == corev1.ConditionTrue
	})
}
