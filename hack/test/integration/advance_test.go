//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// newAdvancing returns a sequence whose steps start on the success of pods that the test drives.
func newAdvancing(steps ...string) *v1alpha1.SequentialJob {
	sj := framework.NewDrivenSequence("etl", steps...)
	sj.Spec.AdvanceOn = new(v1alpha1.AdvanceOnPodSucceeded)
	return sj
}

// holdBack keeps the Job controller from saying of any Job that it succeeds: it takes about a second for that anyway.
func (c *cluster) holdBack() (letGo func()) {
	c.T.Helper()
	const message = "held back"
	rule := jobsRule
	rule.Resources = []string{"jobs", "jobs/status"}
	letGo = c.refuse(rule, admissionv1.Validation{Message: message, Expression: `object.metadata.name != "probe" && ` +
		`!(has(object.status) && has(object.status.conditions) && ` +
		`object.status.conditions.exists(c, c.type in ["SuccessCriteriaMet", "Complete"]))`}, admissionv1.Create, admissionv1.Update)
	c.waitForRefusal(message)
	return letGo
}

// endDriven runs the pod of a Job until its Job says that it is ready, and ends it.
func (c *cluster) endDriven(job string) {
	c.T.Helper()
	pod := c.RunPod(job)
	c.Eventually("Job "+job+" to have a ready pod", func(context.Context) (bool, error) {
		return ptr.Deref(c.Job(job).Status.Ready, 0) == 1, nil
	})
	c.EndPod(pod, 0, "")
}

func (c *cluster) isComplete(job string) bool {
	c.T.Helper()
	return framework.IsTrue(c.Job(job), batchv1.JobComplete)
}

// No Job is complete before the sequence is, because nobody may say so. In the end all are.
func TestStepsStartBeforeTheJobsBeforeThemAreComplete(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	letGo := c.holdBack()
	c.Create(newAdvancing("a", "b", "c", "d", "e"))
	for i := range 4 {
		c.endDriven(fmt.Sprintf("etl-%d", i))
		c.WaitForRunning("etl", i+1)
		c.WaitForPod(fmt.Sprintf("etl-%d", i+1))
	}
	for _, want := range []string{"JobCompleted: Job 3 completed successfully", "JobStarted: Started job 4"} {
		c.waitForEvent("etl", want)
	}
	c.endDriven("etl-4")
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	for i := range 5 {
		if c.isComplete(fmt.Sprintf("etl-%d", i)) {
			t.Errorf("Job %d is complete, although nobody may say so", i)
		}
	}
	letGo()
	for i, step := range sj.Status.Steps {
		if step.State != v1alpha1.StepCompleted || step.CompletionTime.Before(step.StartTime) {
			t.Errorf("step %d: %+v", i, step)
		}
	}
	c.Eventually("all Jobs to be complete", func(context.Context) (bool, error) {
		for i := range 5 {
			if !c.isComplete(fmt.Sprintf("etl-%d", i)) {
				return false, nil
			}
		}
		return true, nil
	})
	c.Jobs.WantEarly([]string{"etl-1", "etl-2", "etl-3", "etl-4"}, "etl-0", "etl-1", "etl-2", "etl-3", "etl-4")
}

// By default the next step waits for the Job.
func TestByDefaultTheNextStepWaitsForTheJob(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	letGo := c.holdBack()
	c.Create(framework.NewDrivenSequence("etl", "extract", "load"))
	c.endDriven("etl-0")
	c.Eventually("the Job controller to have seen the end", func(context.Context) (bool, error) {
		return c.podHasEnded("etl-0"), nil
	})
	c.Patch("etl", `{"metadata":{"labels":{"touched":"yes"}},"spec":{"retries":1}}`) // another turn
	c.WaitFor("etl", "it to have been looked at", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
	c.Jobs.Want("etl-0")
	letGo()
	c.WaitForRunning("etl", 1)
	if !c.isComplete("etl-0") {
		t.Error("the next step started before the Job was complete")
	}
}

func (c *cluster) podHasEnded(job string) bool {
	c.T.Helper()
	pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(c.T.Context(), metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
	framework.Must(c.T, err)
	return len(pods.Items) == 1 && pods.Items[0].Status.Phase == corev1.PodSucceeded
}

// What is not the success of the only pod at its first try is left to the Job controller.
func TestAPodThatLeavesADoubtWaitsForItsJob(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	letGo := c.holdBack()
	sj := newAdvancing("extract", "load")
	sj.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	c.Create(sj)
	pod := c.RunPod("etl-0")
	c.SetPod(pod, func(status *corev1.PodStatus) {
		status.Phase = corev1.PodSucceeded
		status.ContainerStatuses = framework.ContainerStatuses(pod, framework.Terminated(0, ""))
		status.ContainerStatuses[0].RestartCount = 1
	})
	c.Patch("etl", `{"spec":{"retries":1}}`) // another turn
	c.WaitFor("etl", "it to have been looked at", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
	c.Jobs.Want("etl-0")
	letGo()
	c.WaitForRunning("etl", 1)
	if !c.isComplete("etl-0") {
		t.Error("the next step started before the Job was complete")
	}
}

// A running step takes part in a change to JobComplete, and not in one to PodSucceeded.
func TestAdvanceOnIsChangedWhileItRuns(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	letGo := c.holdBack()
	c.Create(newAdvancing("a", "b", "c"))
	c.endDriven("etl-0")
	c.WaitForRunning("etl", 1)
	c.Patch("etl", `{"spec":{"advanceOn":"JobComplete"}}`)
	c.WaitFor("etl", "the change to be seen", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
	c.endDriven("etl-1")
	c.Patch("etl", `{"spec":{"retries":1}}`) // another turn
	c.WaitFor("etl", "it to have been looked at", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
	c.Jobs.WantEarly([]string{"etl-1"}, "etl-0", "etl-1")
	// Back again: its pod has succeeded long ago.
	c.Patch("etl", `{"spec":{"advanceOn":"PodSucceeded"}}`)
	c.WaitForRunning("etl", 2)
	letGo()
	c.endDriven("etl-2")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.WantEarly([]string{"etl-1", "etl-2"}, "etl-0", "etl-1", "etl-2")
}

func TestADeletionInMidHandOverLeavesNothing(t *testing.T) {
	for _, propagation := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground} {
		t.Run(string(propagation), func(t *testing.T) {
			c := newCluster(t)
			c.StartController()
			letGo := c.holdBack()
			sj := c.Create(newAdvancing("extract", "load"))
			c.endDriven("etl-0")
			c.WaitForRunning("etl", 1)
			c.WaitForPod("etl-1")
			c.Delete("etl", propagation)
			letGo()
			c.WaitUntilGone(sj)
			c.Eventually("Jobs and pods to be gone", func(ctx context.Context) (bool, error) {
				pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{})
				return err == nil && len(pods.Items) == 0, err
			})
			c.wantNothingLeft()
			c.Jobs.WantEarly([]string{"etl-1"}, "etl-0", "etl-1")
		})
	}
}

// A Job that a queue has suspended, and may suspend again, is waited for.
func TestAQueuedStepIsWaitedFor(t *testing.T) {
	c := newCluster(t)
	c.suspendQueued()
	c.StartController()
	sj := newAdvancing("prepare", "train")
	sj.Spec.Template.Labels = map[string]string{queueLabel: "team-a"}
	c.Create(sj)
	c.mustBeQueued("etl-0", "team-a")
	c.admit("etl-0", "linux")
	c.endDriven("etl-0")
	c.mustBeQueued("etl-1", "team-a")
	if !c.isComplete("etl-0") {
		t.Error("the next step started before the Job was complete, which its queue may evict")
	}
	c.admit("etl-1", "linux")
	c.endDriven("etl-1")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1")
}
