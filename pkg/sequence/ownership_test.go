package sequence_test

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// conflict is what comes of a first step whose Job's name is taken.
func conflict(event string) outcome {
	return outcome{
		Finalizer: true, Phase: v1alpha1.SequentialJobPending, Reason: "JobNameConflict",
		Events: []string{"Warning JobNameConflict: " + event},
	}
}

func TestNextKnowsItsJobs(t *testing.T) {
	var (
		firstDone  = []string{"etl-0 uid-job-0 Completed"}
		secondRuns = []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Running"}
		gone       = outcome{
			Phase: v1alpha1.SequentialJobFailed, Reason: "JobDeleted", Steps: []string{"etl-0 uid-job-0 Failed"},
			Events: []string{"Warning JobFailed: Job 0 (extract) failed: JobDeleted: Job etl-0 was deleted before it was seen to end"},
		}
		secondStays = outcome{Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobCompleted", Steps: secondRuns}
	)
	const waits = ": step 0 (extract) starts once that Job is deleted"
	runNext(t, map[string]nextCase{
		"a foreign Job of the first step's name is left alone": {
			sj: newSequence("extract", "transform"),
			jobs: jobs(0, complete, func(job *batchv1.Job) {
				job.UID, job.OwnerReferences[0].UID, job.OwnerReferences[0].Name = "uid-foreign", "uid-other", "other"
			}),
			want: conflict("Job etl-0 exists already and belongs to SequentialJob other" + waits),
		},
		"a Job of a former SequentialJob of this name is waited for, and nobody is told": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0, ownedByAnother, complete),
			want: outcome{Finalizer: true, Phase: v1alpha1.SequentialJobPending, Reason: "JobNameConflict"},
		},
		"a Job without owner is left alone, whatever its labels": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0, func(job *batchv1.Job) { job.OwnerReferences = nil }, complete),
			want: conflict("Job etl-0 exists already and belongs to somebody else" + waits),
		},
		"a Job that we own without controlling it is left alone": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0, func(job *batchv1.Job) { job.OwnerReferences[0].Controller = nil }, complete),
			want: conflict("Job etl-0 exists already and belongs to somebody else" + waits),
		},
		"a foreign Job in place of the running step's counts as its loss": {
			sj:   nthRuns(0),
			jobs: jobs(0, ownedByAnother, complete),
			want: gone,
		},
		"a Job of the same name with another UID is not the step's": {
			sj:   nthRuns(0),
			jobs: jobs(0, func(job *batchv1.Job) { job.UID = "uid-recreated" }, complete),
			want: gone,
		},
		"the recorded UID decides if two Jobs have carried the name": {
			sj: nthRuns(0),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
				other := jobOf(sj, 0, failed)
				other.UID = "uid-recreated"
				return []*batchv1.Job{jobOf(sj, 0, running), other}
			},
			want: stays(),
		},
		"the next step's Job proves that the running step's, now lost, was complete": {
			sj:   nthRuns(0),
			jobs: jobs(1, running),
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobCompleted", Steps: secondRuns,
				Events: []string{"Normal JobCompleted: Job 0 completed successfully", "Normal JobStarted: Started job 1"},
			},
		},
		"a step that is removed just as its Job starts is waited for": {
			sj: nthRuns(0),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
				all := []*batchv1.Job{jobOf(sj, 0, complete), jobOf(sj, 1)}
				sj.Spec.Containers = sj.Spec.Containers[:1]
				return all
			},
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: firstDone,
				Events: []string{"Normal JobCompleted: Job 0 completed successfully"},
			},
		},
		"the loss of the running step's Job fails the sequence": {
			sj:   nthRuns(0),
			want: gone,
		},
		"a running step's Job that is being deleted still counts": {
			sj:   nthRuns(0),
			jobs: jobs(0, terminating),
			want: outcome{Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobEnding", Steps: stays().Steps},
		},
		"the loss of a completed step's Job changes nothing": {
			sj:   nthRuns(1),
			jobs: jobs(1, running),
			want: secondStays,
		},
		"a completed step's Job that now says Failed changes nothing": {
			sj: nthRuns(1),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
				return []*batchv1.Job{jobOf(sj, 0, failed), jobOf(sj, 1, running)}
			},
			want: secondStays,
		},
		"an unrecorded Job of the next step is taken over": {
			sj: ranUntil(func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
				return []*batchv1.Job{jobOf(sj, 0, complete)}
			}),
			jobs: jobs(1, running),
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: secondRuns,
				Events: []string{"Normal JobStarted: Started job 1"},
			},
		},
		"a Job of the right name that runs another step is not taken over": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0, func(job *batchv1.Job) { job.Labels[v1alpha1.StepNameLabel] = "edited-away" }),
			want: conflict(`Job etl-0 runs step "edited-away", which was edited away just as it started` + waits),
		},
		"a Job of a step further on is not this step's": {
			sj: nthRuns(0),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
				return []*batchv1.Job{jobOf(sj, 0, running), jobOf(sj, 2)}
			},
			want: stays(),
		},
		"an edit of a step that has not started is noted": {
			sj:   edited(nthRuns(0), func(sj *v1alpha1.SequentialJob) { sj.Spec.Containers[1].Name = "convert" }),
			jobs: jobs(0, running),
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: stays().Steps,
				Events: []string{"Normal SpecChanged: Spec changed to generation 2: steps that have not started follow it"},
			},
		},
		"a sequence cut down to what is complete is complete": {
			sj: edited(nthRuns(0), func(sj *v1alpha1.SequentialJob) {
				sj.Spec.Containers = sj.Spec.Containers[:1]
			}),
			jobs: jobs(0, complete),
			want: outcome{
				Phase: v1alpha1.SequentialJobCompleted, Reason: "Completed", Steps: firstDone,
				Events: []string{
					"Normal SpecChanged: Spec changed to generation 2: steps that have not started follow it",
					"Normal JobCompleted: Job 0 completed successfully",
					"Normal Completed: The only step completed successfully",
				},
			},
		},
		"fewer steps than have started: the running one is still waited for": {
			sj:   edited(nthRuns(1), func(sj *v1alpha1.SequentialJob) { sj.Spec.Containers = sj.Spec.Containers[:1] }),
			jobs: jobs(0, running, func(job *batchv1.Job) { job.Name, job.UID = "etl-1", "uid-job-1" }),
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobCompleted", Steps: secondRuns,
				Events: []string{"Normal SpecChanged: Spec changed to generation 2: steps that have not started follow it"},
			},
		},
	})
}

func edited(sj *v1alpha1.SequentialJob, edit func(*v1alpha1.SequentialJob)) *v1alpha1.SequentialJob {
	sj.Generation++
	edit(sj)
	return sj
}

func TestNextReportsSuspension(t *testing.T) {
	firstRuns := []string{"etl-0 uid-job-0 Running"}
	isSuspended := func() *v1alpha1.SequentialJob {
		return ranUntil(func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
			return []*batchv1.Job{jobOf(sj, 0, suspended)}
		})
	}
	runNext(t, map[string]nextCase{
		"a Job that a queue holds back is reported as suspended": {
			sj:   nthRuns(0),
			jobs: jobs(0, suspended),
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobSuspended, Reason: "Suspended", Steps: firstRuns,
				Events: []string{"Normal Suspended: Job 0 (extract) is suspended, and not by spec.suspend"},
			},
		},
		"a Job that starts suspended is reported as started and suspended": {
			sj:   newSequence("extract", "transform"),
			jobs: jobs(0, suspended),
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobSuspended, Reason: "Suspended", Steps: firstRuns,
				Events: []string{"Normal JobStarted: Started job 0", "Normal Suspended: Job 0 (extract) is suspended, and not by spec.suspend"},
			},
		},
		"a Job that stays suspended is reported once": {
			sj:   isSuspended(),
			jobs: jobs(0, suspended),
			want: outcome{Finalizer: true, Phase: v1alpha1.SequentialJobSuspended, Reason: "Suspended", Steps: firstRuns},
		},
		"a Job that is let go on is reported as resumed": {
			sj:   isSuspended(),
			jobs: jobs(0, func(job *batchv1.Job) { job.Spec.Suspend = new(false) }),
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobStarted", Steps: stays().Steps,
				Events: []string{"Normal Resumed: Job 0 (extract) is no longer suspended"},
			},
		},
		"a suspended Job that was let go on and completed unseen": {
			sj:   isSuspended(),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job { return upTo(sj, 1) },
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobCompleted",
				Steps:  []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Running"},
				Events: []string{"Normal JobCompleted: Job 0 completed successfully", "Normal JobStarted: Started job 1"},
			},
		},
		"the next step's Job is held back too": {
			sj: isSuspended(),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
				return []*batchv1.Job{jobOf(sj, 0, complete), jobOf(sj, 1, suspended)}
			},
			want: outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobSuspended, Reason: "Suspended",
				Steps: []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Running"},
				Events: []string{
					"Normal JobCompleted: Job 0 completed successfully", "Normal JobStarted: Started job 1",
					"Normal Suspended: Job 1 (transform) is suspended, and not by spec.suspend",
				},
			},
		},
		"a suspended Job that is deleted fails the sequence": {
			sj: isSuspended(),
			want: outcome{
				Phase: v1alpha1.SequentialJobFailed, Reason: "JobDeleted", Steps: []string{"etl-0 uid-job-0 Failed"},
				Events: []string{"Warning JobFailed: Job 0 (extract) failed: JobDeleted: Job etl-0 was deleted before it was seen to end"},
			},
		},
	})
}

func TestNextDeletion(t *testing.T) {
	deleted := func(sj *v1alpha1.SequentialJob, finalizers ...string) *v1alpha1.SequentialJob {
		sj.DeletionTimestamp = new(metav1.NewTime(now))
		sj.Finalizers = append([]string{v1alpha1.CleanupFinalizer}, finalizers...)
		return sj
	}
	secondRuns := outcome{
		Phase: v1alpha1.SequentialJobRunning, Reason: "JobCompleted",
		Steps: []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Running"},
	}
	with := func(finalizer bool, jobs ...string) outcome {
		out := secondRuns
		out.Finalizer, out.Delete = finalizer, jobs
		return out
	}
	runNext(t, map[string]nextCase{
		"Jobs that run are deleted, recorded or not; the garbage collector takes those that have ended": {
			sj: deleted(nthRuns(1)),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job {
				return append(upTo(sj, 1), jobOf(sj, 2))
			},
			want: with(true, "etl-1", "etl-2"),
		},
		"a Job that is being deleted is waited for, not deleted again": {
			sj:   deleted(nthRuns(1)),
			jobs: jobs(1, terminating),
			want: with(true),
		},
		"a foreign Job is neither deleted nor waited for": {
			sj:   deleted(nthRuns(1)),
			jobs: jobs(2, ownedByAnother),
			want: with(false),
		},
		"it may go once its Jobs are gone": {
			sj:   deleted(nthRuns(1)),
			want: with(false),
		},
		"Jobs are left alone if the user asked for that": {
			sj:   deleted(nthRuns(1), metav1.FinalizerOrphanDependents),
			jobs: func(sj *v1alpha1.SequentialJob) []*batchv1.Job { return upTo(sj, 1) },
			want: with(false),
		},
		"nothing is created for one that never started": {
			sj:   deleted(newSequence("extract")),
			want: outcome{},
		},
		"the next step is not created when the Job completes during deletion": {
			sj:   deleted(nthRuns(1)),
			jobs: jobs(1, complete, terminating),
			want: with(false),
		},
	})
}
