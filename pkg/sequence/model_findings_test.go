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
	sj.Status = sequence.Next(sj, []*batchv1.Job{jobOf(sj, 0)}, now).Status
	sj.Spec.Containers[1].Name, sj.Generation = "edited", 2
	return sj, jobs
}

func TestAnEditedStepsJobProvesThatTheStepBeforeItWasComplete(t *testing.T) {
	sj, jobs := editedAway()
	plan := sequence.Next(sj, jobs[1:], now) // the user also deleted the complete Job
	if got := plan.Status.Steps[0].State; got != v1alpha1.StepCompleted || sequence.Finished(&plan.Status) {
		t.Errorf("step 0 is %s, phase %s: the sequence ends while Job %s runs", got, plan.Status.Phase, jobs[1].Name)
	}
}

func TestADeadlineDoesNotEndASequenceWhileAnEditedStepsJobRuns(t *testing.T) {
	sj, jobs := editedAway()
	sj.Spec.ActiveDeadlineSeconds = new(int64(1))
	plan := sequence.Next(sj, jobs, now)
	if sequence.Finished(&plan.Status) {
		t.Errorf("phase %s: the sequence ends while Job %s runs", plan.Status.Phase, jobs[1].Name)
	}
}

// A controller ended after it had created the Job of step 0, and that Job is complete by now. If the next controller creates
// the Job of step 1 before the start of step 0 is recorded, and ends too, there are two Jobs that no status names. Whoever
// then works on a cache that lacks the second does not find it by NextJobName, which is that of the first, and completes the
// sequence beside it if the user has removed step 1. And if the first is deleted, step 0 is started beside step 1.
func TestAStepStartsOnlyOnceTheStartOfTheOneBeforeIsRecorded(t *testing.T) {
	sj := newSequence("extract", "transform")
	jobs := []*batchv1.Job{jobOf(sj, 0, complete)}
	plan := sequence.Next(sj, jobs, now)
	if plan.Create != nil || !plan.Again || plan.Status.Steps[0].State != v1alpha1.StepCompleted {
		t.Fatalf("again %v, create %v, steps %v: two Jobs would exist that no status names", plan.Again, plan.Create != nil, plan.Status.Steps)
	}
	sj.Status = plan.Status
	if plan = sequence.Next(sj, jobs, now); plan.Create == nil || plan.CreateIndex != 1 || plan.Again {
		t.Errorf("again %v, create %v: step 1 should start", plan.Again, plan.Create != nil)
	}
}

func TestAForgedFailedIndexDoesNotPanic(_ *testing.T) {
	sj := nthRuns(0)
	sj.Status.Progress.FailedIndex = new(int32(-1))
	sequence.Next(sj, []*batchv1.Job{jobOf(sj, 0)}, now)
}

func TestAJobFromAnotherAgeIsLookedAtAgain(t *testing.T) {
	sj := nthRuns(0)
	job := jobOf(sj, 0)
	job.CreationTimestamp = metav1.NewTime(now.AddDate(400, 0, 0))
	if plan := sequence.Next(sj, []*batchv1.Job{job}, now); plan.LookAgain <= 0 {
		t.Errorf("look again after %v", plan.LookAgain)
	}
}
