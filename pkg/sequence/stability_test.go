package sequence_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// jobVariants are the ways in which the Job of a step may be found.
var jobVariants = map[string][]jobOption{
	"running": {}, "complete": {complete}, "failed": {failed}, "both": {complete, failed},
	"suspended": {suspended}, "foreign": {ownedByAnother, complete}, "terminating": {terminating},
}

// forEachSituation calls f with every stored status of a short sequence and every set of Jobs that may come with it.
func forEachSituation(t *testing.T, f func(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job)) {
	t.Helper()
	for before, beforeOptions := range jobVariants {
		for after, afterOptions := range jobVariants {
			for next, nextOptions := range jobVariants {
				t.Run(fmt.Sprintf("%s, then %s and next %s", before, after, next), func(t *testing.T) {
					sj := newSequence("extract", "transform")
					sj.Status = sequence.Next(sj, []*batchv1.Job{jobOf(sj, 0, beforeOptions...)}, now.Add(-time.Minute)).Status
					f(t, sj, []*batchv1.Job{jobOf(sj, 0, afterOptions...), jobOf(sj, 1, nextOptions...)})
				})
			}
		}
	}
}

func TestNextIsIdempotent(t *testing.T) {
	forEachSituation(t, func(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job) {
		first := sequence.Next(sj, jobs, now)
		sj.Status = *first.Status.DeepCopy()
		if first.Again {
			first = sequence.Next(sj, jobs, now)
			sj.Status = *first.Status.DeepCopy()
		}
		second := sequence.Next(sj, jobs, now.Add(time.Hour))
		// What is there to do stays; what has been told is not told again.
		first.Events, first.Failed, first.Absent, second.Absent = nil, nil, nil, nil
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("deciding again changed the plan (-first +second):\n%s", diff)
		}
	})
}

func TestNextIsDeterministic(t *testing.T) {
	forEachSituation(t, func(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job) {
		if diff := cmp.Diff(sequence.Next(sj, jobs, now), sequence.Next(sj, []*batchv1.Job{jobs[1], jobs[0]}, now)); diff != "" {
			t.Errorf("the order of the Jobs matters:\n%s", diff)
		}
	})
}

func TestNextLeavesItsArgumentsAlone(t *testing.T) {
	forEachSituation(t, func(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job) {
		sj.Generation++
		wantSJ := sj.DeepCopy()
		wantJobs := []*batchv1.Job{jobs[0].DeepCopy(), jobs[1].DeepCopy()}
		plan := sequence.Next(sj, jobs, now)
		scribble(&plan)
		for _, derived := range []sequence.Plan{
			plan.Blocked(sj, "JobNameConflict", "taken", created),
			plan.Waiting(sj, "JobCreateFailed", "busy", created),
			plan.Invalid(sj, 0, "wrong", created),
			plan.WithFailureDetail(sj, jobs, "exit code 2", now),
		} {
			scribble(&derived)
		}
		if diff := cmp.Diff(wantSJ, sj); diff != "" {
			t.Errorf("the SequentialJob changed:\n%s", diff)
		}
		if diff := cmp.Diff(wantJobs, jobs); diff != "" {
			t.Errorf("a Job changed:\n%s", diff)
		}
	})
}

// scribble changes whatever a plan might share with the arguments that it was made of.
func scribble(plan *sequence.Plan) {
	status := &plan.Status
	for i := range status.Conditions {
		status.Conditions[i].Message += "!"
	}
	for i := range status.Steps {
		status.Steps[i].Message += "!"
		if t := status.Steps[i].StartTime; t != nil {
			t.Time = t.Add(time.Second)
		}
		if t := status.Steps[i].CompletionTime; t != nil {
			t.Time = t.Add(time.Second)
		}
	}
	for i := range status.Progress.CompletedIndices {
		status.Progress.CompletedIndices[i]++
	}
	status.State.Active++
	if plan.Create != nil {
		plan.Create.Labels["scribbled"] = "true"
	}
}

func TestPlansAreIndependent(t *testing.T) {
	sj := nthRuns(0)
	plan := sequence.Next(sj, []*batchv1.Job{jobOf(sj, 0, complete)}, now)
	want := sequence.Next(sj, []*batchv1.Job{jobOf(sj, 0, complete)}, now)
	blocked := plan.Blocked(sj, "JobNameConflict", "taken", created)
	invalid := plan.Invalid(sj, 1, "wrong", created)
	scribble(&blocked)
	scribble(&invalid)
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("deriving a plan changed the one it came from:\n%s", diff)
	}
}

func hasEnded(job *batchv1.Job) bool {
	for _, c := range job.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return true
		}
	}
	return false
}
