package sequence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// invalidSpec begins both the reason and the message of what is invalid.
const invalidSpec = "InvalidSpec: "

func causes(fields ...string) []metav1.StatusCause {
	var out []metav1.StatusCause
	for _, field := range fields {
		out = append(out, metav1.StatusCause{Field: field, Message: "Required value"})
	}
	return out
}

func TestSuspectSteps(t *testing.T) {
	three := []int{0, 1, 2}
	for name, tc := range map[string]struct {
		indices []int
		causes  []metav1.StatusCause
		want    []int
	}{
		"one step":                           {three, causes("spec.template.spec.containers[1].image"), []int{1}},
		"the container itself":               {three, causes("spec.template.spec.containers[2]"), []int{2}},
		"several steps, in order, each once": {three, causes("spec.template.spec.containers[2].image", "spec.template.spec.containers[0].name", "spec.template.spec.containers[2].name"), []int{0, 2}},
		"no cause":                           {three, nil, []int{0, 1, 2}},
		"a cause that names no step":         {three, causes("spec.template.spec.restartPolicy"), []int{0, 1, 2}},
		"one that does and one that does not": {
			three, causes("spec.template.spec.containers[1].image", "spec.template.labels"), []int{0, 1, 2},
		},
		"an init container is no step":                {three, causes("spec.template.spec.initContainers[1].image"), []int{0, 1, 2}},
		"a step that there is not":                    {three, causes("spec.template.spec.containers[3].image"), []int{0, 1, 2}},
		"an index that is not a number":               {three, causes("spec.template.spec.containers[x].image"), []int{0, 1, 2}},
		"an index beyond all numbers":                 {three, causes("spec.template.spec.containers[99999999999999999999].image"), []int{0, 1, 2}},
		"counted from the first that was asked about": {three[1:], causes("spec.template.spec.containers[1].image"), []int{2}},
		"all from there on":                           {three[1:], causes("spec.template.labels"), []int{1, 2}},
		"a step after the last":                       {three[1:], causes("spec.template.spec.containers[2].image"), []int{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, sequence.SuspectSteps(tc.indices, tc.causes)); diff != "" {
				t.Errorf("unexpected steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDescribeInvalid(t *testing.T) {
	sj := newSequence("a", "b", "c", "d", "e", "f", "g", "h")
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
			if diff := cmp.Diff(tc.want, sequence.DescribeInvalid(sj, 7, tc.causes)); diff != "" {
				t.Errorf("unexpected texts (-want +got):\n%s", diff)
			}
		})
	}
}

// invalidStep refuses the dry runs of all steps, and of the one at index alone, because of a field of its container. It is for a
// sequence of which no step has started.
func invalidStep(index int, field, message string) func(sequence.Action) sequence.Refusal {
	return func(a sequence.Action) sequence.Refusal {
		at := 0
		switch {
		case a.Request != sequence.CheckSteps:
			return sequence.Refusal{}
		case a.Step == sequence.AllSteps:
			at = index
		case a.Step != index:
			return sequence.Refusal{}
		}
		return sequence.Refusal{Class: sequence.Invalid, Message: message, Causes: []metav1.StatusCause{{
			Type: metav1.CauseTypeFieldValueInvalid, Field: fmt.Sprintf("spec.template.spec.containers[%d].%s", at, field), Message: message,
		}}}
	}
}

func denyCreate(message string) func(sequence.Action) sequence.Refusal {
	return func(a sequence.Action) sequence.Refusal {
		if a.Request != sequence.CreateJob {
			return sequence.Refusal{}
		}
		return sequence.Refusal{Class: sequence.Denied, Message: message}
	}
}

func TestWhatKeepsAStepFromStartingIsToldOnceForEachReason(t *testing.T) {
	sj := nthRuns(0)
	step := func(refuse func(sequence.Action) sequence.Refusal, jobs ...*batchv1.Job) outcome {
		turn, after := (&server{jobs: jobs, refuse: refuse}).play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: jobs[:1]})
		sj = after
		return outcomeOf(turn)
	}
	first, other := jobOf(sj, 0, complete), jobOf(sj, 1, func(job *batchv1.Job) { job.OwnerReferences = nil })
	const taken = "Job etl-1 exists already and belongs to somebody else: step 1 (transform) starts once that Job is deleted"
	want := outcome{
		Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobNameConflict",
		Steps:  []string{"etl-0 uid-job-0 Completed"},
		Events: []string{"Normal JobCompleted: Job 0 completed successfully", "Warning JobNameConflict: " + taken},
	}
	if diff := cmp.Diff(want, step(nil, first, other)); diff != "" {
		t.Errorf("what went before is not recorded with it (-want +got):\n%s", diff)
	}
	other.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "nightly", Controller: new(true)}}
	want.Events = nil
	if diff := cmp.Diff(want, step(nil, first, other)); diff != "" {
		t.Errorf("the same reason is told again (-want +got):\n%s", diff)
	}
	if got := conditions(&sj.Status)["Progressing"]; !strings.Contains(got, "belongs to CronJob nightly") {
		t.Errorf("the condition is not up to date: %q", got)
	}
	want.Reason = "JobCreateFailed"
	want.Events = []string{"Warning JobCreateFailed: Job etl-1 of step 1 cannot be created, trying again: quota of Jobs"}
	if diff := cmp.Diff(want, step(denyCreate("quota\nof Jobs"), first)); diff != "" {
		t.Errorf("another reason is not told (-want +got):\n%s", diff)
	}
	// Once the way is free it goes on.
	want = outcome{
		Create: "etl-1", Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted",
		Steps:  []string{"etl-0 uid-job-0 Completed", "etl-1 uid-etl-1 Running"},
		Events: []string{"Normal JobStarted: Started job 1"},
	}
	if diff := cmp.Diff(want, step(nil, first)); diff != "" {
		t.Errorf("after the block (-want +got):\n%s", diff)
	}
}

func TestWhatIsBlockedBeforeTheFirstStepIsPending(t *testing.T) {
	s := tell(t, "extract")
	s.refuse = denyCreate(strings.Repeat("x", 5000))
	s.work().wantJobs()
	if s.sj.Status.Phase != v1alpha1.SequentialJobPending || s.sj.Status.StartTime != nil || !s.last.Last.TryAgain {
		t.Errorf("phase %s, started %v, tried again: %v", s.sj.Status.Phase, s.sj.Status.StartTime, s.last.Last.TryAgain)
	}
	if n := len(s.told[0]) - len("JobCreateFailed: "); n != 1024 || len(s.told) != 1 {
		t.Errorf("%d events, the first has %d bytes, want 1024", len(s.told), n)
	}
	status := s.sj.Status.DeepCopy()
	s.told = nil
	s.after(time.Hour).work().wantEvents()
	if diff := cmp.Diff(status, &s.sj.Status); diff != "" || !slices.Contains(s.last.Requests, "create Job") {
		t.Errorf("a blocked step is not tried again as it was: %q\n%s", s.last.Requests, diff)
	}
	s.refuse = nil
	s.work().wantJobs("etl-0").want("Running", "True JobStarted: Started job 0")
}

func TestAStepThatTheAPIServerRefusesFailsTheSequence(t *testing.T) {
	s := tell(t, "extract", "transform")
	s.refuse = invalidStep(1, "image", "Required\nvalue")
	s.work().wantJobs().want("Failed", "False "+invalidSpec+invalidSpec+"spec.containers[1].image: Required value").
		wantEvents("JobCreateFailed: InvalidSpec: spec.containers[1].image: Required value")
	want := &v1alpha1.JobProgress{
		CurrentIndex: 1, CurrentStep: "transform", Completions: "0/2",
		FailedIndex: new(int32(1)), FailureReason: "InvalidSpec",
	}
	if diff := cmp.Diff(want, s.sj.Status.Progress); diff != "" {
		t.Errorf("unexpected progress (-want +got):\n%s", diff)
	}
	if !s.sj.Status.CompletionTime.Equal(new(metav1.NewTime(now))) {
		t.Errorf("it ended at %v, want now", s.sj.Status.CompletionTime)
	}
}

// What refuses a request may number its answers: that must not become a loop without a pause.
func TestAStepThatIsKeptFromStartingIsTriedAgainLater(t *testing.T) {
	n := 0
	unavailable := func(request sequence.Request) func(sequence.Action) sequence.Refusal {
		return func(a sequence.Action) sequence.Refusal {
			n++
			if a.Request != request {
				return sequence.Refusal{}
			}
			return sequence.Refusal{Class: sequence.Unavailable, Message: fmt.Sprintf("try %d failed", n)}
		}
	}
	retried := newSequence("extract")
	retried.Spec.Retries = new(int32(1))
	granted := turnOf(retried, []*batchv1.Job{jobOf(retried, 0, failed)}, now)
	retried.Status = granted.Status
	for name, tc := range map[string]struct {
		sj  *v1alpha1.SequentialJob
		api *server
	}{
		"the dry run is not answered": {newSequence("extract"), &server{refuse: unavailable(sequence.CheckSteps)}},
		"the create is not answered":  {newSequence("extract"), &server{refuse: unavailable(sequence.CreateJob)}},
		"the name is taken":           {newSequence("extract"), &server{jobs: jobs(0, ownedByAnother)(newSequence("extract"))}},
		"pods of the last attempt":    {retried, &server{pods: []corev1.Pod{podIn(corev1.PodRunning)}}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				turn, after := tc.api.play(sequence.Facts{Now: now, SequentialJob: tc.sj})
				if !turn.Last.TryAgain || turn.Last.AtOnce {
					t.Errorf("after %q it ends with %+v", turn.Requests, turn.Last)
				}
				tc.sj = after
			}
		})
	}
}
