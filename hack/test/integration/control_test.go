//go:build integration

package integration_test

import (
	"context"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// waitForPods waits until the namespace has that many pods.
func (c *cluster) waitForPods(want int) {
	c.T.Helper()
	c.Eventually("pods to come or go", func(ctx context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(pods.Items) == want, err
	})
}

// waitForMessage waits until Progressing has that reason and a message with that text.
func (c *cluster) waitForMessage(name, reason, text string) *v1alpha1.SequentialJob {
	c.T.Helper()
	return c.WaitFor(name, reason+" with "+text, func(sj *v1alpha1.SequentialJob) bool {
		condition := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing)
		return condition != nil && condition.Reason == reason && strings.Contains(condition.Message, text)
	})
}

func TestSuspendStopsThePodsAndResumeGoesOnWithTheSameStep(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	c.Create(framework.NewStuckSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	c.waitForPods(1)
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
	c.waitForEvent("etl", "Suspended: Job 0 (extract) is suspended by spec.suspend")
	c.waitForPods(0)
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.WaitForPhase("etl", v1alpha1.SequentialJobRunning)
	c.waitForEvent("etl", "Resumed: Job 0 (extract) is no longer suspended")
	c.waitForPods(1)
	c.Jobs.Want("etl-0")
}

func TestASequenceMayBeSuspendedWhileNoControllerRuns(t *testing.T) {
	c := newByHandCluster(t)
	stop := c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	stop()
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.EndJob("etl-0", batchv1.JobComplete, "")
	stop = c.StartController()
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "before job 1 (load)")
	stop()
	c.Patch("etl", `{"spec":{"suspend":null}}`)
	c.StartController()
	c.WaitForRunning("etl", 1)
	c.EndJob("etl-1", batchv1.JobComplete, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1")
}

func TestSuspendedFromBirthNothingStarts(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	c.StartController()
	sj := framework.NewSequence("etl", "extract", "load")
	sj.Spec.Suspend = new(true)
	c.Create(sj)
	c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
	c.Jobs.Want()
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1")
}

func TestAFailedSequenceGoesOnOnceItIsFixedAndMayBeRetried(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "transform", "load"))
	c.WaitForRunning("etl", 0)
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 1)
	c.EndJob("etl-1", batchv1.JobFailed, "BackoffLimitExceeded")
	failed := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.WaitFor("etl", "the finalizer to go", func(sj *v1alpha1.SequentialJob) bool { return len(sj.Finalizers) == 0 })

	const fixed = `{"spec":{"retries":1,"containers":[{"name":"extract","image":"example.com/extract:v1","resources":{}},` +
		`{"name":"transform","image":"example.com/transform:v2"},{"name":"check","image":"example.com/check:v1"}]}}`
	c.Patch("etl", fixed)
	sj := c.WaitFor("etl", "the retry", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobRunning && sj.Status.Steps[1].JobName == "etl-1-r1"
	})
	if s := sj.Status; s.CompletionTime != nil || s.Progress.FailedIndex != nil || s.Progress.Retries != 1 || s.Steps[1].Retries != 1 ||
		meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionFailed) || !s.StartTime.Equal(failed.Status.StartTime) || len(sj.Finalizers) == 0 {
		t.Errorf("finalizers %q, status %+v", sj.Finalizers, s)
	}
	if job := c.Job("etl-1-r1"); job.Spec.Template.Spec.Containers[0].Image != "example.com/transform:v2" {
		t.Errorf("the retry runs %+v", job.Spec.Template.Spec.Containers[0])
	}
	c.waitForEvent("etl", "Retrying: Retrying job 1 (transform), retry 1 of 1")
	c.EndJob("etl-1-r1", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 2)
	c.EndJob("etl-2", batchv1.JobComplete, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.WaitFor("etl", "the finalizer to go again", func(sj *v1alpha1.SequentialJob) bool { return len(sj.Finalizers) == 0 })
	if got, want := strings.Join(c.Jobs.Names(), " "), "etl-0 etl-1 etl-1-r1 etl-2"; got != want {
		t.Errorf("Jobs created: %s, want %s", got, want)
	}
	c.Job("etl-1") // stays, for its logs
}

// The real Job controller stops the step: the deadline holds while no controller of ours runs.
func TestTheDeadlineHoldsWhileNoControllerRuns(t *testing.T) {
	c := newCluster(t)
	stop := c.StartController()
	sj := framework.NewStuckSequence("etl", "extract", "load")
	sj.Spec.ActiveDeadlineSeconds, sj.Spec.Retries = new(int64(2)), new(int32(3))
	c.Create(sj)
	c.WaitForRunning("etl", 0)
	stop()
	c.Eventually("the Job to be stopped", func(context.Context) (bool, error) { return framework.IsTrue(c.Job("etl-0"), batchv1.JobFailed), nil })
	c.StartController()
	sj = c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	if sj.Status.Progress.FailureReason != v1alpha1.ReasonDeadlineExceeded {
		t.Errorf("progress %+v", sj.Status.Progress)
	}
	c.waitForEvent("etl", "DeadlineExceeded: Job 0 (extract) failed: DeadlineExceeded: "+
		"the sequence was active for longer than its activeDeadlineSeconds (2)")
	c.Patch("etl", `{"spec":{"activeDeadlineSeconds":3600}}`)
	c.WaitFor("etl", "the retry", func(sj *v1alpha1.SequentialJob) bool {
		return len(sj.Status.Steps) == 1 && sj.Status.Steps[0].JobName == "etl-0-r1"
	})
	if left := c.Job("etl-0-r1").Spec.ActiveDeadlineSeconds; left == nil || *left > 3598 || *left < 3500 {
		t.Errorf("the retry's Job has activeDeadlineSeconds %v", left)
	}
}

func TestAnEditedDeadlineStopsTheRunningStep(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	c.Create(framework.NewStuckSequence("etl", "extract"))
	c.WaitForRunning("etl", 0)
	c.Patch("etl", `{"spec":{"activeDeadlineSeconds":1}}`)
	if sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed); sj.Status.Progress.FailureReason != v1alpha1.ReasonDeadlineExceeded {
		t.Errorf("progress %+v", sj.Status.Progress)
	}
}

func TestAFinishedSequenceIsDeletedAfterItsTTL(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	c.StartController()
	for name, ttl := range map[string]int32{"at-once": 0, "soon": 2} {
		sj := framework.NewSequence(name, "only")
		sj.Spec.TTLSecondsAfterFinished = &ttl
		c.WaitUntilGone(c.Create(sj))
		c.Eventually("the Job of "+name+" to be gone", func(ctx context.Context) (bool, error) {
			_, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(ctx, name+"-0", metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	}
}

func TestATTLIsKeptOverARestartAndMayBeRemoved(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	stop := c.StartController()
	kept, expired := framework.NewSequence("kept", "only"), framework.NewSequence("expired", "only")
	kept.Spec.TTLSecondsAfterFinished, expired.Spec.TTLSecondsAfterFinished = new(int32(3600)), new(int32(3600))
	c.Create(kept)
	expired = c.Create(expired)
	c.WaitForPhase("kept", v1alpha1.SequentialJobCompleted)
	c.WaitForPhase("expired", v1alpha1.SequentialJobCompleted)
	stop()
	c.Patch("kept", `{"spec":{"ttlSecondsAfterFinished":null}}`)
	c.Patch("expired", `{"spec":{"ttlSecondsAfterFinished":0}}`)
	c.StartController()
	c.WaitUntilGone(expired)
	c.WaitFor("kept", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
}

func TestAnInvalidSequenceGoesOnOnceItIsFixed(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	c.StartController()
	sj := framework.NewSequence("etl", "extract", "load")
	sj.Spec.Containers[1].Ports = []corev1.ContainerPort{{Name: "a", ContainerPort: 1}, {Name: "a", ContainerPort: 2}}
	c.Create(sj)
	c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.Patch("etl", `{"spec":{"retries":1,"containers":[{"name":"extract","image":"a"},{"name":"load","image":"b"}]}}`)
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1")
}
