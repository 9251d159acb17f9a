//go:build integration

package integration_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const freeze = "change freeze until 6 am"

// freezes are the ways in which Jobs are refused for a while. The reason that a policy gives unless it names another is
// Invalid, as if the spec were.
var freezes = map[string]func(*cluster) (lift func()){
	"policy": func(c *cluster) func() {
		return c.refuseJobs(admissionv1.Validation{Expression: "false", Message: freeze})
	},
	"webhook, 422 Invalid": func(c *cluster) func() {
		return c.refuseJobsByWebhook(metav1.Status{Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: freeze})
	},
	"webhook, 422": func(c *cluster) func() {
		return c.refuseJobsByWebhook(metav1.Status{Code: http.StatusUnprocessableEntity, Message: freeze})
	},
	"webhook, 404 NotFound": func(c *cluster) func() {
		return c.refuseJobsByWebhook(metav1.Status{Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: freeze})
	},
	"webhook, 404": func(c *cluster) func() {
		return c.refuseJobsByWebhook(metav1.Status{Code: http.StatusNotFound, Message: freeze})
	},
}

// Who refuses a Job by a policy or a webhook may allow it later: a spec that was valid is no more invalid than under a quota.
func TestWhatAnAdmissionRefusesWhileItRunsIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, begin := range freezes {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.StartController()
			c.Create(framework.NewSequence("etl", "extract", "load"))
			c.WaitForRunning("etl", 0)
			lift := begin(c)
			c.EndJob("etl-0", batchv1.JobComplete, "")
			sj := c.waitForMessage("etl", v1alpha1.ReasonJobCreateFailed, freeze)
			if sj.Status.Phase != v1alpha1.SequentialJobRunning || sj.Status.State.Succeeded != 1 {
				t.Errorf("phase %s, state %+v", sj.Status.Phase, sj.Status.State)
			}
			lift()
			c.WaitForRunning("etl", 1)
			c.EndJob("etl-1", batchv1.JobComplete, "")
			c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
			c.Jobs.Want("etl-0", "etl-1")
			c.Eventually("one warning", func(context.Context) (bool, error) { return len(c.warnings("etl")) == 1, nil })
		})
	}
}

// A webhook that does not find something does not say that the namespace is gone.
func TestAWebhookThatAnswers404ToTheFirstJobIsTold(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	lift := c.refuseJobsByWebhook(metav1.Status{Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: "no such team"})
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.waitForMessage("etl", v1alpha1.ReasonJobCreateFailed, "no such team")
	lift()
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1")
}

// As long as the Job is suspended the sequence is, whatever the spec says, and its clock stands still.
func TestASequenceWhoseResumeIsRefusedStaysSuspended(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract"))
	c.WaitForRunning("etl", 0)
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
	const message = "nothing is resumed at night"
	lift := c.refuse(jobsRule, admissionv1.Validation{Expression: "object.spec.suspend || !oldObject.spec.suspend", Message: message}, admissionv1.Update)
	c.Eventually("the policy to be in force", func(ctx context.Context) (bool, error) {
		_, err := c.Kube.BatchV1().Jobs(c.Namespace).Patch(ctx, "etl-0", types.MergePatchType, []byte(`{"spec":{"suspend":false}}`),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), message), nil
	})
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	sj := c.waitForMessageAnyhow("etl", message)
	if reason := progressingReason(sj); reason != v1alpha1.ReasonJobUpdateFailed {
		t.Errorf("reason %s, want %s", reason, v1alpha1.ReasonJobUpdateFailed)
	}
	if sj.Status.Phase != v1alpha1.SequentialJobSuspended || sj.Status.ActiveSince != nil {
		t.Errorf("phase %s, active since %v, while the Job is suspended", sj.Status.Phase, sj.Status.ActiveSince)
	}
	lift()
	c.WaitForPhase("etl", v1alpha1.SequentialJobRunning)
	c.waitForEvent("etl", "Resumed: Job 0 (extract) is no longer suspended")
	c.waitForMessage("etl", v1alpha1.ReasonJobStarted, "Started job 0")
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
}

// waitForMessageAnyhow waits until Progressing has a message with that text, whatever its reason.
func (c *cluster) waitForMessageAnyhow(name, text string) *v1alpha1.SequentialJob {
	c.T.Helper()
	return c.WaitFor(name, "a message with "+text, func(sj *v1alpha1.SequentialJob) bool {
		return strings.Contains(progressingMessage(sj), text)
	})
}
