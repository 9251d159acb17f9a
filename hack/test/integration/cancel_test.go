//go:build integration

package integration_test

import (
	"context"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// wantCancelled waits until a sequence has ended by spec.cancel, and checks that it says so with that text and lets the object go.
func (c *cluster) wantCancelled(text string) {
	c.T.Helper()
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.wantEnd(sj, v1alpha1.ReasonCancelled)
	if message := progressingMessage(sj); !strings.Contains(message, text) {
		c.T.Errorf("message %q, want %q", message, text)
	}
	c.WaitFor("etl", "the finalizer to go", func(sj *v1alpha1.SequentialJob) bool { return len(sj.Finalizers) == 0 })
}

// wantNoPodSince checks that no pod of a Job has run since it was suspended: the Job controller counts each that a deadline ends.
func (c *cluster) wantNoPodSince(job string) {
	c.T.Helper()
	if status := c.Job(job).Status; status.Failed != 0 || status.Succeeded != 0 || status.Active != 0 {
		c.T.Errorf("Job %s has had a pod: %+v", job, status)
	}
	c.wantNoPodRuns()
}

// A step that runs is stopped. The Job stays, and so does everything that is known of it.
func TestCancelStopsTheRunningStep(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	before := finishedSequences(t, "cancelled")
	sj := framework.NewDrivenSequence("etl", "extract", "load")
	sj.Spec.Retries = new(int32(3))
	c.Create(sj)
	c.WaitForJob("etl", "etl-0")
	c.RunPod("etl-0")
	c.Patch("etl", cancel)
	c.wantCancelled("Cancelled by spec.cancel: Job 0 (extract) was stopped")
	ended := c.Get("etl")
	if s := ended.Status; s.State.Failed != 1 || *s.Progress.FailedIndex != 0 || s.Progress.Retries != 0 || s.Steps[0].State != v1alpha1.StepFailed || s.Result != nil {
		t.Errorf("status %+v", s)
	}
	c.waitForEvent("etl", "Cancelled: Cancelled by spec.cancel: Job 0 (extract) was stopped")
	if job := c.Job("etl-0"); !framework.IsTrue(job, batchv1.JobFailed) {
		t.Errorf("Job etl-0 has not failed: %+v", job.Status)
	}
	c.wantNoPodRuns()
	if warnings := c.warnings("etl"); len(warnings) > 0 {
		t.Errorf("warnings %v about what was asked for", warnings)
	}
	if after := finishedSequences(t, "cancelled"); after <= before {
		t.Errorf("sequences_finished_total of cancelled ones: %v before, %v after", before, after)
	}

	// Nothing takes it back: not the API server, and not a retry.
	_, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Patch(t.Context(), "etl", "application/merge-patch+json",
		[]byte(`{"spec":{"cancel":false}}`), metav1.PatchOptions{})
	if err == nil || !strings.Contains(err.Error(), "cannot be taken back") {
		t.Errorf("spec.cancel was taken back: %v", err)
	}
	for _, edit := range []string{`{"spec":{"retries":9}}`, `{"spec":{"containers":[{"name":"extract","image":"b"},{"name":"load","image":"b"}]}}`} {
		edited := c.Patch("etl", edit)
		now := c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == edited.Generation })
		if now.Status.Phase != v1alpha1.SequentialJobFailed || !now.Status.CompletionTime.Equal(ended.Status.CompletionTime) {
			t.Errorf("after %s: phase %s, completed at %s", edit, now.Status.Phase, now.Status.CompletionTime)
		}
	}
	c.Jobs.Want("etl-0")
}

// finishedSequences returns how many sequences of this process, of all tests, have ended with that result.
func finishedSequences(t *testing.T, result string) (total float64) {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	framework.Must(t, err)
	for _, family := range families {
		if family.GetName() != "sequentialjob_sequences_finished_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "result" && label.GetValue() == result {
					total += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return total
}

// Whatever holds the sequence up, it ends, and no pod runs for that.
func TestCancelEndsASequenceThatIsHeldUp(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(*cluster){
		"by spec.suspend": func(c *cluster) {
			c.Patch("etl", `{"spec":{"suspend":true}}`)
			c.waitForMessage("etl", v1alpha1.ReasonSuspended, "by spec.suspend")
		},
		"by somebody who has suspended the Job": func(c *cluster) {
			c.suspendJob("etl-0", "true")
			c.waitForMessage("etl", v1alpha1.ReasonSuspended, "not by spec.suspend")
		},
		"by both": func(c *cluster) {
			c.suspendJob("etl-0", "true")
			c.waitForMessage("etl", v1alpha1.ReasonSuspended, "not by spec.suspend")
			c.Patch("etl", `{"spec":{"suspend":true}}`)
			c.waitForMessage("etl", v1alpha1.ReasonSuspended, "by spec.suspend")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.StartController()
			c.Create(framework.NewDrivenSequence("etl", "extract", "load"))
			c.WaitForJob("etl", "etl-0")
			c.RunPod("etl-0")
			hold(c)
			c.Eventually("the pod to be stopped", func(context.Context) (bool, error) { return c.Job("etl-0").Status.Active == 0, nil })
			c.Patch("etl", cancel)
			c.wantCancelled("Job 0 (extract) was stopped")
			c.wantNoPodSince("etl-0")
			c.Jobs.Want("etl-0")
		})
	}
}

// Between two steps there is nothing to stop.
func TestCancelEndsASequenceBetweenTwoSteps(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set   func(*v1alpha1.SequentialJobSpec)
		begin func(*cluster) (end func())
		wait  func(*cluster)
	}{
		"before a step that waits for approval": {
			set: func(spec *v1alpha1.SequentialJobSpec) {
				spec.StepOverrides = []v1alpha1.StepOverride{{Name: "load", Suspend: new(true)}}
			},
			wait: func(c *cluster) {
				c.waitForMessage("etl", v1alpha1.ReasonSuspended, "Job 1 (load) waits for approval")
			},
		},
		"while no Job may be created": {
			begin: func(c *cluster) func() {
				return c.refuseJobs(admissionv1.Validation{Expression: "false", Message: freeze})
			},
			wait: func(c *cluster) { c.waitForMessage("etl", v1alpha1.ReasonJobCreateFailed, freeze) },
		},
		"suspended": {
			begin: func(c *cluster) func() { c.Patch("etl", `{"spec":{"suspend":true}}`); return func() {} },
			wait:  func(c *cluster) { c.waitForMessage("etl", v1alpha1.ReasonSuspended, "before job 1 (load)") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			stop := c.StartController()
			sj := framework.NewSequence("etl", "extract", "load")
			if tc.set != nil {
				tc.set(&sj.Spec)
			}
			c.Create(sj)
			c.WaitForJob("etl", "etl-0")
			stop() // a Job that ends is not seen beside what comes with it
			if tc.begin != nil {
				tc.begin(c)
			}
			c.EndJob("etl-0", batchv1.JobComplete, "")
			c.StartController()
			tc.wait(c)
			c.Patch("etl", cancel)
			c.wantCancelled("Cancelled by spec.cancel before job 1 (load)")
			if s := c.Get("etl").Status; s.State.Succeeded != 1 || s.State.Failed != 0 || s.Progress.Completions != "1/2" {
				t.Errorf("status %+v", s)
			}
			c.Jobs.Want("etl-0")
		})
	}
}
