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

// lastStored is when the status was stored that a test starts from.
var lastStored = metav1.NewTime(now.Add(-30 * time.Minute))

func TestConditions(t *testing.T) {
	const jobFailed = "BackoffLimitExceeded: Job 1 (transform) failed: BackoffLimitExceeded: Job has reached the backoff limit"
	second := func(options ...jobOption) []*batchv1.Job {
		sj := newSequence("extract", "transform", "load")
		return []*batchv1.Job{jobOf(sj, 1, options...)}
	}
	pending := newSequence("extract", "transform", "load")
	taken := sequence.NewJob(pending, 0, 0)
	taken.OwnerReferences[0].UID, taken.OwnerReferences[0].Kind, taken.OwnerReferences[0].Name = "uid-other", "CronJob", "nightly"
	const conflict = "JobNameConflict: Job etl-0 exists already and belongs to CronJob nightly: step 0 (extract) starts once that Job is deleted"
	const completed = "JobCompleted: Job 1 completed successfully" // the greater news, though job 2 started in the same turn
	const notEnded, hasFailed = "False NotEnded: The sequence has not ended", "False BackoffLimitExceeded: The sequence has failed"
	// The message of a condition beside the one that tells it in full has 120 bytes.
	long := `BackoffLimitExceeded: Job 1 (transform) failed: BackoffLimitExceeded: container "transform" exited with code 2: ` + strings.Repeat("x", 200)
	short := `BackoffLimitExceeded: Job 1 (transform) failed: BackoffLimitExceeded: container "transform" exited with code 2: ` + strings.Repeat("x", 27) + "..."
	takenByLong := taken.DeepCopy()
	takenByLong.OwnerReferences[0].Name = strings.Repeat("x", 200)
	longWait := strings.ReplaceAll(conflict, "nightly", takenByLong.OwnerReferences[0].Name)
	shortWait := longWait[:len("JobNameConflict: ")+117] + "..."
	for name, tc := range map[string]struct {
		turn turn
		want map[string]string
	}{
		"pending": {
			turn: turnOf(pending, []*batchv1.Job{taken}, now),
			want: map[string]string{"Available": notEnded, "Progressing": "True " + conflict, "Failed": notEnded, "Reconciling": "True " + conflict},
		},
		"started": {
			turn: turnOf(pending, nil, now),
			want: map[string]string{
				"Available": notEnded, "Progressing": "True JobStarted: Started job 0", "Failed": notEnded, "Reconciling": "True JobStarted: Started job 0",
			},
		},
		"a step completed": {
			turn: turnOf(nthRuns(1), second(complete), now),
			want: map[string]string{"Available": notEnded, "Progressing": "True " + completed, "Failed": notEnded, "Reconciling": "True " + completed},
		},
		"suspended": {
			turn: turnOf(nthRuns(1), second(suspended), now),
			want: map[string]string{
				"Available": notEnded, "Progressing": "False Suspended: Job 1 (transform) is suspended, and not by spec.suspend", "Failed": notEnded,
			},
		},
		"completed": {
			turn: turnOf(nthRuns(2), []*batchv1.Job{jobOf(pending, 2, complete)}, now),
			want: map[string]string{
				"Available":   "True Completed: All 3 steps completed successfully",
				"Progressing": "False Completed: All 3 steps completed successfully",
				"Failed":      "False Completed: All 3 steps completed successfully",
				"Complete":    "True Completed: All 3 steps completed successfully",
			},
		},
		"failed": {
			turn: turnOf(nthRuns(1), second(failed), now),
			want: map[string]string{
				"Available": hasFailed, "Progressing": "False " + jobFailed, "Failed": "True " + jobFailed, "Stalled": "True " + jobFailed,
			},
		},
		"failed with much to say": {
			turn: failAt2(pod(exited("transform", 2, "Error", strings.Repeat("x", 200), 1))),
			want: map[string]string{
				"Available": hasFailed, "Progressing": "False " + long, "Failed": "True " + long, "Stalled": "True " + short,
			},
		},
		"waits with much to say": {
			turn: turnOf(pending, []*batchv1.Job{takenByLong}, now),
			want: map[string]string{
				"Available": notEnded, "Progressing": "True " + longWait, "Failed": notEnded, "Reconciling": "True " + shortWait,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, conditions(&tc.turn.Status)); diff != "" {
				t.Errorf("unexpected conditions (-want +got):\n%s", diff)
			}
			for _, c := range tc.turn.Status.Conditions {
				if c.ObservedGeneration != 1 {
					t.Errorf("%s is about generation %d, want 1", c.Type, c.ObservedGeneration)
				}
			}
		})
	}
}

func TestConditionsFollowTheGeneration(t *testing.T) {
	sj := edited(nthRuns(0), func(*v1alpha1.SequentialJob) {})
	status := turnOf(sj, upTo(sj, 0), now).Status
	if status.ObservedGeneration != 2 {
		t.Errorf("observedGeneration is %d, want 2", status.ObservedGeneration)
	}
	for _, c := range status.Conditions {
		if c.ObservedGeneration != 2 {
			t.Errorf("%s is about generation %d, want 2", c.Type, c.ObservedGeneration)
		}
	}
}

func TestLastTransitionTimeMovesOnlyWithStatus(t *testing.T) {
	moved := metav1.NewTime(now)
	for name, tc := range map[string]struct {
		end  []jobOption
		want map[string]metav1.Time
	}{
		"step completed": {
			end: []jobOption{complete},
			want: map[string]metav1.Time{
				"Available": lastStored, "Progressing": lastStored, "Failed": lastStored, "Reconciling": lastStored,
			},
		},
		"suspended": {
			end:  []jobOption{suspended},
			want: map[string]metav1.Time{"Available": lastStored, "Progressing": moved, "Failed": lastStored},
		},
		"failed": {
			end:  []jobOption{failed},
			want: map[string]metav1.Time{"Available": lastStored, "Progressing": moved, "Failed": moved, "Stalled": moved},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			got := map[string]metav1.Time{}
			for _, c := range turnOf(sj, []*batchv1.Job{jobOf(sj, 0, tc.end...)}, now).Status.Conditions {
				got[c.Type] = c.LastTransitionTime
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("unexpected lastTransitionTime (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStateAndProgress(t *testing.T) {
	sj := newSequence("extract", "transform", "load")
	for name, tc := range map[string]struct {
		jobs     []*batchv1.Job
		state    v1alpha1.ExecutionState
		progress v1alpha1.JobProgress
	}{
		"nothing started, because its name is taken": {
			jobs:     []*batchv1.Job{jobOf(sj, 0, ownedByAnother)},
			progress: v1alpha1.JobProgress{CurrentStep: "extract", Completions: "0/3"},
		},
		"first step runs": {
			jobs:     upTo(sj, 0),
			state:    v1alpha1.ExecutionState{Active: 1},
			progress: v1alpha1.JobProgress{CurrentStep: "extract", Completions: "0/3"},
		},
		"first step complete, second not started": {
			jobs:  []*batchv1.Job{jobOf(sj, 0, complete)},
			state: v1alpha1.ExecutionState{Succeeded: 1},
			progress: v1alpha1.JobProgress{
				CurrentIndex: 1, CurrentStep: "transform", Completions: "1/3", CompletedIndices: []int32{0},
			},
		},
		"last step runs": {
			jobs:  upTo(sj, 2),
			state: v1alpha1.ExecutionState{Active: 1, Succeeded: 2},
			progress: v1alpha1.JobProgress{
				CurrentIndex: 2, CurrentStep: "load", Completions: "2/3", CompletedIndices: []int32{0, 1},
			},
		},
		"all complete: the current step stays the last": {
			jobs:  []*batchv1.Job{jobOf(sj, 0, complete), jobOf(sj, 1, complete), jobOf(sj, 2, complete)},
			state: v1alpha1.ExecutionState{Succeeded: 3},
			progress: v1alpha1.JobProgress{
				CurrentIndex: 2, CurrentStep: "load", Completions: "3/3", CompletedIndices: []int32{0, 1, 2},
			},
		},
		"second step failed": {
			jobs:  []*batchv1.Job{jobOf(sj, 0, complete), jobOf(sj, 1, failed)},
			state: v1alpha1.ExecutionState{Succeeded: 1, Failed: 1},
			progress: v1alpha1.JobProgress{
				CurrentIndex: 1, CurrentStep: "transform", Completions: "1/3", CompletedIndices: []int32{0},
				FailedIndex: new(int32(1)), FailureReason: "BackoffLimitExceeded",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			status := turnOf(sj, tc.jobs, now).Status
			if diff := cmp.Diff(&tc.state, status.State); diff != "" {
				t.Errorf("unexpected state (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(&tc.progress, status.Progress); diff != "" {
				t.Errorf("unexpected progress (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimesAreThoseOfTheJobs(t *testing.T) {
	sj := newSequence("extract", "transform")
	finishedAt := func(index int, options ...jobOption) *metav1.Time {
		return turnOf(sj, append(upTo(sj, index)[:index], jobOf(sj, index, options...)), now).Status.CompletionTime
	}
	status := turnOf(sj, []*batchv1.Job{jobOf(sj, 0, complete), jobOf(sj, 1)}, now).Status
	byCondition := jobOf(sj, 0, complete)
	byCondition.Status.CompletionTime = nil
	neverStored := jobOf(sj, 0)
	neverStored.CreationTimestamp = metav1.Time{}
	lost := nthRuns(0)

	for name, tc := range map[string]struct{ got, want *metav1.Time }{
		"sequence starts with its first Job":       {status.StartTime, &created},
		"step starts with its Job":                 {status.Steps[1].StartTime, &created},
		"step completes with its Job":              {status.Steps[0].CompletionTime, &ended},
		"a running step has not ended":             {status.Steps[1].CompletionTime, nil},
		"a running sequence has not ended":         {status.CompletionTime, nil},
		"the Complete condition tells it too":      {turnOf(sj, []*batchv1.Job{byCondition}, now).Status.Steps[0].CompletionTime, &ended},
		"completed with the last Job":              {finishedAt(1, complete), &ended},
		"failed with the first Job":                {finishedAt(0, failed), &ended},
		"failed with the last Job":                 {finishedAt(1, failed), &ended},
		"a Job without creation time starts now":   {turnOf(sj, []*batchv1.Job{neverStored}, now).Status.StartTime, new(metav1.NewTime(now))},
		"a lost Job ends when its loss is noticed": {turnOf(lost, nil, now).Status.CompletionTime, new(metav1.NewTime(now))},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Errorf("unexpected time (-want +got):\n%s", diff)
			}
		})
	}
}
