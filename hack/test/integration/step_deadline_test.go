//go:build integration

package integration_test

import (
	"context"
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// An attempt that takes too long is stopped by the Job controller and retried, with as much time as the first one had.
func TestAnAttemptThatTakesTooLongIsRetried(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	sj := framework.NewDrivenSequence("etl", "extract", "load")
	sj.Spec.Retries = new(int32(1))
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "extract", ActiveDeadlineSeconds: new(int64(1))}}
	c.Create(sj)
	c.RunPod("etl-0")
	c.RunPod("etl-0-r1")
	c.wantDeadline("etl-0", 1)
	c.wantDeadline("etl-0-r1", 1)
	failed := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.wantEnd(failed, v1alpha1.ReasonStepDeadlineExceeded)
	const want = "StepDeadlineExceeded: the attempt was active for longer than its activeDeadlineSeconds (1)"
	if step := failed.Status.Steps[0]; !strings.HasPrefix(step.Message, want) || step.JobName != "etl-0-r1" || failed.Status.Progress.Retries != 1 {
		t.Errorf("step %+v, progress %+v", step, failed.Status.Progress)
	}
	c.waitForEvent("etl", "Retrying: Retrying job 0 (extract), retry 1 of 1")

	// More time and one more retry, and it goes on; the other step has no limit.
	c.Patch("etl", `{"spec":{"retries":2,"stepOverrides":[{"name":"extract","activeDeadlineSeconds":3600}]}}`)
	c.EndPod(c.RunPod("etl-0-r2"), 0, "")
	c.wantDeadline("etl-0-r2", 3600)
	c.EndPod(c.RunPod("etl-1"), 0, "")
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
	if got := c.Job("etl-1").Spec.ActiveDeadlineSeconds; got != nil {
		t.Errorf("etl-1 has activeDeadlineSeconds %d, want none", *got)
	}
	c.Jobs.Want("etl-0", "etl-0-r1", "etl-0-r2", "etl-1")
}

// Of the deadlines of an attempt and of the sequence the lower one holds, and which one it was is told.
func TestOfAStepsAndASequencesDeadlineTheLowerOneHolds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		step, sequence int64
		reason, jobs   string
	}{
		"the step's":     {step: 1, sequence: 3600, reason: v1alpha1.ReasonStepDeadlineExceeded, jobs: "etl-0 etl-0-r1"},
		"the sequence's": {step: 3600, sequence: 1, reason: v1alpha1.ReasonDeadlineExceeded, jobs: "etl-0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.StartController()
			sj := framework.NewDrivenSequence("etl", "extract")
			sj.Spec.Retries, sj.Spec.ActiveDeadlineSeconds = new(int32(1)), &tc.sequence
			sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "extract", ActiveDeadlineSeconds: &tc.step}}
			c.Create(sj)
			c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobFailed), tc.reason)
			c.wantDeadline("etl-0", 1)
			c.Jobs.Want(strings.Fields(tc.jobs)...)
		})
	}
}

// A deadline of an attempt that is set, raised, lowered and taken off reaches the Job that runs.
func TestAChangeOfAStepsDeadlineReachesTheRunningJob(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	c.Create(framework.NewDrivenSequence("etl", "extract", "load"))
	c.WaitForJob("etl", "etl-0")
	c.RunPod("etl-0")
	for _, tc := range []struct {
		patch string
		want  int64
	}{
		{`{"spec":{"stepOverrides":[{"name":"extract","activeDeadlineSeconds":7000}]}}`, 7000},
		{`{"spec":{"stepOverrides":[{"name":"extract","activeDeadlineSeconds":8000}]}}`, 8000},
		{`{"spec":{"stepOverrides":null}}`, -1},
		{`{"spec":{"stepOverrides":[{"name":"extract","activeDeadlineSeconds":6000},{"name":"load","activeDeadlineSeconds":1}]}}`, 6000},
	} {
		c.Patch("etl", tc.patch)
		c.Eventually("the deadline to be changed by "+tc.patch, func(context.Context) (bool, error) {
			return ptr.Deref(c.Job("etl-0").Spec.ActiveDeadlineSeconds, -1) == tc.want, nil
		})
	}
	c.Patch("etl", `{"spec":{"stepOverrides":[{"name":"extract","activeDeadlineSeconds":1}]}}`)
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobFailed), v1alpha1.ReasonStepDeadlineExceeded)
	c.Jobs.Want("etl-0")
}

// An attempt that is suspended has all its time when it goes on, as the Job controller counts from zero then.
func TestAStepsDeadlineCountsAnewAfterASuspension(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	sj := framework.NewDrivenSequence("etl", "extract")
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "extract", ActiveDeadlineSeconds: new(int64(3600))}}
	c.Create(sj)
	c.WaitForJob("etl", "etl-0")
	c.RunPod("etl-0")
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "by spec.suspend")
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.EndPod(c.RunPod("etl-0"), 0, "")
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
	c.wantDeadline("etl-0", 3600)
}
