//go:build integration

package integration_test

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func progressingReason(sj *v1alpha1.SequentialJob) string {
	if c := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing); c != nil {
		return c.Reason
	}
	return ""
}

func progressingMessage(sj *v1alpha1.SequentialJob) string {
	if c := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing); c != nil {
		return c.Message
	}
	return ""
}

// waitForReason waits until Progressing has that reason.
func (c *cluster) waitForReason(name, reason string) *v1alpha1.SequentialJob {
	c.T.Helper()
	return c.WaitFor(name, "reason "+reason, func(sj *v1alpha1.SequentialJob) bool { return progressingReason(sj) == reason })
}

func TestAJobOfSomebodyElseIsNeverTouched(t *testing.T) {
	c := newByHandCluster(t)
	foreign := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "etl-1"}}
	foreign.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	foreign, err := c.Kube.BatchV1().Jobs(c.Namespace).Create(t.Context(), foreign, metav1.CreateOptions{})
	framework.Must(t, err)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	c.EndJob("etl-0", batchv1.JobComplete, "")
	sj := c.waitForReason("etl", v1alpha1.ReasonJobNameConflict)
	message := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing).Message
	if !strings.Contains(message, "etl-1") || len(sj.Status.Steps) != 1 || sj.Status.State.Succeeded != 1 {
		t.Errorf("message %q, status %+v", message, sj.Status)
	}
	c.waitForEvent("etl", "JobNameConflict: "+message)
	if now := c.Job("etl-1"); now.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("the foreign Job was written to: %+v", now)
	}
	framework.Must(t, c.Kube.BatchV1().Jobs(c.Namespace).Delete(t.Context(), "etl-1", metav1.DeleteOptions{}))
	if job := c.WaitForRunning("etl", 1); job.UID == foreign.UID {
		t.Error("the foreign Job was adopted")
	}
	c.EndJob("etl-1", batchv1.JobComplete, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
}

func TestDeletingACompletedStepsJobChangesNothing(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 1)
	c.deleteJob("etl-0")
	c.EndJob("etl-1", batchv1.JobComplete, "")
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.deleteJob("etl-1")
	// A sequence that comes after it shows that the controller had time to see the deletion.
	c.Create(framework.NewSequence("barrier", "only"))
	c.WaitForRunning("barrier", 0)
	if now := c.Get("etl"); now.Status.Phase != v1alpha1.SequentialJobCompleted || now.Status.State.Succeeded != 2 ||
		!now.Status.CompletionTime.Equal(sj.Status.CompletionTime) {
		t.Errorf("status %+v", now.Status)
	}
	c.Jobs.Want("etl-0", "etl-1", "barrier-0")
}

func (c *cluster) deleteJob(name string) {
	c.T.Helper()
	background := metav1.DeletePropagationBackground
	framework.Must(c.T, c.Kube.BatchV1().Jobs(c.Namespace).Delete(c.T.Context(), name, metav1.DeleteOptions{PropagationPolicy: &background}))
}

func TestDeletingARunningStepsJobFailsTheSequence(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	c.deleteJob("etl-0")
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	if sj.Status.Progress.FailureReason != v1alpha1.ReasonJobDeleted {
		t.Errorf("progress %+v", sj.Status.Progress)
	}
	c.waitForEvent("etl", "JobFailed: Job 0 (extract) failed: JobDeleted: Job etl-0 was deleted before it was seen to end")
	c.Jobs.Want("etl-0")
}

func TestAnInvalidStepIsRefusedBeforeTheFirstOneRuns(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	sj := framework.NewSequence("etl", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8")
	// No schema can compare two quantities, one of which a user may leave out.
	sj.Spec.Containers[7].Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
	}
	c.Create(sj)
	sj = c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	message := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionFailed).Message
	if sj.Status.Progress.FailureReason != v1alpha1.ReasonInvalidSpec || *sj.Status.Progress.FailedIndex != 7 ||
		!strings.Contains(message, "spec.containers[7].resources.requests") || strings.Contains(message, "spec.template.spec.containers") {
		t.Errorf("message %q, progress %+v", message, sj.Status.Progress)
	}
	c.Jobs.Want()
}

func TestStepsMayUseTheSameHostPort(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	c.StartController()
	sj := framework.NewSequence("etl", "extract", "load")
	for i := range sj.Spec.Containers {
		sj.Spec.Containers[i].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, HostPort: 8080}}
	}
	c.Create(sj)
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1")
}

func TestAQuotaHoldsASequenceUpVisibly(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	const countJobs = corev1.ResourceName("count/jobs.batch")
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "few-jobs"},
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{countJobs: resource.MustParse("1")}}}
	_, err := c.Kube.CoreV1().ResourceQuotas(c.Namespace).Create(t.Context(), quota, metav1.CreateOptions{})
	framework.Must(t, err)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	sj := c.waitForReason("etl", v1alpha1.ReasonJobCreateFailed)
	message := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing).Message
	if !strings.Contains(message, "exceeded quota: few-jobs") || sj.Status.Phase == v1alpha1.SequentialJobFailed {
		t.Errorf("phase %s, message %q", sj.Status.Phase, message)
	}
	_, err = c.Kube.CoreV1().ResourceQuotas(c.Namespace).Patch(t.Context(), "few-jobs", types.MergePatchType,
		[]byte(`{"spec":{"hard":{"count/jobs.batch":"2"}}}`), metav1.PatchOptions{})
	framework.Must(t, err)
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1")
}

func TestAJobThatSomebodySuspendedIsShownAndLeftAlone(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	c.Create(framework.NewStuckSequence("etl", "extract"))
	c.WaitForRunning("etl", 0)
	c.suspendJob("etl-0", "true")
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
	if progressingReason(sj) != v1alpha1.ReasonSuspended || sj.Status.State.Active != 1 {
		t.Errorf("status %+v", sj.Status)
	}
	if job := c.Job("etl-0"); job.Spec.Suspend == nil || !*job.Spec.Suspend {
		t.Error("the suspension was undone")
	}
	c.waitForEvent("etl", "Suspended: Job 0 (extract) is suspended, and not by spec.suspend")
	c.suspendJob("etl-0", "false")
	c.WaitForPhase("etl", v1alpha1.SequentialJobRunning)
	c.waitForEvent("etl", "Resumed: Job 0 (extract) is no longer suspended")
}

func (c *cluster) suspendJob(name, suspend string) {
	c.T.Helper()
	_, err := c.Kube.BatchV1().Jobs(c.Namespace).Patch(c.T.Context(), name, types.MergePatchType,
		[]byte(`{"spec":{"suspend":`+suspend+`}}`), metav1.PatchOptions{})
	framework.Must(c.T, err)
}
