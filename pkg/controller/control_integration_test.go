//go:build integration

package controller_test

import (
	"context"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// waitForPods waits until the namespace has that many pods.
func (c *cluster) waitForPods(want int) {
	c.t.Helper()
	c.eventually("pods to come or go", func(ctx context.Context) (bool, error) {
		pods, err := c.kube.CoreV1().Pods(c.ns).List(ctx, metav1.ListOptions{})
		return err == nil && len(pods.Items) == want, err
	})
}

// waitForMessage waits until Progressing has that reason and a message with that text.
func (c *cluster) waitForMessage(name, reason, text string) *v1alpha1.SequentialJob {
	c.t.Helper()
	return c.waitFor(name, reason+" with "+text, func(sj *v1alpha1.SequentialJob) bool {
		condition := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing)
		return condition != nil && condition.Reason == reason && strings.Contains(condition.Message, text)
	})
}

func TestIntegrationSuspendStopsThePodsAndResumeGoesOnWithTheSameStep(t *testing.T) {
	c := newCluster(t)
	c.startController()
	c.create(newStuckSequence("etl", "extract", "load"))
	c.waitForRunning("etl", 0)
	c.waitForPods(1)
	c.patch("etl", `{"spec":{"suspend":true}}`)
	c.waitForPhase("etl", v1alpha1.SequentialJobSuspended)
	c.waitForEvent("etl", "Suspended: Job 0 (extract) is suspended by spec.suspend")
	c.waitForPods(0)
	c.patch("etl", `{"spec":{"suspend":false}}`)
	c.waitForPhase("etl", v1alpha1.SequentialJobRunning)
	c.waitForEvent("etl", "Resumed: Job 0 (extract) is no longer suspended")
	c.waitForPods(1)
	c.jobs.want("etl-0")
}

func TestIntegrationASequenceMayBeSuspendedWhileNoControllerRuns(t *testing.T) {
	c := newByHandCluster(t)
	stop := c.startController()
	c.create(newSequence("etl", "extract", "load"))
	c.waitForRunning("etl", 0)
	stop()
	c.patch("etl", `{"spec":{"suspend":true}}`)
	c.endJob("etl-0", batchv1.JobComplete, "")
	stop = c.startController()
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "before job 1 (load)")
	stop()
	c.patch("etl", `{"spec":{"suspend":null}}`)
	c.startController()
	c.waitForRunning("etl", 1)
	c.endJob("etl-1", batchv1.JobComplete, "")
	c.waitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.jobs.want("etl-0", "etl-1")
}

func TestIntegrationSuspendedFromBirthNothingStarts(t *testing.T) {
	c := newByHandCluster(t)
	c.jobs.completeAll()
	c.startController()
	sj := newSequence("etl", "extract", "load")
	sj.Spec.Suspend = new(true)
	c.create(sj)
	c.waitForPhase("etl", v1alpha1.SequentialJobSuspended)
	c.jobs.want()
	c.patch("etl", `{"spec":{"suspend":false}}`)
	c.waitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.jobs.want("etl-0", "etl-1")
}

func TestIntegrationAFailedSequenceGoesOnOnceItIsMendedAndMayBeRetried(t *testing.T) {
	c := newByHandCluster(t)
	c.startController()
	c.create(newSequence("etl", "extract", "transform", "load"))
	c.waitForRunning("etl", 0)
	c.endJob("etl-0", batchv1.JobComplete, "")
	c.waitForRunning("etl", 1)
	c.endJob("etl-1", batchv1.JobFailed, "BackoffLimitExceeded")
	failed := c.waitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.waitFor("etl", "the finalizer to go", func(sj *v1alpha1.SequentialJob) bool { return len(sj.Finalizers) == 0 })

	const mended = `{"spec":{"retries":1,"containers":[{"name":"extract","image":"example.com/extract:v1","resources":{}},` +
		`{"name":"transform","image":"example.com/transform:v2"},{"name":"check","image":"example.com/check:v1"}]}}`
	c.patch("etl", mended)
	sj := c.waitFor("etl", "the retry", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobRunning && sj.Status.Steps[1].JobName == "etl-1-r1"
	})
	if s := sj.Status; s.CompletionTime != nil || s.Progress.FailedIndex != nil || s.Progress.Retries != 1 || s.Steps[1].Retries != 1 ||
		meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionFailed) || !s.StartTime.Equal(failed.Status.StartTime) || len(sj.Finalizers) == 0 {
		t.Errorf("finalizers %q, status %+v", sj.Finalizers, s)
	}
	if job := c.job("etl-1-r1"); job.Spec.Template.Spec.Containers[0].Image != "example.com/transform:v2" {
		t.Errorf("the retry runs %+v", job.Spec.Template.Spec.Containers[0])
	}
	c.waitForEvent("etl", "Retrying: Retrying job 1 (transform), retry 1 of 1")
	c.endJob("etl-1-r1", batchv1.JobComplete, "")
	c.waitForRunning("etl", 2)
	c.endJob("etl-2", batchv1.JobComplete, "")
	c.waitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.waitFor("etl", "the finalizer to go again", func(sj *v1alpha1.SequentialJob) bool { return len(sj.Finalizers) == 0 })
	if got, want := strings.Join(c.jobs.names(), " "), "etl-0 etl-1 etl-1-r1 etl-2"; got != want {
		t.Errorf("Jobs created: %s, want %s", got, want)
	}
	c.job("etl-1") // stays, for its logs
}

// The real Job controller stops the step: the deadline holds while no controller of ours runs.
func TestIntegrationTheDeadlineHoldsWhileNoControllerRuns(t *testing.T) {
	c := newCluster(t)
	stop := c.startController()
	sj := newStuckSequence("etl", "extract", "load")
	sj.Spec.ActiveDeadlineSeconds, sj.Spec.Retries = new(int64(2)), new(int32(3))
	c.create(sj)
	c.waitForRunning("etl", 0)
	stop()
	c.eventually("the Job to be stopped", func(context.Context) (bool, error) { return isTrue(c.job("etl-0"), batchv1.JobFailed), nil })
	c.startController()
	sj = c.waitForPhase("etl", v1alpha1.SequentialJobFailed)
	if sj.Status.Progress.FailureReason != v1alpha1.ReasonDeadlineExceeded {
		t.Errorf("progress %+v", sj.Status.Progress)
	}
	c.waitForEvent("etl", "DeadlineExceeded: Job 0 (extract) failed: DeadlineExceeded: "+
		"the sequence was active for longer than its activeDeadlineSeconds (2)")
	c.patch("etl", `{"spec":{"activeDeadlineSeconds":3600}}`)
	c.waitFor("etl", "the retry", func(sj *v1alpha1.SequentialJob) bool {
		return len(sj.Status.Steps) == 1 && sj.Status.Steps[0].JobName == "etl-0-r1"
	})
	if left := c.job("etl-0-r1").Spec.ActiveDeadlineSeconds; left == nil || *left > 3598 || *left < 3500 {
		t.Errorf("the retry's Job has activeDeadlineSeconds %v", left)
	}
}

func TestIntegrationAnEditedDeadlineStopsTheRunningStep(t *testing.T) {
	c := newCluster(t)
	c.startController()
	c.create(newStuckSequence("etl", "extract"))
	c.waitForRunning("etl", 0)
	c.patch("etl", `{"spec":{"activeDeadlineSeconds":1}}`)
	if sj := c.waitForPhase("etl", v1alpha1.SequentialJobFailed); sj.Status.Progress.FailureReason != v1alpha1.ReasonDeadlineExceeded {
		t.Errorf("progress %+v", sj.Status.Progress)
	}
}

func TestIntegrationAFinishedSequenceIsDeletedAfterItsTTL(t *testing.T) {
	c := newByHandCluster(t)
	c.jobs.completeAll()
	c.startController()
	for name, ttl := range map[string]int32{"at-once": 0, "soon": 2} {
		sj := newSequence(name, "only")
		sj.Spec.TTLSecondsAfterFinished = &ttl
		c.waitUntilGone(c.create(sj))
		c.eventually("the Job of "+name+" to be gone", func(ctx context.Context) (bool, error) {
			_, err := c.kube.BatchV1().Jobs(c.ns).Get(ctx, name+"-0", metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	}
}

func TestIntegrationATTLIsKeptOverARestartAndMayBeRemoved(t *testing.T) {
	c := newByHandCluster(t)
	c.jobs.completeAll()
	stop := c.startController()
	kept, expired := newSequence("kept", "only"), newSequence("expired", "only")
	kept.Spec.TTLSecondsAfterFinished, expired.Spec.TTLSecondsAfterFinished = new(int32(3600)), new(int32(3600))
	c.create(kept)
	expired = c.create(expired)
	c.waitForPhase("kept", v1alpha1.SequentialJobCompleted)
	c.waitForPhase("expired", v1alpha1.SequentialJobCompleted)
	stop()
	c.patch("kept", `{"spec":{"ttlSecondsAfterFinished":null}}`)
	c.patch("expired", `{"spec":{"ttlSecondsAfterFinished":0}}`)
	c.startController()
	c.waitUntilGone(expired)
	c.waitFor("kept", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
}

func TestIntegrationAnInvalidSequenceGoesOnOnceItIsMended(t *testing.T) {
	c := newByHandCluster(t)
	c.jobs.completeAll()
	c.startController()
	sj := newSequence("etl", "extract", "load")
	sj.Spec.Containers[1].Ports = []corev1.ContainerPort{{Name: "a", ContainerPort: 1}, {Name: "a", ContainerPort: 2}}
	c.create(sj)
	c.waitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.patch("etl", `{"spec":{"retries":1,"containers":[{"name":"extract","image":"a"},{"name":"load","image":"b"}]}}`)
	c.waitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.jobs.want("etl-0", "etl-1")
}
