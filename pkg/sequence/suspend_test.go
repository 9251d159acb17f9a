package sequence_test

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func suspend(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) }
func resume(spec *v1alpha1.SequentialJobSpec)  { spec.Suspend = new(false) }

func TestSuspendingStopsTheRunningStepAndResumingGoesOnWithIt(t *testing.T) {
	s := tell(t, "extract", "load").work().wantEvents("JobStarted: Started job 0")
	s.edit(suspend).want("Suspended", "False Suspended: Job 0 (extract) is suspended by spec.suspend").
		wantEvents("Suspended: Job 0 (extract) is suspended by spec.suspend")
	if job := s.job("etl-0"); !*job.Spec.Suspend || job.Annotations[v1alpha1.SuspendedByAnnotation] == "" {
		t.Errorf("the Job is not suspended, or does not say by whom: %v", job)
	}
	s.edit(resume).want("Running", "True JobStarted: Started job 0").wantEvents("Resumed: Job 0 (extract) is no longer suspended")
	if job := s.job("etl-0"); *job.Spec.Suspend || job.Annotations[v1alpha1.SuspendedByAnnotation] != "" {
		t.Errorf("the Job is still suspended, or says so: %v", job)
	}
	s.end("etl-0", complete).end("etl-1", complete).wantJobs("etl-0", "etl-1").
		want("Completed", "False Completed: All 2 steps completed successfully")
}

func TestASequenceThatIsSuspendedFromBirthStartsNothing(t *testing.T) {
	s := tell(t, "extract", "load")
	s.sj.Spec.Suspend = new(true)
	s.work().wantJobs().want("Suspended", "False Suspended: Suspended by spec.suspend before job 0 (extract)").
		wantEvents("Suspended: Suspended by spec.suspend before job 0 (extract)")
	s.edit(resume).wantJobs("etl-0").want("Running", "True JobStarted: Started job 0").
		wantEvents("Resumed: No longer suspended", "JobStarted: Started job 0")
}

func TestAStepThatEndsWhileItIsBeingSuspendedIsNotRepeated(t *testing.T) {
	s := tell(t, "extract", "load").work()
	complete(s.job("etl-0"))
	s.told = nil
	s.edit(suspend).wantJobs("etl-0").want("Suspended", "False Suspended: Suspended by spec.suspend before job 1 (load)").
		wantEvents("JobCompleted: Job 0 completed successfully", "Suspended: Suspended by spec.suspend before job 1 (load)")
	s.edit(resume).wantJobs("etl-0", "etl-1").wantEvents("Resumed: No longer suspended", "JobStarted: Started job 1")
}

func TestSuspendingComesTooLateForTheLastStep(t *testing.T) {
	s := tell(t, "only").work()
	complete(s.job("etl-0"))
	s.edit(suspend).want("Completed", "False Completed: The only step completed successfully")
	s.edit(resume).want("Completed", "False Completed: The only step completed successfully")
}

func TestAFailedStepFailsASuspendedSequence(t *testing.T) {
	s := tell(t, "extract", "load").work().edit(suspend)
	s.end("etl-0", failed).want("Failed", "False BackoffLimitExceeded: Job 0 (extract) failed: BackoffLimitExceeded: Job has reached the backoff limit")
}

func TestAJobThatWasCreatedJustBeforeTheSuspensionIsSuspended(t *testing.T) {
	s := tell(t, "extract")
	s.create(jobOf(s.sj, 0))
	s.edit(suspend).wantJobs("etl-0").want("Suspended", "False Suspended: Job 0 (extract) is suspended by spec.suspend")
	if !*s.job("etl-0").Spec.Suspend {
		t.Error("the Job runs on")
	}
}

func TestWhatAQueueSuspendedIsNeverResumed(t *testing.T) {
	queued := func(job *batchv1.Job) {
		job.Spec.Suspend = new(true)
		job.Labels["kueue.x-k8s.io/queue-name"] = "nightly"
	}
	s := tell(t, "extract").work()
	queued(s.job("etl-0"))
	s.told = nil
	s.work().want("Suspended", `False Suspended: Job 0 (extract) is suspended: it waits in queue "nightly"`).
		wantEvents(`Suspended: Job 0 (extract) is suspended: it waits in queue "nightly"`)
	s.edit(suspend).edit(resume)
	if job := s.job("etl-0"); !*job.Spec.Suspend {
		t.Error("the queue's suspension was undone")
	}
	s.wantEvents("SpecChanged: Spec changed to generation 2: steps that have not started follow it",
		"SpecChanged: Spec changed to generation 3: steps that have not started follow it")
	s.job("etl-0").Spec.Suspend = new(false)
	s.work().want("Running", "True JobStarted: Started job 0").wantEvents("Resumed: Job 0 (extract) is no longer suspended")
}

// Kueue resumes whatever it has admitted. To suspend it would begin a fight that nobody wins, and stop the pods each time.
func TestWhatAQueueLetsRunIsNotSuspended(t *testing.T) {
	s := tell(t, "extract", "load").work()
	s.job("etl-0").Labels["kueue.x-k8s.io/queue-name"] = "nightly"
	const goesOn = "Job 0 (extract) goes on, because only its queue can stop it; nothing starts after it while spec.suspend is true"
	s.told = nil
	s.edit(suspend).want("Running", "True JobStarted: "+goesOn).
		wantEvents("Suspended: " + goesOn)
	if job := s.job("etl-0"); job.Spec.Suspend != nil && *job.Spec.Suspend || job.Annotations[v1alpha1.SuspendedByAnnotation] != "" {
		t.Errorf("the Job was changed: %v", job)
	}
	s.told = nil
	s.work().wantEvents().edit(resume).want("Running", "True JobStarted: Started job 0")
	s.edit(suspend).end("etl-0", complete).wantJobs("etl-0").
		want("Suspended", "False Suspended: Suspended by spec.suspend before job 1 (load)")
}

// Somebody lets the step go on while the user has suspended the sequence: the user's word counts, and later the user's
// suspension is the one to be undone.
func TestTheUsersSuspensionOutlastsTheQueues(t *testing.T) {
	s := tell(t, "extract").work()
	s.job("etl-0").Spec.Suspend = new(true)
	s.work().edit(suspend)
	s.job("etl-0").Spec.Suspend = new(false)
	s.work().want("Suspended", "False Suspended: Job 0 (extract) is suspended by spec.suspend")
	if job := s.job("etl-0"); !*job.Spec.Suspend || job.Annotations[v1alpha1.SuspendedByAnnotation] == "" {
		t.Errorf("it runs: %v", job)
	}
	s.edit(resume).want("Running", "True JobStarted: Started job 0")
}

// Somebody else resumed a Job that we had suspended, and suspends it later for reasons of their own.
func TestTheMarkOfOurSuspensionGoesWithIt(t *testing.T) {
	s := tell(t, "extract").work().edit(suspend)
	s.sj.Spec.Suspend = nil
	s.job("etl-0").Spec.Suspend = new(false)
	s.work()
	if job := s.job("etl-0"); job.Annotations[v1alpha1.SuspendedByAnnotation] != "" {
		t.Errorf("it still carries the mark: %v", job.Annotations)
	}
	s.job("etl-0").Spec.Suspend = new(true)
	s.work().want("Suspended", "False Suspended: Job 0 (extract) is suspended, and not by spec.suspend")
}

// A queue lets the step run, and its pod does not start: both are said, whichever came first.
func TestWhatAQueueLetsRunAndWhatKeepsItAreBothSaid(t *testing.T) {
	const goesOn = "Job 0 (extract) goes on, because only its queue can stop it; nothing starts after it while spec.suspend is true"
	const stuck = "Job 0 (extract) has no running pod: Unschedulable: no node"
	queued := func(s *story) { s.job("etl-0").Labels["kueue.x-k8s.io/queue-name"] = "nightly" }

	s := tell(t, "extract", "load").work()
	queued(s)
	s.edit(suspend).told = nil
	s.stuck(unschedulable("no node")).want("Running", "True PodNotStarted: "+stuck+"; "+goesOn).
		wantEvents("PodNotStarted: " + stuck + "; " + goesOn)
	ready(1)(s.job("etl-0"))
	s.work().want("Running", "True JobStarted: Started job 0; "+goesOn).wantEvents()

	s = tell(t, "extract", "load").work()
	queued(s)
	s.stuck(unschedulable("no node")).told = nil
	s.edit(suspend).want("Running", "True PodNotStarted: "+stuck+"; "+goesOn)
	s.edit(resume).want("Running", "True PodNotStarted: "+stuck)
	ready(1)(s.job("etl-0"))
	s.work().want("Running", "True JobStarted: Started job 0")
}
