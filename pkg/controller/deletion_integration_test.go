//go:build integration

package controller_test

import (
	"context"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func (c *cluster) delete(name string, propagation metav1.DeletionPropagation) {
	c.t.Helper()
	must(c.t, c.client.BatchV1alpha1().SequentialJobs(c.ns).Delete(c.t.Context(), name, metav1.DeleteOptions{PropagationPolicy: &propagation}))
}

// waitForPod waits until a Job has a pod.
func (c *cluster) waitForPod(job string) {
	c.t.Helper()
	c.eventually("a pod of "+job, func(ctx context.Context) (bool, error) {
		pods, err := c.kube.CoreV1().Pods(c.ns).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
		return err == nil && len(pods.Items) > 0, err
	})
}

// wantNothingLeft checks that Jobs and pods have gone.
func (c *cluster) wantNothingLeft() {
	c.t.Helper()
	jobs, err := c.kube.BatchV1().Jobs(c.ns).List(c.t.Context(), metav1.ListOptions{})
	must(c.t, err)
	pods, err := c.kube.CoreV1().Pods(c.ns).List(c.t.Context(), metav1.ListOptions{})
	must(c.t, err)
	if len(jobs.Items) != 0 || len(pods.Items) != 0 {
		c.t.Errorf("%d Jobs and %d pods are left", len(jobs.Items), len(pods.Items))
	}
}

func TestIntegrationADeletedSequenceGoesAfterItsJobAndPods(t *testing.T) {
	for _, propagation := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground} {
		t.Run(string(propagation), func(t *testing.T) {
			c := newCluster(t)
			c.startController()
			sj := c.create(newStuckSequence("etl", "extract", "load"))
			c.waitForRunning("etl", 0)
			c.waitForPod("etl-0")
			c.delete("etl", propagation)
			c.waitUntilGone(sj)
			c.wantNothingLeft()
			c.jobs.want("etl-0")
		})
	}
}

func TestIntegrationOneCreatedAnewUnderTheSameNameStartsAfresh(t *testing.T) {
	c := newCluster(t)
	c.startController()
	former := c.create(newStuckSequence("etl", "extract", "load"))
	formerJob := c.waitForRunning("etl", 0)
	c.delete("etl", metav1.DeletePropagationBackground)

	var anew *v1alpha1.SequentialJob
	c.eventually("the name to be free", func(ctx context.Context) (bool, error) {
		var err error
		anew, err = c.client.BatchV1alpha1().SequentialJobs(c.ns).Create(ctx, newSequence("etl", "extract", "load"), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return false, nil
		}
		return err == nil, err
	})
	sj := c.waitForPhase("etl", v1alpha1.SequentialJobCompleted)
	if sj.UID != anew.UID || sj.UID == former.UID || len(sj.Status.Steps) != 2 || sj.Status.Steps[0].JobUID == formerJob.UID {
		t.Errorf("status %+v", sj.Status)
	}
	c.jobs.want("etl-0", "etl-0", "etl-1")
}

func TestIntegrationCascadeOrphanLeavesTheJobs(t *testing.T) {
	c := newCluster(t)
	c.startController()
	sj := c.create(newStuckSequence("etl", "extract", "load"))
	before := c.waitForRunning("etl", 0)
	c.waitForPod("etl-0")
	c.kubectl("delete", "sequentialjob", "etl", "--cascade=orphan", "--wait=false")
	c.waitUntilGone(sj)
	c.eventually("the Job to be released", func(ctx context.Context) (bool, error) {
		job, err := c.kube.BatchV1().Jobs(c.ns).Get(ctx, "etl-0", metav1.GetOptions{})
		return err == nil && job.UID == before.UID && job.DeletionTimestamp.IsZero() && len(job.OwnerReferences) == 0, err
	})
	c.waitForPod("etl-0")
}

func TestIntegrationAFinishedSequenceNeedsNoControllerToBeDeleted(t *testing.T) {
	for name, how := range map[string]batchv1.JobConditionType{"completed": batchv1.JobComplete, "failed": batchv1.JobFailed} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			stop := c.startController()
			sj := c.create(newSequence("etl", "extract"))
			c.waitForRunning("etl", 0)
			c.endJob("etl-0", how, "BackoffLimitExceeded")
			c.waitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
				return sj.Status.CompletionTime != nil && len(sj.Finalizers) == 0
			})
			stop()
			c.delete("etl", metav1.DeletePropagationBackground)
			c.waitUntilGone(sj)
		})
	}
}

func TestIntegrationADeletionThatBeganWithoutAControllerIsFinished(t *testing.T) {
	c := newCluster(t)
	stop := c.startController()
	sj := c.create(newStuckSequence("etl", "extract", "load"))
	c.waitForRunning("etl", 0)
	stop()
	c.delete("etl", metav1.DeletePropagationBackground)
	if now := c.get("etl"); now.DeletionTimestamp.IsZero() {
		t.Error("the deletion has not begun")
	}
	c.startController()
	c.waitUntilGone(sj)
	c.wantNothingLeft()
	c.jobs.want("etl-0")
}
