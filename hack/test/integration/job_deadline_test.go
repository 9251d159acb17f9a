//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// A platform gives each Job a deadline, and allows none without. The sequence says nothing of deadlines.
func TestADeadlineThatAPolicySetIsLeftAlone(t *testing.T) {
	c := newCluster(t)
	const message = "every Job needs a deadline"
	lift := c.refuse(jobsRule, admissionv1.Validation{Expression: "has(object.spec.activeDeadlineSeconds)", Message: message},
		admissionv1.Create, admissionv1.Update)
	c.waitForRefusal(message)
	c.MutateJobs("Object{spec: Object.spec{activeDeadlineSeconds: 3600}}", hasDeadline)
	c.StartController()
	c.Create(framework.NewDrivenSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	c.RunPod("etl-0")
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.WaitForPhase("etl", v1alpha1.SequentialJobRunning)
	c.Eventually("the Job to be resumed", func(context.Context) (bool, error) { return !*c.Job("etl-0").Spec.Suspend, nil })
	c.wantDeadline("etl-0", 3600)

	// Nor is it taken off where nothing refuses that.
	lift()
	c.EndPod(c.RunPod("etl-0"), 0, "")
	c.WaitForRunning("etl", 1)
	c.RunPod("etl-1")
	c.Patch("etl", `{"spec":{"ttlSecondsAfterFinished":3600}}`)
	c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == sj.Generation })
	c.EndPod(c.RunPod("etl-1"), 0, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.wantDeadline("etl-0", 3600)
	c.wantDeadline("etl-1", 3600)
	if warnings := c.warnings("etl"); len(warnings) > 0 {
		t.Errorf("warnings %v, want none", warnings)
	}
}

func hasDeadline(job *batchv1.Job) bool { return job.Spec.ActiveDeadlineSeconds != nil }

func (c *cluster) wantDeadline(job string, want int64) {
	c.T.Helper()
	if got := c.Job(job).Spec.ActiveDeadlineSeconds; got == nil || *got != want {
		c.T.Errorf("Job %s has activeDeadlineSeconds %v, want %d", job, got, want)
	}
}

// Where the sequence has a deadline, too, the lower one holds.
func TestOfTwoDeadlinesTheLowerOneHolds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ policy, sequence, least, most int64 }{
		"the policy's":   {policy: 600, sequence: 3600, least: 600, most: 600},
		"the sequence's": {policy: 3600, sequence: 600, least: 1, most: 600},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.MutateJobs(fmt.Sprintf("Object{spec: Object.spec{activeDeadlineSeconds: %d}}", tc.policy), hasDeadline)
			c.StartController()
			sj := framework.NewDrivenSequence("etl", "extract")
			sj.Spec.ActiveDeadlineSeconds = &tc.sequence
			c.Create(sj)
			c.WaitForRunning("etl", 0)
			c.RunPod("etl-0")
			c.Eventually("the lower deadline", func(context.Context) (bool, error) {
				got := c.Job("etl-0").Spec.ActiveDeadlineSeconds
				return got != nil && *got >= tc.least && *got <= tc.most, nil
			})
			c.EndPod(c.RunPod("etl-0"), 0, "")
			c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
			if got := *c.Job("etl-0").Spec.ActiveDeadlineSeconds; got < tc.least || got > tc.most {
				t.Errorf("activeDeadlineSeconds %d at the end, want %d to %d", got, tc.least, tc.most)
			}
		})
	}
}

// A Job that somebody else's deadline has ended says so and counts like any failure: a retry may help.
func TestAStepThatSomebodyElsesDeadlineEndedIsRetried(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]*int64{"the sequence has none": nil, "the sequence has a higher one": new(int64(3600))} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.MutateJobs("Object{spec: Object.spec{activeDeadlineSeconds: 1}}", hasDeadline)
			c.StartController()
			sj := framework.NewDrivenSequence("etl", "extract", "load")
			sj.Spec.Retries, sj.Spec.ActiveDeadlineSeconds = new(int32(1)), own
			c.Create(sj)
			sj = c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
			step := sj.Status.Steps[0]
			if step.JobName != "etl-0-r1" || sj.Status.Progress.Retries != 1 {
				t.Errorf("it was not retried: step %+v, progress %+v", step, sj.Status.Progress)
			}
			if !strings.Contains(step.Message, "activeDeadlineSeconds") || strings.Contains(step.Message, "the sequence was active for longer") {
				t.Errorf("message %q does not tell whose deadline it was: the Job's, not the sequence's", step.Message)
			}
		})
	}
}
