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

// nextCase is one decision: a SequentialJob, its Jobs, and what is to come of them.
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
			if diff := cmp.Diff(tc.want, outcomeOf(sequence.Next(tc.sj, jobs, now))); diff != "" {
				t.Errorf("unexpected plan (-want +got):\n%s", diff)
			}
		})
	}
}

func jobs(index int, options ...jobOption) func(*v1alpha1.SequentialJob) []*batchv1.Job {
	return func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
		return []*batchv1.Job{jobOf(sj, index, options...)}
	}
}

func TestNextRunsOneStepAfterAnother(t *testing.T) {
	var (
		firstRuns  = []string{"etl-0 uid-job-0 Running"}
		firstDone  = []string{"etl-0 uid-job-0 Completed"}
		secondRuns = []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Running"}
	)
	runNext(t, map[string]nextCase{
		"the first step is created": {
			sj:   newSequence("extract", "transform"),
			want: outcome{Create: "etl-0", Finalizer: true},
		},
		"the Job of the first step is recorded once it exists": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0),
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: firstRuns,
				Events: []string{"Normal JobStarted: Started job 0"},
			},
		},
		"nothing is created while a step runs": {
			sj:   nthRuns(0),
			jobs: jobs(0),
			want: outcome{Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: firstRuns},
		},
		"the next step is created when the Job is Complete": {
			sj:   nthRuns(0),
			jobs: jobs(0, complete),
			want: outcome{
				Create: "etl-1", Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobCompleted", Steps: firstDone,
				Events: []string{"Normal JobCompleted: Job 0 completed successfully"},
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
			want: outcome{Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: firstRuns},
		},
		"a succeeded pod is not success yet": {
			sj:   nthRuns(0),
			jobs: jobs(0, func(job *batchv1.Job) { job.Status.Succeeded = 1; job.Status.CompletionTime = &ended }),
			want: outcome{Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: firstRuns},
		},
		"Complete that is not True is not success": {
			sj: nthRuns(0),
			jobs: jobs(0, withCondition(batchv1.JobComplete, corev1.ConditionFalse, "", ""),
				withCondition(batchv1.JobFailed, corev1.ConditionUnknown, "", "")),
			want: outcome{Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: firstRuns},
		},
		"FailureTarget is not failure yet": {
			sj:   nthRuns(0),
			jobs: jobs(0, withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "BackoffLimitExceeded", "")),
			want: outcome{Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: firstRuns},
		},
		"a sequence of which nothing was recorded is caught up with at once": {
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
			sj: nthRuns(2),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
				return []*batchv1.Job{jobOf(sj, 2, complete)}
			},
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
				Phase: v1alpha1.SequentialJobCompleted, Reason: "Completed", Steps: firstDone,
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
	runNext(t, map[string]nextCase{
		"a failed Job fails the sequence": {
			sj:   nthRuns(0),
			jobs: jobs(0, failed),
			want: outcome{
				Phase: v1alpha1.SequentialJobFailed, Reason: "BackoffLimitExceeded", Steps: failedFirst,
				Events: []string{"Warning JobFailed: Job 0 (extract) failed: BackoffLimitExceeded: Job has reached the backoff limit"},
			},
		},
		"a Job that is both Failed and Complete has failed": {
			sj:   nthRuns(0),
			jobs: jobs(0, complete, failed),
			want: outcome{
				Phase: v1alpha1.SequentialJobFailed, Reason: "BackoffLimitExceeded", Steps: failedFirst,
				Events: []string{"Warning JobFailed: Job 0 (extract) failed: BackoffLimitExceeded: Job has reached the backoff limit"},
			},
		},
		"a Job that failed before it was recorded fails the sequence": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0, failed),
			want: outcome{
				Phase: v1alpha1.SequentialJobFailed, Reason: "BackoffLimitExceeded", Steps: failedFirst,
				Events: []string{
					"Normal JobStarted: Started job 0",
					"Warning JobFailed: Job 0 (extract) failed: BackoffLimitExceeded: Job has reached the backoff limit",
				},
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
			sj: func() *v1alpha1.SequentialJob {
				sj := nthRuns(0)
				sj.Status.Steps[0].State = v1alpha1.StepFailed
				return sj
			}(),
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
			sj.Status = sequence.Next(sj, []*batchv1.Job{jobOf(sj, 0, end)}, now).Status
			want := *sj.Status.DeepCopy()

			// Neither new steps, a changed Job nor a lost one starts it again.
			sj.Generation = 2
			sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: "more"})
			want.ObservedGeneration = 2
			for i := range want.Conditions {
				want.Conditions[i].ObservedGeneration = 2
			}
			for _, jobs := range [][]*batchv1.Job{nil, {jobOf(sj, 0)}, {jobOf(sj, 0, complete), jobOf(sj, 1)}} {
				plan := sequence.Next(sj, jobs, now.Add(time.Hour))
				if diff := cmp.Diff(sequence.Plan{Status: want}, plan); diff != "" {
					t.Errorf("a finished sequence moved (-want +got):\n%s", diff)
				}
			}
		})
	}
}
