package sequence_test

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What the random walk and the model found, each in the fewest words.

// editedAway returns a sequence whose status says that step 0 runs while the Job of step 1 was created already, by a
// controller that ended before it could record that; then the user edited step 1.
func editedAway() (*v1alpha1.SequentialJob, []*batchv1.Job) {
	sj := newSequence("extract", "transform")
	jobs := []*batchv1.Job{jobOf(sj, 0, complete), jobOf(sj, 1)}
	sj.Status = turnOf(sj, upTo(sj, 0), now).Status
	sj.Spec.Containers[1].Name, sj.Generation = "edited", 2
	return sj, jobs
}

func TestAnEditedStepsJobProvesThatTheStepBeforeItWasComplete(t *testing.T) {
	sj, jobs := editedAway()
	turn := turnOf(sj, jobs[1:], now) // the user also deleted the complete Job
	if got := turn.Status.Steps[0].State; got != v1alpha1.StepCompleted || sequence.Finished(&turn.Status) {
		t.Errorf("step 0 is %s, phase %s: the sequence ends while Job %s runs", got, turn.Status.Phase, jobs[1].Name)
	}
}

func TestADeadlineDoesNotEndASequenceWhileAnEditedStepsJobRuns(t *testing.T) {
	sj, jobs := editedAway()
	sj.Spec.ActiveDeadlineSeconds = new(int64(1))
	turn := turnOf(sj, jobs, now)
	if sequence.Finished(&turn.Status) {
		t.Errorf("phase %s: the sequence ends while Job %s runs", turn.Status.Phase, jobs[1].Name)
	}
}

// A controller ended after it had created the Job of step 0, and that Job is complete by now. If the next controller creates
// the Job of step 1 before the start of step 0 is recorded, and ends too, there are two Jobs that no status names. Whoever
// then works on a cache that lacks the second does not find it by NextJobName, which is that of the first, and completes the
// sequence beside it if the user has removed step 1. And if the first is deleted, step 0 is started beside step 1.
func TestAStepStartsOnlyOnceTheStartOfTheOneBeforeIsRecorded(t *testing.T) {
	sj := newSequence("extract", "transform")
	jobs := []*batchv1.Job{jobOf(sj, 0, complete)}
	turn := turnOf(sj, jobs, now)
	if turn.Create != nil || !turn.Last.AtOnce || turn.Status.Steps[0].State != v1alpha1.StepCompleted {
		t.Fatalf("%q, at once %v, steps %v: two Jobs would exist that no status names", turn.Requests, turn.Last.AtOnce, turn.Status.Steps)
	}
	sj.Status = turn.Status
	if turn = turnOf(sj, jobs, now); turn.Create == nil || turn.Create.Name != "etl-1" || turn.Last.AtOnce {
		t.Errorf("%q, at once %v: step 1 should start", turn.Requests, turn.Last.AtOnce)
	}
}

func TestAForgedFailedIndexDoesNotPanic(_ *testing.T) {
	sj := nthRuns(0)
	sj.Status.Progress.FailedIndex = new(int32(-1))
	turnOf(sj, []*batchv1.Job{jobOf(sj, 0)}, now)
}

func TestAJobFromAnotherAgeIsLookedAtAgain(t *testing.T) {
	sj := nthRuns(0)
	job := jobOf(sj, 0)
	job.CreationTimestamp = metav1.NewTime(now.AddDate(400, 0, 0))
	if turn := turnOf(sj, []*batchv1.Job{job}, now); turn.Last.LookAgain <= 0 {
		t.Errorf("look again after %v", turn.Last.LookAgain)
	}
}

func TestAnInvalidStepDoesNotEndASequenceWhileAnEditedStepsJobRuns(t *testing.T) {
	for name, cached := range map[string]bool{"cached": true, "not cached": false} {
		t.Run(name, func(t *testing.T) {
			sj := newSequence("extract", "transform")
			api := &server{jobs: upTo(sj, 0), refuse: invalidStep(1, "image", "wrong")}
			facts := sequence.Facts{Now: now, SequentialJob: sj}
			if cached {
				facts.Jobs = api.jobs
			}
			sj.Spec.Containers[0].Name, sj.Generation = "edited", 2
			turn, _ := api.play(facts)
			if sequence.Finished(&turn.Status) || !turn.Last.TryAgain {
				t.Errorf("phase %s after %q: the sequence ends while Job etl-0 runs", turn.Status.Phase, turn.Requests)
			}
		})
	}
}
