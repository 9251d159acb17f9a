package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestStepEnds(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	step := func(state v1alpha1.StepState, message string, seconds int) v1alpha1.StepStatus {
		end := metav1.NewTime(start.Add(time.Duration(seconds) * time.Second))
		return v1alpha1.StepStatus{State: state, Message: message, StartTime: &metav1.Time{Time: start}, CompletionTime: &end}
	}
	running, complete := step(v1alpha1.StepRunning, "", 0), step(v1alpha1.StepCompleted, "", 3)
	failed := step(v1alpha1.StepFailed, "BackoffLimitExceeded: container \"x\" exited with code 2: no: table", 4)
	completeEnd := ending{result: "completed", reason: "JobCompleted", duration: 3 * time.Second}
	type steps []v1alpha1.StepStatus
	for name, tc := range map[string]struct {
		before, after steps
		want          []ending
	}{
		"none":                      {nil, nil, nil},
		"it starts":                 {nil, steps{running}, nil},
		"it runs":                   {steps{running}, steps{running}, nil},
		"complete, the next starts": {steps{running}, steps{complete, running}, []ending{completeEnd}},
		"complete before":           {steps{complete, running}, steps{complete, running}, nil},
		"fails, with its reason": {steps{running}, steps{failed},
			[]ending{{result: "failed", reason: "BackoffLimitExceeded", duration: 4 * time.Second}}},
		"failed before": {steps{failed}, steps{failed}, nil},
		"retried":       {steps{failed}, steps{running}, nil},
		"ended before anybody looked": {nil, steps{complete, failed},
			[]ending{completeEnd, {result: "failed", reason: "BackoffLimitExceeded", duration: 4 * time.Second}}},
		"a reason that somebody made up": {steps{running}, steps{step(v1alpha1.StepFailed, "Anything", 1)},
			[]ending{{result: "failed", reason: "Other", duration: time.Second}}},
		"stopped by spec.cancel": {steps{running}, steps{step(v1alpha1.StepFailed, "Cancelled: stopped by spec.cancel", 1)},
			[]ending{{result: "cancelled", reason: "Cancelled", duration: time.Second}}},
		"without times": {steps{running}, steps{{State: v1alpha1.StepCompleted}},
			[]ending{{result: "completed", reason: "JobCompleted"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := stepEnds(&v1alpha1.SequentialJobStatus{Steps: tc.before}, &v1alpha1.SequentialJobStatus{Steps: tc.after})
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(ending{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What runs after the steps counts as a step.
func TestTheEndsOfFinallyCount(t *testing.T) {
	status := func(state v1alpha1.StepState) *v1alpha1.SequentialJobStatus {
		return &v1alpha1.SequentialJobStatus{Steps: []v1alpha1.StepStatus{{State: v1alpha1.StepCompleted}},
			Finally: []v1alpha1.StepStatus{{State: state, Message: "JobDeleted: it is gone"}}}
	}
	got := stepEnds(status(v1alpha1.StepRunning), status(v1alpha1.StepFailed))
	if diff := cmp.Diff([]ending{{result: "failed", reason: "JobDeleted"}}, got, cmp.AllowUnexported(ending{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSequenceEnd(t *testing.T) {
	start := metav1.NewTime(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	end := metav1.NewTime(start.Add(90 * time.Second))
	running := v1alpha1.SequentialJobStatus{Phase: v1alpha1.SequentialJobRunning, StartTime: &start}
	complete := v1alpha1.SequentialJobStatus{Phase: v1alpha1.SequentialJobCompleted, StartTime: &start, CompletionTime: &end}
	failed := v1alpha1.SequentialJobStatus{Phase: v1alpha1.SequentialJobFailed, StartTime: &start, CompletionTime: &end,
		Progress: &v1alpha1.JobProgress{FailureReason: "JobDeleted"}}
	invalid := v1alpha1.SequentialJobStatus{Phase: v1alpha1.SequentialJobFailed, CompletionTime: &end,
		Progress: &v1alpha1.JobProgress{FailureReason: "InvalidSpec"}}
	stopped := v1alpha1.SequentialJobStatus{Phase: v1alpha1.SequentialJobFailed, StartTime: &start, CompletionTime: &end,
		Progress: &v1alpha1.JobProgress{FailureReason: "Cancelled"}}
	type status = v1alpha1.SequentialJobStatus
	for name, tc := range map[string]struct {
		before, after status
		want          *ending
	}{
		"runs":                       {before: status{}, after: running},
		"completes":                  {running, complete, &ending{result: "completed", reason: "Completed", duration: 90 * time.Second}},
		"fails":                      {running, failed, &ending{result: "failed", reason: "JobDeleted", duration: 90 * time.Second}},
		"fails without having begun": {status{}, invalid, &ending{result: "failed", reason: "InvalidSpec"}},
		"is cancelled":               {running, stopped, &ending{result: "cancelled", reason: "Cancelled", duration: 90 * time.Second}},
		"is at its end already":      {before: failed, after: failed},
		"goes on after its end":      {before: failed, after: running},
	} {
		t.Run(name, func(t *testing.T) {
			got, ended := sequenceEnd(&tc.before, &tc.after)
			if ended != (tc.want != nil) {
				t.Fatalf("ended is %t: %+v", ended, got)
			}
			if ended && got != *tc.want {
				t.Errorf("got %+v, want %+v", got, *tc.want)
			}
		})
	}
}
