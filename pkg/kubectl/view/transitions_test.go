package view_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

func TestTransitions(t *testing.T) {
	suspended := stories["suspended"]
	deleted := stories["being deleted"]
	for name, test := range map[string]struct {
		before, after *story
		want          []string
	}{
		"first look": {nil, retried(), []string{
			"etl: extract: Completed (etl-0, 20s)",
			"etl: transform: Running (etl-1-r1)",
		}},
		"nothing new":      {retried(), retried(), nil},
		"a step completes": {firstStepRuns(), retried(), []string{"etl: extract: Completed (etl-0, 20s)", "etl: transform: Running (etl-1-r1)"}},
		"the end": {retried(), failedSequence(), []string{
			"etl: transform: Failed (etl-1, 1m0s): " + backoff,
			"etl: notify: Completed (etl-f0, 9s)",
			"etl: Failed (1m30s): Job 1 (transform) failed: " + backoff,
		}},
		"success": {stories["running finally after a failure"](), completedSequence(), []string{
			"etl: transform: Completed (etl-1, 1h59m)",
			"etl: load: Completed (etl-2, 20s)",
			"etl: notify: Completed (etl-f0, 4s)",
			"etl: Completed (2h0m)",
		}},
		"suspended": {firstStepRuns(), suspended(), []string{"etl: Suspended: Job 0 (extract) is suspended by spec.suspend"}},
		"resumed":   {suspended(), firstStepRuns(), []string{"etl: Running"}},
		"a cause": {firstStepRuns(), stories["unschedulable and told"](), []string{
			"etl: Job 0 (extract) has no running pod: Unschedulable: 0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available.",
		}},
		"a cause that is gone": {stories["unschedulable and told"](), firstStepRuns(), nil},
		"retried": {failedSequence(), failedSequence().edit(func(sj *v1alpha1.SequentialJob) { sj.Status.Result = nil }).
			progressing(v1alpha1.SequentialJobRunning, v1alpha1.ReasonRetrying, "Retrying job 1 (transform), retry 1 of 1"),
			[]string{"etl: Retrying job 1 (transform), retry 1 of 1"}},
		"deleted":             {firstStepRuns(), deleted(), []string{"etl: being deleted"}},
		"refused twice":       {refusedFinally(), refusedFinally(), nil},
		"the cause completed": {failedSequence(), completedCause(), []string{"etl: Failed (1m30s): Job 1 (transform) failed: exit code 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			var before *v1alpha1.SequentialJob
			if test.before != nil {
				before = test.before.SequentialJob
			}
			got := view.Style{Unicode: true}.Transitions(before, test.after.SequentialJob)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("what is said (-want +got):\n%s", diff)
			}
		})
	}
}

// completedCause is a failure about which more is known now.
func completedCause() *story {
	return failedSequence().progressing(v1alpha1.SequentialJobFailed, "BackoffLimitExceeded", "Job 1 (transform) failed: exit code 2")
}

// refusedFinally has two containers of spec.finally whose Jobs were refused, so that they have no UID.
func refusedFinally() *story {
	s := four().step("extract", "etl-0", done, 0, 20, "")
	for _, job := range []string{"etl-f0", "etl-f1"} {
		s.after(job, job, failed, 21, 21, "InvalidSpec")
	}
	return s.edit(func(sj *v1alpha1.SequentialJob) {
		for i := range sj.Status.Finally {
			sj.Status.Finally[i].JobUID = ""
		}
	})
}

func TestRow(t *testing.T) {
	for name, test := range map[string]struct {
		story *story
		want  []string
	}{
		"failed":   {failedSequence(), []string{"data", "etl", "Failed", "1/3", "transform", "2m", "Job 1 (transform) failed: " + backoff}},
		"not seen": {stories["not seen"](), []string{"data", "etl", "", "", "", "2m", "not seen by a controller yet"}},
		"runs":     {firstStepRuns(), []string{"data", "etl", "Running", "0/3", "transform", "2m", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			sj := test.story.SequentialJob
			if sj.Status.Progress != nil {
				sj.Status.Progress.CurrentStep = "transform"
			}
			got := view.Style{Unicode: true}.Row(sj, true, at(120).Time)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
		})
	}
}
