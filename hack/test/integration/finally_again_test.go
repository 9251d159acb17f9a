//go:build integration

package integration_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// One that fails keeps no other from running; it makes a sequence fail whose steps are complete, and a retry runs all of them again.
func TestAFailureOfFinallyIsToldAndCanBeRetried(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.WithFinally(framework.NewSequence("etl", "extract"), "notify", "unlock"))
	c.EndJob(c.WaitForJob("etl", "etl-0").Name, batchv1.JobComplete, "")
	c.createFailedPod(c.WaitForJob("etl", "etl-f0"), "notify", 3, "no mail server")
	c.EndJob("etl-f0", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	c.EndJob(c.WaitForJob("etl", "etl-f1").Name, batchv1.JobComplete, "")
	failed := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.wantEnd(failed, v1alpha1.ReasonFinallyFailed)
	const want = `The only step completed successfully; Finally job 0 (notify) failed: BackoffLimitExceeded: container "notify" exited with code 3: no mail server`
	if got := meta.FindStatusCondition(failed.Status.Conditions, v1alpha1.ConditionFailed).Message; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if s := failed.Status; s.State.Succeeded != 1 || s.State.Failed != 0 || s.Progress.FailedIndex != nil || s.Progress.FinallyRuns != 1 ||
		s.Result.Type != v1alpha1.ResultCompleted || s.Finally[0].State != v1alpha1.StepFailed || s.Finally[1].State != v1alpha1.StepCompleted {
		t.Errorf("status %+v", s)
	}
	c.waitForEvent("etl", "FinallyFailed: "+want)

	c.Patch("etl", `{"spec":{"retries":1}}`)
	for _, job := range []string{"etl-f0-r1", "etl-f1-r1"} {
		c.EndJob(c.WaitForJob("etl", job).Name, batchv1.JobComplete, "")
	}
	again := c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.wantEnd(again, v1alpha1.ReasonCompleted)
	if s := again.Status; s.Progress.FinallyRuns != 2 || s.Progress.Retries != 1 || len(s.Finally) != 2 || s.Steps[0].JobName != "etl-0" {
		t.Errorf("status %+v", s)
	}
	c.Jobs.Want("etl-0", "etl-f0", "etl-f1", "etl-f0-r1", "etl-f1-r1")
}

// A failure of the steps stays the cause.
func TestAFailureOfFinallyHidesNoFailureOfAStep(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.WithFinally(framework.NewSequence("etl", "extract", "load"), "notify"))
	c.EndJob(c.WaitForJob("etl", "etl-0").Name, batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	c.EndJob(c.WaitForJob("etl", "etl-f0").Name, batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy)
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.wantEnd(sj, batchv1.JobReasonBackoffLimitExceeded)
	const want = "Job 0 (extract) failed: BackoffLimitExceeded; Finally job 0 (notify) failed: PodFailurePolicy"
	if got := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionFailed).Message; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	c.Jobs.Want("etl-0", "etl-f0")
}

// A sequence that goes on ends once more, and spec.finally runs at each end; retries may also be granted while it runs.
func TestFinallyRunsAtEachEnd(t *testing.T) {
	t.Parallel()
	for name, raiseWhile := range map[string]string{"retries raised afterwards": "", "retries raised meanwhile": "etl-f0"} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.StartController()
			c.Create(framework.WithFinally(framework.NewSequence("etl", "extract", "load"), "notify", "unlock"))
			c.EndJob(c.WaitForJob("etl", "etl-0").Name, batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
			for _, job := range []string{"etl-f0", "etl-f1"} {
				if got, want := resultOf(c.WaitForJob("etl", job)), [3]string{"Failed", "extract", "BackoffLimitExceeded"}; got != want {
					t.Errorf("%s has the annotations %q, want %q", job, got, want)
				}
				if job == raiseWhile {
					c.Patch("etl", `{"spec":{"retries":1}}`)
					c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
				}
				c.EndJob(job, batchv1.JobComplete, "")
			}
			if raiseWhile == "" {
				c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobFailed), batchv1.JobReasonBackoffLimitExceeded)
				c.Patch("etl", `{"spec":{"retries":1}}`)
			}
			c.WaitForJob("etl", "etl-0-r1")
			if s := c.Get("etl").Status; s.Result != nil || s.Finally != nil || s.CompletionTime != nil || s.ActiveSince == nil || s.Progress.CurrentStep != "extract" {
				t.Errorf("while it is retried: %+v", s)
			}
			c.EndJob("etl-0-r1", batchv1.JobComplete, "")
			c.EndJob(c.WaitForJob("etl", "etl-1").Name, batchv1.JobComplete, "")
			for _, job := range []string{"etl-f0-r1", "etl-f1-r1"} {
				if got, want := resultOf(c.WaitForJob("etl", job)), [3]string{"Completed", "", ""}; got != want {
					t.Errorf("%s has the annotations %q, want %q", job, got, want)
				}
				c.EndJob(job, batchv1.JobComplete, "")
			}
			c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
			c.Jobs.Want("etl-0", "etl-f0", "etl-f1", "etl-0-r1", "etl-1", "etl-f0-r1", "etl-f1-r1")
		})
	}
}

func TestSuspendHoldsFinally(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	c.Create(framework.WithFinally(framework.NewDrivenSequence("etl", "extract"), "notify", "unlock"))
	c.WaitForJob("etl", "etl-0")
	pod := c.RunPod("etl-0")
	letGo := c.holdBack() // the Job says that it is complete once it is suspended
	c.EndPod(pod, 0, "")
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
	letGo()
	if s := c.waitForMessage("etl", v1alpha1.ReasonSuspended, "finally job 0 (notify)").Status; s.Phase != v1alpha1.SequentialJobSuspended || s.Result == nil {
		t.Errorf("before it: phase %s, result %+v", s.Phase, s.Result)
	}
	c.Jobs.Want("etl-0")
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.WaitForJob("etl", "etl-f0")
	c.RunPod("etl-f0")
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "Finally job 0 (notify) is suspended by spec.suspend")
	c.Eventually("its pod to be stopped", func(context.Context) (bool, error) {
		job := c.Job("etl-f0")
		return *job.Spec.Suspend && job.Status.Active == 0, nil
	})
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.EndPod(c.RunPod("etl-f0"), 0, "")
	c.EndPod(c.RunPod("etl-f1"), 0, "")
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
	c.Jobs.Want("etl-0", "etl-f0", "etl-f1")
}

// Somebody deletes the Job of a step, and then that of a container of spec.finally: what comes next waits until its pod has ended.
func TestFinallyWaitsForPodsThatADeletedJobLeft(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	c.Create(framework.WithFinally(framework.NewDrivenSequence("etl", "extract"), "notify", "unlock"))
	jobs := []string{"etl-0", "etl-f0", "etl-f1"}
	for i, job := range jobs[:2] {
		c.WaitForJob("etl", job)
		pod := c.RunPod(job)
		letGo := c.StopSlowly(pod)
		c.deleteJob(job)
		c.WaitUntilStopping(pod)
		// Three times a minute Kubernetes ends all pods that are being deleted and have no node.
		hasEnded := func() bool {
			now, err := c.Kube.CoreV1().Pods(c.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
			framework.Must(t, err)
			return now.Status.Phase == corev1.PodFailed
		}
		c.Eventually("it to wait for the pod", func(context.Context) (bool, error) {
			return hasEnded() || strings.Contains(progressingMessage(c.Get("etl")), "starts once the pods that a deleted Job left have ended"), nil
		})
		if made := c.Jobs.Names(); !hasEnded() && len(made) != i+1 {
			t.Errorf("Jobs created: %q, while pod %s still ends", made, pod.Name)
		}
		letGo()
	}
	c.EndPod(c.RunPod("etl-f1"), 0, "")
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.wantEnd(sj, v1alpha1.ReasonJobDeleted)
	if got := sj.Status.Finally[0]; got.State != v1alpha1.StepFailed || !strings.HasPrefix(got.Message, v1alpha1.ReasonJobDeleted) {
		t.Errorf("finally[0] %+v", got)
	}
	c.Jobs.Want(jobs...)
}

// The time to live begins when all is over, and `kubectl get` shows what runs until then.
func TestATTLBeginsAfterFinally(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	sj := framework.WithFinally(framework.NewSequence("etl", "extract"), "notify")
	sj.Spec.TTLSecondsAfterFinished = new(int32(0))
	stored := c.Create(sj)
	c.EndJob(c.WaitForJob("etl", "etl-0").Name, batchv1.JobComplete, "")
	c.WaitForJob("etl", "etl-f0")
	c.wantRow([]string{"NAME", "STATUS", "COMPLETIONS", "STEP", "AGE", "REASON"}, []string{"etl", "Running", "1/1", "notify"})
	// One that comes after it shows that the controller had time to delete it.
	c.Create(framework.NewSequence("barrier", "only"))
	c.WaitForRunning("barrier", 0)
	if now := c.Get("etl"); !now.DeletionTimestamp.IsZero() || len(now.Finalizers) != 1 {
		t.Errorf("deleted at %v, finalizers %q, while spec.finally runs", now.DeletionTimestamp, now.Finalizers)
	}
	c.EndJob("etl-f0", batchv1.JobComplete, "")
	c.WaitUntilGone(stored)
	c.Eventually("the Jobs to be gone", func(ctx context.Context) (bool, error) {
		for _, job := range []string{"etl-0", "etl-f0"} {
			if _, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(ctx, job, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return false, err
			}
		}
		return true, nil
	})
}

// The deadline of the sequence is for its steps.
func TestTheDeadlineOfTheSequenceIsNotForFinally(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	sj := framework.WithFinally(framework.NewSequence("etl", "extract"), "notify", "unlock")
	sj.Spec.ActiveDeadlineSeconds = new(int64(2))
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "unlock", ActiveDeadlineSeconds: new(int64(77))}}
	c.Create(sj)
	c.EndJob(c.WaitForJob("etl", "etl-0").Name, batchv1.JobComplete, "")
	if got := c.WaitForJob("etl", "etl-f0").Spec.ActiveDeadlineSeconds; got != nil {
		t.Errorf("etl-f0 has activeDeadlineSeconds %d, want none", *got)
	}
	c.waitUntil(c.Get("etl").CreationTimestamp.Add(4 * time.Second))
	c.EndJob("etl-f0", batchv1.JobComplete, "")
	c.WaitForJob("etl", "etl-f1")
	c.wantDeadline("etl-f1", 77)
	c.EndJob("etl-f1", batchv1.JobComplete, "")
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
}

// Where steps start on the success of pods, spec.finally starts on that of the last one; within it each waits for the Job.
func TestFinallyStartsOnTheSuccessOfTheLastPod(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	letGo := c.holdBack()
	c.Create(framework.WithFinally(newAdvancing("extract"), "notify", "unlock"))
	c.endDriven("etl-0")
	c.WaitForJob("etl", "etl-f0")
	c.endDriven("etl-f0")
	c.Patch("etl", `{"spec":{"retries":1}}`) // another turn
	c.WaitFor("etl", "it to have been looked at", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
	c.Jobs.WantEarly([]string{"etl-f0"}, "etl-0", "etl-f0")
	letGo()
	c.EndPod(c.RunPod("etl-f1"), 0, "")
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
	// The Job of the step may still not be complete when the second one starts.
	if got, want := c.Jobs.Names(), []string{"etl-0", "etl-f0", "etl-f1"}; !slices.Equal(got, want) {
		t.Errorf("Jobs created: %q, want %q", got, want)
	}
}
