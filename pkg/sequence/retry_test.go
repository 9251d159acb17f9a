package sequence_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

const backoff = "BackoffLimitExceeded: Job has reached the backoff limit"

func retries(n int32) func(*v1alpha1.SequentialJobSpec) {
	return func(spec *v1alpha1.SequentialJobSpec) { spec.Retries = &n }
}

// conditionsNow are the types of the conditions that are True.
func (s *story) conditionsNow() []string {
	var out []string
	for _, c := range s.sj.Status.Conditions {
		if c.Status == "True" {
			out = append(out, c.Type)
		}
	}
	return out
}

func TestAFailedStepIsRetriedWithinTheBudget(t *testing.T) {
	s := tell(t, "extract", "load")
	s.sj.Spec.Retries = new(int32(2))
	s.work().end("etl-0", complete).told = nil
	s.end("etl-1", failed).wantJobs("etl-0", "etl-1", "etl-1-r1").want("Running", "True JobStarted: Started job 1 again as etl-1-r1").
		wantEvents("JobFailed: Job 1 (load) failed: "+backoff, "Retrying: Retrying job 1 (load), retry 1 of 2",
			"JobStarted: Started job 1 again as etl-1-r1")
	if diff := cmp.Diff([]string{"Progressing", "Reconciling"}, s.conditionsNow()); diff != "" {
		t.Errorf("conditions:\n%s", diff)
	}
	s.end("etl-1-r1", failed).wantJobs("etl-0", "etl-1", "etl-1-r1", "etl-1-r2").told = nil
	step := s.sj.Status.Steps[1]
	if step.Retries != 2 || s.sj.Status.Progress.Retries != 2 || step.JobName != "etl-1-r2" || step.Message != "" || step.CompletionTime != nil {
		t.Errorf("step %+v, progress %+v", step, s.sj.Status.Progress)
	}
	s.end("etl-1-r2", failed).want("Failed", "False BackoffLimitExceeded: Job 1 (load) failed again as etl-1-r2: "+backoff).
		wantEvents("JobFailed: Job 1 (load) failed again as etl-1-r2: " + backoff)
}

func TestTheBudgetIsThatOfTheWholeSequence(t *testing.T) {
	s := tell(t, "extract", "load")
	s.sj.Spec.Retries = new(int32(1))
	s.work().end("etl-0", failed).end("etl-0-r1", complete).end("etl-1", failed).wantJobs("etl-0", "etl-0-r1", "etl-1").
		want("Failed", "False BackoffLimitExceeded: Job 1 (load) failed: "+backoff)
}

func TestRaisingRetriesResumesAFailedSequence(t *testing.T) {
	s := tell(t, "extract", "load").work().end("etl-0", complete).end("etl-1", failed)
	s.told = nil
	for n, name := range []string{"etl-1-r1", "etl-1-r2", "etl-1-r3"} {
		s.after(time.Hour).edit(retries(int32(n+1))).want("Running", "True JobStarted: Started job 1 again as "+name) //nolint:gosec // 3
		status := s.sj.Status
		if status.CompletionTime != nil || status.Progress.FailedIndex != nil || status.Progress.FailureReason != "" || status.State.Active != 1 {
			t.Errorf("a failed sequence that runs again still looks failed: %+v", status)
		}
		if diff := cmp.Diff([]string{"Progressing", "Reconciling"}, s.conditionsNow()); diff != "" {
			t.Errorf("conditions:\n%s", diff)
		}
		if n < 2 {
			s.end(name, failed)
			if diff := cmp.Diff([]string{"Failed", "Stalled"}, s.conditionsNow()); diff != "" {
				t.Errorf("conditions:\n%s", diff)
			}
		}
	}
	s.end("etl-1-r3", complete).wantJobs("etl-0", "etl-1", "etl-1-r1", "etl-1-r2", "etl-1-r3").
		want("Completed", "False Completed: All 2 steps completed successfully")
	if s.sj.Status.Progress.Retries != 3 {
		t.Errorf("progress %+v", s.sj.Status.Progress)
	}
}

func TestAFailedSequenceStaysFailedWithoutAnotherRetry(t *testing.T) {
	s := tell(t, "extract", "load").work().end("etl-0", failed)
	s.told = nil
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Containers[0].Image = "mended" }).
		edit(suspend).edit(resume).wantEvents().wantJobs("etl-0").want("Failed", "False BackoffLimitExceeded: Job 0 (extract) failed: "+backoff)
	if s.sj.Status.ObservedGeneration != s.sj.Generation {
		t.Error("the edit was not observed")
	}
}

func TestTheFailedStepRunsAsItWasMended(t *testing.T) {
	s := tell(t, "extract", "load").work().end("etl-0", failed)
	s.edit(func(spec *v1alpha1.SequentialJobSpec) {
		spec.Containers[0].Name, spec.Containers[0].Image = "extract2", "mended"
		spec.Retries = new(int32(1))
	})
	if job := s.job("etl-0-r1"); job.Spec.Template.Spec.Containers[0].Image != "mended" {
		t.Errorf("the retry runs %v", job.Spec.Template.Spec.Containers[0])
	}
	if step := s.sj.Status.Steps[0]; step.Name != "extract2" {
		t.Errorf("step %+v", step)
	}
	s.end("etl-0-r1", complete).end("etl-1", complete).want("Completed", "False Completed: All 2 steps completed successfully")
}

func TestAStepWhoseJobWasDeletedIsRetriedOnlyOnceItsPodsHaveEnded(t *testing.T) {
	s := tell(t, "extract")
	s.sj.Spec.Retries = new(int32(1))
	s.work().told = nil
	s.jobs = nil
	plan := sequence.Next(s.sj, s.jobs, s.now)
	if plan.Create != nil || !plan.Again {
		t.Fatalf("the retry is not granted first: %+v", plan)
	}
	s.sj.Status = plan.Status
	if plan = sequence.Next(s.sj, s.jobs, s.now); plan.Create == nil || plan.Create.Name != "etl-0-r1" || !plan.AfterPods {
		t.Errorf("the retry does not wait for pods: %+v", plan)
	}
}

func TestAJobThatIsGoneCountsAsDeletedWhateverElseHappened(t *testing.T) {
	const deleted = "False JobDeleted: Job 0 (extract) failed: JobDeleted: Job etl-0 was deleted before it was seen to end"
	for name, meanwhile := range map[string]func(*story){
		"nothing":     func(*story) {},
		"suspended":   func(s *story) { s.sj.Spec.Suspend = new(true) },
		"out of time": func(s *story) { s.after(time.Hour).sj.Spec.ActiveDeadlineSeconds = new(int64(1)) },
		"edited":      func(s *story) { s.sj.Spec.Containers[1].Name, s.sj.Generation = "other", 2 },
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, "extract", "load").work()
			meanwhile(s)
			s.remove("etl-0").want("Failed", deleted).wantJobs()
		})
	}
}

func TestAFirstStartNeedNotWaitForPods(t *testing.T) {
	if plan := sequence.Next(newSequence("extract"), nil, now); plan.Create == nil || plan.AfterPods {
		t.Errorf("plan %+v", plan)
	}
}

// What was granted is not taken back: its Job may exist already.
func TestLoweringRetriesDoesNotTakeBackWhatWasGranted(t *testing.T) {
	s := tell(t, "extract")
	s.sj.Spec.Retries = new(int32(1))
	s.work()
	failed(s.job("etl-0"))
	s.sj.Status = sequence.Next(s.sj, s.jobs, s.now).Status
	s.edit(retries(0)).wantJobs("etl-0", "etl-0-r1").end("etl-0-r1", failed).
		want("Failed", "False BackoffLimitExceeded: Job 0 (extract) failed again as etl-0-r1: "+backoff)
}

func TestARetryThatIsSuspendedWaits(t *testing.T) {
	s := tell(t, "extract", "load").work().end("etl-0", failed)
	s.told = nil
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Retries, spec.Suspend = new(int32(1)), new(true) }).
		wantJobs("etl-0").want("Suspended", "False Suspended: Suspended by spec.suspend before job 0 (extract)")
	s.edit(resume).wantJobs("etl-0", "etl-0-r1")
}

func TestAnInvalidSequenceGoesOnOnceItIsMended(t *testing.T) {
	sj := newSequence("extract", "load")
	plan := sequence.Next(sj, nil, now).Invalid(sj, 1, "spec.containers[1].image: wrong", ended)
	s := tell(t, "extract", "load")
	s.sj.Status = plan.Status
	s.sj.Spec.Retries = new(int32(1))
	s.work().wantJobs().want("Failed", "False InvalidSpec: "+"InvalidSpec: spec.containers[1].image: wrong")
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Containers[1].Image = "right" }).wantJobs("etl-0").
		wantEvents("Retrying: Retrying job 0 (extract), retry 1 of 1", "JobStarted: Started job 0")
	s.end("etl-0", complete).end("etl-1", complete).want("Completed", "False Completed: All 2 steps completed successfully")
}

func TestACompletedSequenceIsNeverRetried(t *testing.T) {
	s := tell(t, "only").work().end("etl-0", complete)
	s.told = nil
	s.edit(retries(5)).wantEvents().wantJobs("etl-0").want("Completed", "False Completed: The only step completed successfully")
}

func TestJobNamesOfRetriesNeverClash(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a", "a-1", "a-1-r1", "a-1-r1-0", "a-10", "a-r1"} {
		sj := newSequence("x")
		sj.Name = name
		for index := range 12 {
			for retry := range int32(12) {
				job := sequence.JobName(sj, index, retry)
				if other, taken := seen[job]; taken {
					t.Errorf("Job %s belongs to %s and to %s", job, other, name)
				}
				seen[job] = name
			}
		}
	}
}
