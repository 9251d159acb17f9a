//go:build integration

package integration_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// newGated returns a sequence of three steps whose second one waits for approval.
func newGated(closed bool) *v1alpha1.SequentialJob {
	sj := framework.NewSequence("etl", "plan", "deploy", "report")
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "deploy", Suspend: &closed}}
	return sj
}

// setGate gives or takes the approval as README.md says.
func (c *cluster) setGate(closed string) *v1alpha1.SequentialJob {
	c.T.Helper()
	sj, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Patch(c.T.Context(), "etl", types.JSONPatchType,
		[]byte(`[{"op":"replace","path":"/spec/stepOverrides/0/suspend","value":`+closed+`}]`), metav1.PatchOptions{})
	framework.Must(c.T, err)
	return sj
}

// A step waits until it is approved: it says so, and that time does not count.
func TestAStepWaitsForApproval(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	sj := newGated(true)
	sj.Spec.ActiveDeadlineSeconds = new(int64(3600))
	c.Create(sj)
	c.EndJob(c.WaitForJob("etl", "etl-0").Name, batchv1.JobComplete, "")
	const want = "Job 1 (deploy) waits for approval: set stepOverrides[deploy].suspend to false"
	waiting := c.waitForMessage("etl", v1alpha1.ReasonSuspended, want)
	if s := waiting.Status; s.Phase != v1alpha1.SequentialJobSuspended || s.ActiveSince != nil || s.State.Succeeded != 1 || s.Progress.CurrentStep != "deploy" {
		t.Errorf("status %+v", s)
	}
	c.waitForEvent("etl", "Suspended: "+want)
	since := meta.FindStatusCondition(waiting.Status.Conditions, v1alpha1.ConditionProgressing).LastTransitionTime
	c.waitUntil(since.Add(3 * time.Second)) // which would count: times are stored in whole seconds
	c.Jobs.Want("etl-0")
	c.setGate("false")
	c.WaitForJob("etl", "etl-1")
	running := c.Get("etl")
	if s := running.Status; s.Phase != v1alpha1.SequentialJobRunning || s.ActiveSeconds != waiting.Status.ActiveSeconds {
		t.Errorf("phase %s; active for %d s, and while it waited for %d s", s.Phase, s.ActiveSeconds, waiting.Status.ActiveSeconds)
	}
	c.waitForEvent("etl", "Resumed: No longer suspended")

	// A gate that is closed behind the step that runs has no effect on it.
	edited := c.setGate("true")
	c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == edited.Generation })
	if job := c.Job("etl-1"); job.Spec.Suspend != nil && *job.Spec.Suspend {
		t.Error("the running step was suspended")
	}
	c.EndJob("etl-1", batchv1.JobComplete, "")
	c.EndJob(c.WaitForJob("etl", "etl-2").Name, batchv1.JobComplete, "")
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
	c.Jobs.Want("etl-0", "etl-1", "etl-2")
}

// An approval may be given, and taken back, while the step before runs; then nothing waits, or what was approved does.
func TestAnApprovalMayBeGivenAndTakenBackInAdvance(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(newGated(true))
	c.WaitForJob("etl", "etl-0")
	for _, closed := range []string{"false", "true"} {
		edited := c.setGate(closed)
		now := c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == edited.Generation })
		if now.Status.Phase != v1alpha1.SequentialJobRunning {
			t.Errorf("phase %s while step 0 runs", now.Status.Phase)
		}
	}
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "Job 1 (deploy) waits for approval")
	// Without an override there is no gate.
	c.Patch("etl", `{"spec":{"stepOverrides":null}}`)
	c.EndJob(c.WaitForJob("etl", "etl-1").Name, batchv1.JobComplete, "")
	c.EndJob(c.WaitForJob("etl", "etl-2").Name, batchv1.JobComplete, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1", "etl-2")
}

// spec.suspend and a gate hold each for itself; the first of spec.finally may have a gate, too, and so may a retry.
func TestOneGateOpensNoOther(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	sj := framework.WithFinally(newGated(true), "notify")
	sj.Spec.StepOverrides = append(sj.Spec.StepOverrides, v1alpha1.StepOverride{Name: "notify", Suspend: new(true)})
	sj.Spec.Suspend, sj.Spec.Retries = new(true), new(int32(1))
	c.Create(sj)
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "Suspended by spec.suspend before job 0 (plan)")
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.EndJob(c.WaitForJob("etl", "etl-0").Name, batchv1.JobComplete, "")
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "Job 1 (deploy) waits for approval")
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "Suspended by spec.suspend before job 1 (deploy)")
	c.setGate("false")
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.WaitForJob("etl", "etl-1")
	c.setGate("true")
	c.EndJob("etl-1", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "Job 1 (deploy) waits for approval")
	c.setGate("false")
	c.EndJob(c.WaitForJob("etl", "etl-1-r1").Name, batchv1.JobComplete, "")
	c.EndJob(c.WaitForJob("etl", "etl-2").Name, batchv1.JobComplete, "")
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "Finally job 0 (notify) waits for approval")
	if s := c.Get("etl").Status; s.Phase != v1alpha1.SequentialJobSuspended || s.Result == nil {
		t.Errorf("phase %s, result %+v", s.Phase, s.Result)
	}
	c.Patch("etl", `{"spec":{"stepOverrides":null}}`)
	c.EndJob(c.WaitForJob("etl", "etl-f0").Name, batchv1.JobComplete, "")
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
	c.Jobs.Want("etl-0", "etl-1", "etl-1-r1", "etl-2", "etl-f0")
}

// A gate that is open costs nothing; one that is closed, one write to say so.
func TestAGateCausesNoWritesButToSayThatItIsClosed(t *testing.T) {
	var mu sync.Mutex
	writes := map[string]int{}
	play := func(t *testing.T, sj *v1alpha1.SequentialJob, isClosed bool) int {
		c := newByHandCluster(t)
		counter := &framework.RequestCounter{}
		c.StartControllerVia(counter)
		c.Create(sj)
		c.EndJob(c.WaitForJob("etl", "etl-0").Name, batchv1.JobComplete, "")
		if isClosed {
			c.waitForMessage("etl", v1alpha1.ReasonSuspended, "waits for approval")
			c.setGate("false")
		}
		c.EndJob(c.WaitForJob("etl", "etl-1").Name, batchv1.JobComplete, "")
		c.EndJob(c.WaitForJob("etl", "etl-2").Name, batchv1.JobComplete, "")
		c.WaitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
			return sj.Status.CompletionTime != nil && len(sj.Finalizers) == 0
		})
		stored := 0
		for _, write := range counter.Writes() {
			if strings.HasSuffix(write, "/status") {
				stored++
			}
		}
		return stored
	}
	t.Run("group", func(t *testing.T) {
		for name, tc := range map[string]struct {
			sj       *v1alpha1.SequentialJob
			isClosed bool
		}{
			"none":   {sj: framework.NewSequence("etl", "plan", "deploy", "report")},
			"open":   {sj: newGated(false)},
			"closed": {sj: newGated(true), isClosed: true},
		} {
			t.Run(name, func(t *testing.T) {
				n := play(t, tc.sj, tc.isClosed)
				mu.Lock()
				defer mu.Unlock()
				writes[name] = n
			})
		}
	})
	if writes["open"] != writes["none"] {
		t.Errorf("status writes: %v, want as many with an open gate as without one", writes)
	}
	// That it waits; and, as that came beside step 0's end, the start of step 1 for itself.
	if writes["closed"] > writes["none"]+1 {
		t.Errorf("status writes: %v, want at most one more for a closed gate", writes)
	}
}
