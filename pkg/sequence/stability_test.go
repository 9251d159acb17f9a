package sequence_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

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
		second := sequence.Next(sj, jobs, now.Add(time.Hour))
		// What is there to do stays; what has been told is not told again.
		first.Events, first.Failed = nil, nil
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

// FuzzNext feeds Next with any status that the CRD's schema lets through and any Jobs: it neither panics nor creates a
// Job beside one of its own that has not ended.
func FuzzNext(f *testing.F) {
	f.Add([]byte{}, []byte{}, uint8(0), uint8(0), int64(0))
	f.Add([]byte{0}, []byte{0}, uint8(2), uint8(1), int64(1))
	f.Add([]byte{1, 0}, []byte{1, 2}, uint8(3), uint8(1), int64(1))
	f.Add([]byte{1, 1, 1}, []byte{1, 1, 1}, uint8(2), uint8(1), int64(2))
	f.Add([]byte{1, 2, 9}, []byte{3, 4, 5, 6, 7}, uint8(1), uint8(3), int64(3))
	f.Add([]byte{0, 0, 0}, []byte{2, 2, 2}, uint8(0), uint8(4), int64(-1))
	f.Fuzz(func(t *testing.T, steps, jobs []byte, containers, phase uint8, generation int64) {
		sj := anySequence(steps, containers, phase, generation)
		found := anyJobs(sj, jobs)
		plan := sequence.Next(sj, found, now)
		if plan.Create != nil {
			if sequence.Finished(&plan.Status) {
				t.Error("a Job is created for a sequence that has ended")
			}
			for _, job := range found {
				if job.UID == types.UID("uid-job-"+fmt.Sprint(len(plan.Status.Steps)-1)) && !hasEnded(job) && lastRuns(sj) {
					t.Errorf("a Job is created while %s runs", job.Name)
				}
			}
			plan.Blocked(sj, "JobCreateFailed", "no", created)
			plan.Waiting(sj, "JobCreateFailed", "no", created)
			plan.Invalid(sj, plan.CreateIndex, "no", created)
		}
		plan.WithFailureDetail(sj, found, "why", now)
	})
}

func lastRuns(sj *v1alpha1.SequentialJob) bool {
	n := len(sj.Status.Steps)
	return n > 0 && sj.Status.Steps[n-1].State == v1alpha1.StepRunning
}

func hasEnded(job *batchv1.Job) bool {
	for _, c := range job.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return true
		}
	}
	return false
}

func anySequence(steps []byte, containers, phase uint8, generation int64) *v1alpha1.SequentialJob {
	phases := []v1alpha1.SequentialJobPhase{"", "Pending", "Running", "Suspended", "Completed", "Failed"}
	states := []v1alpha1.StepState{v1alpha1.StepRunning, v1alpha1.StepCompleted, v1alpha1.StepFailed, ""}
	sj := newSequence()
	for i := range containers % 5 {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: fmt.Sprintf("step-%d", i)})
	}
	sj.Generation = generation
	sj.Status.Phase = phases[int(phase)%len(phases)]
	sj.Status.ObservedGeneration = int64(phase)
	for i := range min(len(steps), v1alpha1.MaxSteps) {
		sj.Status.Steps = append(sj.Status.Steps, v1alpha1.StepStatus{
			Name: fmt.Sprintf("step-%d", i), JobName: fmt.Sprintf("etl-%d", i),
			JobUID: types.UID(fmt.Sprintf("uid-job-%d", i)), State: states[int(steps[i])%len(states)],
		})
	}
	if phase > 128 {
		sj.Status.Progress = &v1alpha1.JobProgress{FailedIndex: new(int32(phase))}
	}
	return sj
}

func anyJobs(sj *v1alpha1.SequentialJob, bytes []byte) []*batchv1.Job {
	options := []jobOption{func(*batchv1.Job) {}, complete, failed, suspended, ownedByAnother, terminating,
		func(job *batchv1.Job) { job.Labels = nil }, func(job *batchv1.Job) { job.OwnerReferences = nil }}
	// The names come from a longer sequence, so that there may be Jobs of steps that were edited away.
	wide := sj.DeepCopy()
	for len(wide.Spec.Containers) < len(bytes) {
		wide.Spec.Containers = append(wide.Spec.Containers, corev1.Container{Name: "gone"})
	}
	var out []*batchv1.Job
	for i, b := range bytes {
		out = append(out, jobOf(wide, i, options[int(b)%len(options)], options[int(b/8)%len(options)%4]))
	}
	return out
}
