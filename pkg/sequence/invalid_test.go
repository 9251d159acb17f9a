package sequence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func causes(fields ...string) []metav1.StatusCause {
	var out []metav1.StatusCause
	for _, field := range fields {
		out = append(out, metav1.StatusCause{Field: field, Message: "Required value"})
	}
	return out
}

func TestSuspectSteps(t *testing.T) {
	for name, tc := range map[string]struct {
		causes []metav1.StatusCause
		want   []int
	}{
		"one step":                           {causes("spec.template.spec.containers[1].image"), []int{1}},
		"the container itself":               {causes("spec.template.spec.containers[2]"), []int{2}},
		"several steps, in order, each once": {causes("spec.template.spec.containers[2].image", "spec.template.spec.containers[0].name", "spec.template.spec.containers[2].name"), []int{0, 2}},
		"no cause":                           {nil, []int{0, 1, 2}},
		"a cause that names no step":         {causes("spec.template.spec.restartPolicy"), []int{0, 1, 2}},
		"one that does and one that does not": {
			causes("spec.template.spec.containers[1].image", "spec.template.labels"), []int{0, 1, 2},
		},
		"an init container is no step":  {causes("spec.template.spec.initContainers[1].image"), []int{0, 1, 2}},
		"a step that there is not":      {causes("spec.template.spec.containers[3].image"), []int{0, 1, 2}},
		"an index that is not a number": {causes("spec.template.spec.containers[x].image"), []int{0, 1, 2}},
		"an index beyond all numbers":   {causes("spec.template.spec.containers[99999999999999999999].image"), []int{0, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, sequence.SuspectSteps(newSequence("a", "b", "c"), tc.causes)); diff != "" {
				t.Errorf("unexpected steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDescribeInvalid(t *testing.T) {
	for name, tc := range map[string]struct {
		causes []metav1.StatusCause
		want   []string
	}{
		"no cause":                {nil, nil},
		"a field of the step":     {causes("spec.template.spec.containers[0].image"), []string{"spec.containers[7].image: Required value"}},
		"a list within the step":  {causes("spec.template.spec.containers[0].ports[0].hostPort"), []string{"spec.containers[7].ports[0].hostPort: Required value"}},
		"the step itself":         {causes("spec.template.spec.containers[0]"), []string{"spec.containers[7]: Required value"}},
		"labels of the pod":       {causes("spec.template.labels"), []string{"spec.template.metadata.labels: Required value"}},
		"annotations of the pod":  {causes("spec.template.annotations[x]"), []string{"spec.template.metadata.annotations[x]: Required value"}},
		"labels of the Job":       {causes("metadata.labels"), []string{"spec.template.metadata.labels: Required value"}},
		"annotations of the Job":  {causes("metadata.annotations"), []string{"spec.template.metadata.annotations: Required value"}},
		"what is named alike":     {causes("spec.template.spec.volumes[0].name", "spec.backoffLimit"), []string{"spec.template.spec.volumes[0].name: Required value", "spec.backoffLimit: Required value"}},
		"a policy":                {causes("spec.podFailurePolicy.rules[0].action"), []string{"spec.podFailurePolicy.rules[0].action: Required value"}},
		"a cause without a field": {causes(""), []string{"Required value"}},
		"a message without words": {[]metav1.StatusCause{{Field: "spec"}}, []string{"spec"}},
		"the same one twice":      {causes("metadata.labels", "spec.template.labels"), []string{"spec.template.metadata.labels: Required value"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, sequence.DescribeInvalid(7, tc.causes)); diff != "" {
				t.Errorf("unexpected texts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBlocked(t *testing.T) {
	sj := nthRuns(0)
	done := []*batchv1.Job{jobOf(sj, 0, complete)}
	block := func(reason, message string) outcome {
		plan := sequence.Next(sj, done, now).Blocked(sj, reason, message, metav1.NewTime(now))
		sj.Status = plan.Status
		return outcomeOf(plan)
	}
	want := outcome{
		Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobNameConflict",
		Steps: []string{"etl-0 uid-job-0 Completed"},
		Events: []string{
			"Normal JobCompleted: Job 0 completed successfully",
			"Warning JobNameConflict: Job etl-1 is taken",
		},
	}
	if diff := cmp.Diff(want, block("JobNameConflict", "Job etl-1\nis taken")); diff != "" {
		t.Errorf("what went before is not recorded with it (-want +got):\n%s", diff)
	}
	want.Events = nil
	if diff := cmp.Diff(want, block("JobNameConflict", "Job etl-1 is taken by another now")); diff != "" {
		t.Errorf("the same reason is told again (-want +got):\n%s", diff)
	}
	if got := conditions(&sj.Status)["Progressing"]; got != "True JobNameConflict: Job etl-1 is taken by another now" {
		t.Errorf("the condition is not up to date: %q", got)
	}
	want.Reason, want.Events = "JobCreateFailed", []string{"Warning JobCreateFailed: quota"}
	if diff := cmp.Diff(want, block("JobCreateFailed", "quota")); diff != "" {
		t.Errorf("another reason is not told (-want +got):\n%s", diff)
	}

	// Once the way is free it goes on.
	plan := sequence.Next(sj, upTo(sj, 1), now)
	if got := conditions(&plan.Status)["Progressing"]; got != "True JobStarted: Started job 1" {
		t.Errorf("after the block: %q", got)
	}
}

func TestBlockedBeforeTheFirstStepIsPending(t *testing.T) {
	sj := newSequence("extract")
	plan := sequence.Next(sj, nil, now).Blocked(sj, "JobCreateFailed", strings.Repeat("x", 5000), metav1.NewTime(now))
	if plan.Status.Phase != v1alpha1.SequentialJobPending || plan.Create != nil || plan.Status.StartTime != nil {
		t.Errorf("phase %s, create %v, started %v", plan.Status.Phase, plan.Create, plan.Status.StartTime)
	}
	if n := len(plan.Events[0].Message); n != 1024 {
		t.Errorf("the event has %d bytes, want 1024", n)
	}
	again := sequence.Next(withStatus(sj, plan.Status), nil, now.Add(time.Hour))
	if diff := cmp.Diff(plan.Status, again.Status); diff != "" || again.Create == nil {
		t.Errorf("a blocked step is not tried again as it was:\n%s", diff)
	}
}

func TestWaitingTellsNoEvent(t *testing.T) {
	sj := newSequence("extract")
	plan := sequence.Next(sj, nil, now).Waiting(sj, "JobNameConflict", "being removed", metav1.NewTime(now))
	want := outcome{Finalizer: true, Phase: v1alpha1.SequentialJobPending, Reason: "JobNameConflict"}
	if diff := cmp.Diff(want, outcomeOf(plan)); diff != "" {
		t.Errorf("unexpected plan (-want +got):\n%s", diff)
	}
}

func TestInvalid(t *testing.T) {
	sj := newSequence("extract", "transform")
	plan := sequence.Next(sj, nil, now).Invalid(sj, 1, "spec.containers[1].image:\nRequired value", metav1.NewTime(now))
	want := outcome{
		Phase: v1alpha1.SequentialJobFailed, Reason: "InvalidSpec",
		Events: []string{"Warning JobCreateFailed: InvalidSpec: spec.containers[1].image: Required value"},
	}
	if diff := cmp.Diff(want, outcomeOf(plan)); diff != "" {
		t.Errorf("unexpected plan (-want +got):\n%s", diff)
	}
	wantProgress := &v1alpha1.JobProgress{
		CurrentIndex: 1, CurrentStep: "transform", Completions: "0/2",
		FailedIndex: new(int32(1)), FailureReason: "InvalidSpec",
	}
	if diff := cmp.Diff(wantProgress, plan.Status.Progress); diff != "" {
		t.Errorf("unexpected progress (-want +got):\n%s", diff)
	}
	if !plan.Status.CompletionTime.Equal(new(metav1.NewTime(now))) {
		t.Errorf("it ended at %v, want now", plan.Status.CompletionTime)
	}
}
