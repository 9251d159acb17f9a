//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// waitForPod waits until a Job has a pod.
func (c *cluster) waitForPod(job string) {
	c.T.Helper()
	c.Eventually("a pod of "+job, func(ctx context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
		return err == nil && len(pods.Items) > 0, err
	})
}

// wantNothingLeft checks that Jobs and pods have gone.
func (c *cluster) wantNothingLeft() {
	c.T.Helper()
	jobs, err := c.Kube.BatchV1().Jobs(c.Namespace).List(c.T.Context(), metav1.ListOptions{})
	framework.Must(c.T, err)
	pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(c.T.Context(), metav1.ListOptions{})
	framework.Must(c.T, err)
	if len(jobs.Items) != 0 || len(pods.Items) != 0 {
		c.T.Errorf("%d Jobs and %d pods are left", len(jobs.Items), len(pods.Items))
	}
}

func TestADeletedSequenceGoesAfterItsJobAndPods(t *testing.T) {
	for _, propagation := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground} {
		t.Run(string(propagation), func(t *testing.T) {
			c := newCluster(t)
			c.StartController()
			sj := c.Create(framework.NewStuckSequence("etl", "extract", "load"))
			c.WaitForRunning("etl", 0)
			c.waitForPod("etl-0")
			c.Delete("etl", propagation)
			c.WaitUntilGone(sj)
			c.wantNothingLeft()
			c.Jobs.Want("etl-0")
		})
	}
}

func TestOneCreatedAnewUnderTheSameNameStartsAfresh(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	former := c.Create(framework.NewStuckSequence("etl", "extract", "load"))
	formerJob := c.WaitForRunning("etl", 0)
	c.Delete("etl", metav1.DeletePropagationBackground)

	var anew *v1alpha1.SequentialJob
	c.Eventually("the name to be free", func(ctx context.Context) (bool, error) {
		var err error
		anew, err = c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Create(ctx, framework.NewSequence("etl", "extract", "load"), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return false, nil
		}
		return err == nil, err
	})
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	if sj.UID != anew.UID || sj.UID == former.UID || len(sj.Status.Steps) != 2 || sj.Status.Steps[0].JobUID == formerJob.UID {
		t.Errorf("status %+v", sj.Status)
	}
	c.Jobs.Want("etl-0", "etl-0", "etl-1")
}

func TestCascadeOrphanLeavesTheJobs(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	sj := c.Create(framework.NewStuckSequence("etl", "extract", "load"))
	before := c.WaitForRunning("etl", 0)
	c.waitForPod("etl-0")
	c.Kubectl("delete", "sequentialjob", "etl", "--cascade=orphan", "--wait=false")
	c.WaitUntilGone(sj)
	c.Eventually("the Job to be released", func(ctx context.Context) (bool, error) {
		job, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(ctx, "etl-0", metav1.GetOptions{})
		return err == nil && job.UID == before.UID && job.DeletionTimestamp.IsZero() && len(job.OwnerReferences) == 0, err
	})
	c.waitForPod("etl-0")
}

func TestAFinishedSequenceNeedsNoControllerToBeDeleted(t *testing.T) {
	for name, how := range map[string]batchv1.JobConditionType{"completed": batchv1.JobComplete, "failed": batchv1.JobFailed} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			stop := c.StartController()
			sj := c.Create(framework.NewSequence("etl", "extract"))
			c.WaitForRunning("etl", 0)
			c.EndJob("etl-0", how, "BackoffLimitExceeded")
			c.WaitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
				return sj.Status.CompletionTime != nil && len(sj.Finalizers) == 0
			})
			stop()
			c.Delete("etl", metav1.DeletePropagationBackground)
			c.WaitUntilGone(sj)
		})
	}
}

func TestADeletionThatBeganWithoutAControllerIsFinished(t *testing.T) {
	c := newCluster(t)
	stop := c.StartController()
	sj := c.Create(framework.NewStuckSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	stop()
	c.Delete("etl", metav1.DeletePropagationBackground)
	if now := c.Get("etl"); now.DeletionTimestamp.IsZero() {
		t.Error("the deletion has not begun")
	}
	c.StartController()
	c.WaitUntilGone(sj)
	c.wantNothingLeft()
	c.Jobs.Want("etl-0")
}

// Of a long sequence only what runs has to be stopped; the garbage collector takes the rest.
func TestTheDeletionOfALongSequenceTakesAHandfulOfRequests(t *testing.T) {
	const steps = 30
	c := newByHandCluster(t)
	counter := &framework.RequestCounter{}
	c.StartControllerVia(counter)
	var names []string
	for i := range steps {
		names = append(names, fmt.Sprintf("step-%d", i))
	}
	sj := c.Create(framework.NewSequence("etl", names...))
	for i := range steps - 1 {
		c.EndJob(c.WaitForRunning("etl", i).Name, batchv1.JobComplete, "")
	}
	c.WaitForRunning("etl", steps-1)
	before := len(counter.Requests())
	c.Delete("etl", metav1.DeletePropagationBackground)
	c.WaitUntilGone(sj)
	requests := counter.Requests()[before:]
	deleted := slices.DeleteFunc(slices.Clone(requests), func(request string) bool { return !strings.HasPrefix(request, "DELETE ") })
	if len(deleted) != 1 || !strings.Contains(deleted[0], fmt.Sprintf("/jobs/etl-%d", steps-1)) {
		t.Errorf("deleted: %q, want only the Job that ran", deleted)
	}
	const handful = 10
	if len(requests) > handful {
		t.Errorf("%d requests: %q", len(requests), requests)
	}
	c.Eventually("the Jobs to be gone", func(ctx context.Context) (bool, error) {
		jobs, err := c.Kube.BatchV1().Jobs(c.Namespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(jobs.Items) == 0, err
	})
}
