//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	admissionreview "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const queueLabel = "kueue.x-k8s.io/queue-name"

// suspendQueued makes the API server suspend each Job with a queue's label when it is created, by a webhook as Kueue has one.
func (c *cluster) suspendQueued() {
	c.T.Helper()
	webhook := c.serveWebhook(func(*admissionreview.AdmissionRequest) *admissionreview.AdmissionResponse {
		patchType := admissionreview.PatchTypeJSONPatch
		return &admissionreview.AdmissionResponse{Allowed: true, PatchType: &patchType,
			Patch: []byte(`[{"op": "add", "path": "/spec/suspend", "value": true}]`)}
	})
	none := admissionv1.SideEffectClassNone
	configurations := c.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := configurations.Create(c.T.Context(), &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: c.Namespace},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: "mjob.kb.io", SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			ClientConfig:      webhook,
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: c.Namespace}},
			ObjectSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: queueLabel, Operator: metav1.LabelSelectorOpExists},
			}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}},
			}},
		}},
	}, metav1.CreateOptions{})
	framework.Must(c.T, err)
	c.T.Cleanup(func() {
		framework.Must(c.T, configurations.Delete(context.Background(), c.Namespace, metav1.DeleteOptions{}))
	})
	probe := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "probe", Labels: map[string]string{queueLabel: "q"}}}
	probe.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	c.Eventually("the webhook to be called", func(ctx context.Context) (bool, error) {
		job, err := c.Kube.BatchV1().Jobs(c.Namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && job.Spec.Suspend != nil && *job.Spec.Suspend, nil
	})
}

// admit lets a Job run as Kueue does: on nodes of a kind that it chose.
func (c *cluster) admit(job, system string) {
	c.T.Helper()
	c.patchJob(job, fmt.Sprintf(`{"spec":{"suspend":false,"template":{"metadata":{"annotations":{"kueue.x-k8s.io/workload":"w"}},
		"spec":{"nodeSelector":{"kubernetes.io/os":%q}}}}}`, system))
}

// evict takes back what admit gave.
func (c *cluster) evict(job string) {
	c.T.Helper()
	c.patchJob(job, `{"spec":{"suspend":true}}`)
	c.Eventually("the Job controller to have stopped it", func(ctx context.Context) (bool, error) {
		got, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(ctx, job, metav1.GetOptions{})
		return err == nil && got.Status.Active == 0, err
	})
	// Older Job controllers leave the start time, with which the template cannot be restored; Kueue takes it away.
	c.patchJob(job, `{"status":{"startTime":null}}`, "status")
	c.patchJob(job, `{"spec":{"template":{"metadata":{"annotations":{"kueue.x-k8s.io/workload":null}},"spec":{"nodeSelector":null}}}}`)
}

func (c *cluster) patchJob(job, patch string, subresource ...string) {
	c.T.Helper()
	_, err := c.Kube.BatchV1().Jobs(c.Namespace).Patch(c.T.Context(), job, types.StrategicMergePatchType, []byte(patch),
		metav1.PatchOptions{}, subresource...)
	framework.Must(c.T, err)
}

// mustBeQueued waits until the running step of etl, or of its spec.finally, is the one with this Job, and waits in a queue. It looks
// for the Job in the same status as for the message: what was said of the step before it may be there for a moment longer.
func (c *cluster) mustBeQueued(job, queue string) {
	c.T.Helper()
	sj := c.WaitFor("etl", job+" to wait in queue "+queue, func(sj *v1alpha1.SequentialJob) bool {
		isRunning := slices.ContainsFunc(slices.Concat(sj.Status.Steps, sj.Status.Finally), func(step v1alpha1.StepStatus) bool {
			return step.JobName == job && step.State == v1alpha1.StepRunning
		})
		return isRunning && progressingReason(sj) == v1alpha1.ReasonSuspended &&
			strings.HasSuffix(progressingMessage(sj), fmt.Sprintf("is suspended: it waits in queue %q", queue))
	})
	if sj.Status.Phase != v1alpha1.SequentialJobSuspended {
		c.T.Errorf("phase %s, want Suspended", sj.Status.Phase)
	}
	if !*c.Job(job).Spec.Suspend {
		c.T.Errorf("Job %s was resumed behind the queue's back", job)
	}
}

// Each step waits in the queue for itself, and runs when it is admitted. Nothing that happens to the sequence lets a step pass by.
func TestEachStepWaitsInItsQueue(t *testing.T) {
	c := newCluster(t)
	c.suspendQueued()
	c.StartController()
	sj := framework.NewSequence("etl", "prepare", "train")
	sj.Spec.Template.Labels = map[string]string{queueLabel: "team-a"}
	c.Create(sj)
	c.mustBeQueued("etl-0", "team-a")
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "suspended by spec.suspend")
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.mustBeQueued("etl-0", "team-a")
	c.admit("etl-0", "linux")

	c.mustBeQueued("etl-1", "team-a")
	c.Jobs.Want("etl-0", "etl-1")
	c.admit("etl-1", "none") // there are no nodes of that kind: it waits for one
	c.waitForMessage("etl", v1alpha1.ReasonJobStarted, "Started job 1")
	// What the queue lets run is the queue's to stop: it would resume it at once.
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.waitForMessage("etl", v1alpha1.ReasonJobStarted, "Job 1 (train) goes on, because only its queue can stop it")
	if *c.Job("etl-1").Spec.Suspend {
		t.Error("a step that the queue has admitted was suspended")
	}
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.evict("etl-1")
	c.mustBeQueued("etl-1", "team-a")
	c.admit("etl-1", "linux")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1")
	if retries := c.Get("etl").Status.Progress.Retries; retries != 0 {
		t.Errorf("an eviction counted as %d retries", retries)
	}
}
