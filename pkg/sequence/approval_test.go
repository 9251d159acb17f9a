package sequence_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// gate makes a step wait for approval, or gives it.
func gate(step string, closed bool) func(*v1alpha1.SequentialJobSpec) {
	return func(spec *v1alpha1.SequentialJobSpec) {
		spec.StepOverrides = []v1alpha1.StepOverride{{Name: step, Suspend: &closed}}
	}
}

const (
	waitsForLoad  = "Job 1 (load) waits for approval: set stepOverrides[load].suspend to false"
	completedZero = "JobCompleted: Job 0 completed successfully"
)

func TestAStepWaitsForItsApproval(t *testing.T) {
	s := tell(t, "extract", "load")
	gate("load", true)(&s.sj.Spec)
	s.work().wantJobs("etl-0").told = nil
	s.end("etl-0", complete).wantJobs("etl-0").want("Suspended", "False Suspended: "+waitsForLoad).
		wantEvents(completedZero, "Suspended: "+waitsForLoad)
	s.after(time.Hour).work().wantEvents()
	s.edit(gate("load", false)).wantJobs("etl-0", "etl-1").want("Running", "True JobStarted: Started job 1").
		wantEvents("Resumed: No longer suspended", "JobStarted: Started job 1")
	if got := s.sj.Status.ActiveSeconds; got != 0 {
		t.Errorf("the wait counts: %d s", got)
	}
}

func TestTheEndOfAStepAndTheWaitForApprovalAreOneWrite(t *testing.T) {
	s := tell(t, "extract", "load")
	gate("load", true)(&s.sj.Spec)
	s.work()
	complete(s.job("etl-0"))
	turn := turnOf(s.sj, s.jobs, s.now)
	if diff := cmp.Diff([]string{"store status"}, turn.Requests); diff != "" {
		t.Errorf("unexpected requests (-want +got):\n%s", diff)
	}
}

func TestAnApprovalDoesNotConcernAStepThatRuns(t *testing.T) {
	s := tell(t, "extract", "load").work()
	s.told = nil
	s.edit(gate("extract", true)).want("Running", "True JobStarted: Started job 0").
		wantEvents("SpecChanged: Spec changed to generation 2: steps that have not started follow it")
	if isSuspended(s.job("etl-0")) {
		t.Error("its Job is suspended")
	}
	s.end("etl-0", complete).wantJobs("etl-0", "etl-1")
}

func TestTheFirstStepMayWaitForApproval(t *testing.T) {
	s := tell(t, "extract")
	gate("extract", true)(&s.sj.Spec)
	s.work().wantJobs().want("Suspended", "False Suspended: Job 0 (extract) waits for approval: set stepOverrides[extract].suspend to false")
	s.edit(gate("other", true)).wantJobs("etl-0")
}

func TestARetryWaitsForApproval(t *testing.T) {
	s := tell(t, "extract")
	s.sj.Spec.Retries = new(int32(1))
	s.work().edit(gate("extract", true)).end("etl-0", failed).wantJobs("etl-0").
		want("Suspended", "False Suspended: Job 0 (extract) waits for approval: set stepOverrides[extract].suspend to false")
	s.edit(gate("extract", false)).wantJobs("etl-0", "etl-0-r1")
	if got := s.sj.Status.Progress.Retries; got != 1 {
		t.Errorf("%d retries are granted", got)
	}
}

func TestSuspensionIsToldBeforeAnApproval(t *testing.T) {
	s := tell(t, "extract", "load")
	gate("load", true)(&s.sj.Spec)
	s.work().edit(suspend).end("etl-0", complete).want("Suspended", "False Suspended: Suspended by spec.suspend before job 1 (load)")
	s.edit(resume).wantJobs("etl-0").want("Suspended", "False Suspended: "+waitsForLoad)
	s.edit(suspend).edit(gate("load", false)).wantJobs("etl-0").want("Suspended", "False Suspended: Suspended by spec.suspend before job 1 (load)")
	s.edit(resume).wantJobs("etl-0", "etl-1")
}

func TestAnApprovalStopsTheClock(t *testing.T) {
	s := within(100, "extract", "load")(t)
	s.edit(gate("load", true)).after(40*time.Second).end("etl-0", complete).after(time.Hour)
	s.edit(gate("load", false)).wantDeadline("etl-1", 60)
}

// An approval is no reason to go on with a sequence that has failed.
func TestAnApprovalSpendsNoRetry(t *testing.T) {
	s := tell(t, "extract", "load").work().end("etl-0", failed)
	s.sj.Spec.Retries = new(int32(1))
	s.sj.Status.FailedWith.Retries = 1
	s.edit(gate("load", true)).edit(gate("load", false)).wantJobs("etl-0")
	if s.sj.Status.Phase != v1alpha1.SequentialJobFailed {
		t.Errorf("phase %s", s.sj.Status.Phase)
	}
}
