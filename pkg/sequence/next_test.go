package sequence_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// nextCase is one turn: a SequentialJob, its Jobs, and what is to come of them.
type nextCase struct {
	sj   *v1alpha1.SequentialJob
	jobs func(*v1alpha1.SequentialJob) []*batchv1.Job
	want outcome
}

func runNext(t *testing.T, cases map[string]nextCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var jobs []*batchv1.Job
			if tc.jobs != nil {
				jobs = tc.jobs(tc.sj)
			}
			if diff := cmp.Diff(tc.want, outcomeOf(turnOf(tc.sj, jobs, now))); diff != "" {
				t.Errorf("unexpected outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func jobs(index int, options ...jobOption) func(*v1alpha1.SequentialJob) []*batchv1.Job {
	return func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
		return []*batchv1.Job{jobOf(sj, index, options...)}
	}
}

// stays is what comes of a turn in which nothing changes while step 0 runs.
func stays() outcome {
	return outcome{
		Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: []string{"etl-0 uid-job-0 Running"},
	}
}

func TestNextRunsOneStepAfterAnother(t *testing.T) {
	secondRuns := []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Running"}
	runNext(t, map[string]nextCase{
		"the first step is created and recorded": {
			sj: newSequence("extract", "transform"),
			want: outcome{
				Create: "etl-0", Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted",
				Steps:  []string{"etl-0 uid-etl-0 Running"},
				Events: []string{"Normal JobStarted: Started job 0"},
			},
		},
		"the Job of the first step is recorded if it exists already": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0, running),
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: stays().Steps,
				Events: []string{"Normal JobStarted: Started job 0"},
			},
		},
		"nothing is created while a step runs": {
			sj:   nthRuns(0),
			jobs: jobs(0, running),
			want: stays(),
		},
		"the next step is created when the Job is Complete": {
			sj:   nthRuns(0),
			jobs: jobs(0, complete),
			want: outcome{
				Create: "etl-1", Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobCompleted",
				Steps:  []string{"etl-0 uid-job-0 Completed", "etl-1 uid-etl-1 Running"},
				Events: []string{"Normal JobCompleted: Job 0 completed successfully", "Normal JobStarted: Started job 1"},
			},
		},
		"end of one step and start of the next are one write": {
			sj:   nthRuns(0),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job { return upTo(sj, 1) },
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobCompleted", Steps: secondRuns,
				Events: []string{"Normal JobCompleted: Job 0 completed successfully", "Normal JobStarted: Started job 1"},
			},
		},
		"SuccessCriteriaMet is not success yet": {
			sj:   nthRuns(0),
			jobs: jobs(0, withCondition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "CompletionsReached", "")),
			want: stays(),
		},
		"a succeeded pod is not success yet": {
			sj:   nthRuns(0),
			jobs: jobs(0, func(job *batchv1.Job) { job.Status.Succeeded = 1; job.Status.CompletionTime = &ended }),
			want: stays(),
		},
		"Complete that is not True is not success": {
			sj: nthRuns(0),
			jobs: jobs(0, running, withCondition(batchv1.JobComplete, corev1.ConditionFalse, "", ""),
				withCondition(batchv1.JobFailed, corev1.ConditionUnknown, "", "")),
			want: stays(),
		},
		"FailureTarget is not failure yet": {
			sj:   nthRuns(0),
			jobs: jobs(0, withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "BackoffLimitExceeded", "")),
			want: outcome{Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobEnding", Steps: stays().Steps},
		},
		"a sequence of which nothing was recorded is caught up with": {
			sj:   newSequence("extract", "transform"),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job { return upTo(sj, 1) },
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobCompleted", Steps: secondRuns,
				Events: []string{
					"Normal JobStarted: Started job 0",
					"Normal JobCompleted: Job 0 completed successfully",
					"Normal JobStarted: Started job 1",
				},
			},
		},
		"the last step completes the sequence": {
			sj:   nthRuns(2),
			jobs: jobs(2, complete),
			want: outcome{
				Phase: v1alpha1.SequentialJobCompleted, Reason: "Completed",
				Steps: []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Completed", "etl-2 uid-job-2 Completed"},
				Events: []string{
					"Normal JobCompleted: Job 2 completed successfully",
					"Normal Completed: All 3 steps completed successfully",
				},
			},
		},
		"a sequence may have one step only": {
			sj:   newSequence("extract"),
			jobs: jobs(0, complete),
			want: outcome{
				Phase: v1alpha1.SequentialJobCompleted, Reason: "Completed", Steps: []string{"etl-0 uid-job-0 Completed"},
				Events: []string{
					"Normal JobStarted: Started job 0",
					"Normal JobCompleted: Job 0 completed successfully",
					"Normal Completed: The only step completed successfully",
				},
			},
		},
	})
}

func TestNextStopsAtFailure(t *testing.T) {
	failedFirst := []string{"etl-0 uid-job-0 Failed"}
	failure := outcome{
		Phase: v1alpha1.SequentialJobFailed, Reason: "BackoffLimitExceeded", Steps: failedFirst,
		Events: []string{"Warning JobFailed: Job 0 (extract) failed: BackoffLimitExceeded: Job has reached the backoff limit"},
	}
	forgotten := nthRuns(0)
	forgotten.Status.Steps[0].State = v1alpha1.StepFailed
	runNext(t, map[string]nextCase{
		"a failed Job fails the sequence":                   {sj: nthRuns(0), jobs: jobs(0, failed), want: failure},
		"a Job that is both Failed and Complete has failed": {sj: nthRuns(0), jobs: jobs(0, complete, failed), want: failure},
		"a Job that failed before it was recorded fails the sequence": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0, failed),
			want: outcome{
				Phase: v1alpha1.SequentialJobFailed, Reason: "BackoffLimitExceeded", Steps: failedFirst,
				Events: append([]string{"Normal JobStarted: Started job 0"}, failure.Events...),
			},
		},
		"a reason that no condition may carry is replaced": {
			sj:   nthRuns(0),
			jobs: jobs(0, withCondition(batchv1.JobFailed, corev1.ConditionTrue, "not a reason!", "a\nb")),
			want: outcome{
				Phase: v1alpha1.SequentialJobFailed, Reason: "JobFailed", Steps: failedFirst,
				Events: []string{"Warning JobFailed: Job 0 (extract) failed: JobFailed: a b"},
			},
		},
		"an empty reason is replaced": {
			sj:   nthRuns(0),
			jobs: jobs(0, withCondition(batchv1.JobFailed, corev1.ConditionTrue, "", "")),
			want: outcome{
				Phase: v1alpha1.SequentialJobFailed, Reason: "JobFailed", Steps: failedFirst,
				Events: []string{"Warning JobFailed: Job 0 (extract) failed: JobFailed"},
			},
		},
		"a sequence without steps is invalid": {
			sj:   newSequence(),
			want: outcome{Phase: v1alpha1.SequentialJobFailed, Reason: "InvalidSpec"},
		},
		"a step recorded as failed fails the sequence even if its phase was lost": {
			sj:   forgotten,
			jobs: jobs(0, complete),
			want: outcome{
				Phase: v1alpha1.SequentialJobFailed, Reason: "JobFailed", Steps: failedFirst,
				Events: []string{"Warning JobFailed: Job 0 (extract) failed: JobFailed"},
			},
		},
	})
}

func TestNextFinishedIsTerminal(t *testing.T) {
	for name, end := range map[string]jobOption{"completed": complete, "failed": failed} {
		t.Run(name, func(t *testing.T) {
			sj := newSequence("extract")
			sj.Status = turnOf(sj, []*batchv1.Job{jobOf(sj, 0, end)}, now).Status
			want := turn{Status: *sj.Status.DeepCopy(), Requests: []string{"store status"}, Last: sequence.Action{Request: sequence.EndTurn}}

			// Neither new steps, a changed Job nor a lost one starts it again.
			sj.Generation = 2
			sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: "more"})
			want.Status.ObservedGeneration = 2
			for i := range want.Status.Conditions {
				want.Status.Conditions[i].ObservedGeneration = 2
			}
			for _, jobs := range [][]*batchv1.Job{nil, {jobOf(sj, 0)}, {jobOf(sj, 0, complete), jobOf(sj, 1)}} {
				if diff := cmp.Diff(want, turnOf(sj, jobs, now.Add(time.Hour))); diff != "" {
					t.Errorf("a finished sequence moved (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestRequestsOfATurn(t *testing.T) {
	for name, tc := range map[string]struct {
		sj   *v1alpha1.SequentialJob
		jobs func(*v1alpha1.SequentialJob) []*batchv1.Job
		want []string
	}{
		"the first step: a SequentialJob that was read is checked once, and has the finalizer before the Job": {
			sj:   newSequence("extract", "transform"),
			want: []string{"read SequentialJob", "dry run Job", "add finalizer", "create Job", "store status"},
		},
		"a step after another": {
			sj: nthRuns(0), jobs: jobs(0, complete),
			want: []string{"read SequentialJob", "create Job", "store status"},
		},
		"a Job that no status names yet is read before it is taken over": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0, running),
			want: []string{"read Job", "add finalizer", "dry run Job", "store status"},
		},
		"a step that runs": {sj: nthRuns(0), jobs: jobs(0, running)},
		"the end, if there is no Job of one more step": {sj: nthRuns(2), jobs: jobs(2, complete), want: []string{"read Job", "store status", "remove finalizer"}},
		"a failure, with what the pods say":            {sj: nthRuns(0), jobs: jobs(0, failed), want: []string{"read SequentialJob", "list pods of Job", "store status", "remove finalizer"}},
		"a Job that is gone": {
			sj:   nthRuns(0),
			want: []string{"read Job", "read SequentialJob", "read Job", "read Job", "store status", "list pods", "list pods of Job", "remove finalizer"},
		},
		"an edit is checked": {
			sj: edited(nthRuns(0), func(*v1alpha1.SequentialJob) {}), jobs: jobs(0, running),
			want: []string{"read SequentialJob", "dry run Job", "store status"},
		},
		"a finalizer that was taken away": {
			sj: edited(nthRuns(0), func(sj *v1alpha1.SequentialJob) { sj.Generation, sj.Finalizers = 1, nil }), jobs: jobs(0, running),
			want: []string{"add finalizer"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var jobs []*batchv1.Job
			if tc.jobs != nil {
				jobs = tc.jobs(tc.sj)
			}
			if diff := cmp.Diff(tc.want, turnOf(tc.sj, jobs, now).Requests); diff != "" {
				t.Errorf("unexpected requests (-want +got):\n%s", diff)
			}
		})
	}
}
