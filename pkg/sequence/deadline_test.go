package sequence_test

import (
	"math"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func within(seconds int64, steps ...string) func(*testing.T) *story {
	return func(t *testing.T) *story {
		s := tell(t, steps...)
		s.sj.Spec.ActiveDeadlineSeconds = &seconds
		return s.work()
	}
}

// wantDeadline checks the activeDeadlineSeconds that a Job carries; -1 stands for none.
func (s *story) wantDeadline(name string, want int64) *story {
	s.t.Helper()
	if got := ptr.Deref(s.job(name).Spec.ActiveDeadlineSeconds, -1); got != want {
		s.t.Errorf("Job %s has activeDeadlineSeconds %d, want %d", name, got, want)
	}
	return s
}

func outOfTime(job *batchv1.Job) {
	withCondition(batchv1.JobFailed, "True", "DeadlineExceeded", "Job was active longer than specified deadline")(job)
}

func deadline(seconds int64) func(*v1alpha1.SequentialJobSpec) {
	return func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = &seconds }
}

func TestEachJobCarriesWhatIsLeftOfTheDeadline(t *testing.T) {
	s := within(100, "extract", "load")(t).wantDeadline("etl-0", 100)
	s.after(30*time.Second).end("etl-0", complete).wantDeadline("etl-1", 70)
	s.after(70*time.Second).end("etl-1", outOfTime).
		want("Failed", "False DeadlineExceeded: Job 1 (load) failed: DeadlineExceeded: the sequence was active for longer than its activeDeadlineSeconds (100)")
	if s.sj.Status.ActiveSeconds != 100 || s.sj.Status.ActiveSince != nil {
		t.Errorf("status %+v", s.sj.Status)
	}
}

func TestWithoutADeadlineJobsHaveNone(t *testing.T) {
	tell(t, "extract").work().wantDeadline("etl-0", -1)
}

func TestTimeSpentSuspendedDoesNotCount(t *testing.T) {
	s := within(100, "extract", "load")(t)
	s.after(40*time.Second).edit(suspend).after(time.Hour).edit(resume).wantDeadline("etl-0", 60)
	s.after(10*time.Second).end("etl-0", complete).wantDeadline("etl-1", 50)
	// Between two steps, and by a queue.
	s.job("etl-1").Spec.Suspend = new(true)
	s.work().after(time.Hour)
	s.job("etl-1").Spec.Suspend, s.job("etl-1").Status.StartTime = new(false), new(metav1.NewTime(s.now))
	s.work().wantDeadline("etl-1", 50)
}

func TestNoStepStartsOnceTheTimeIsUp(t *testing.T) {
	s := within(100, "extract", "load")(t).after(100 * time.Second)
	s.told = nil
	const message = "Job 1 (load) was not started: DeadlineExceeded: the sequence was active for longer than its activeDeadlineSeconds (100)"
	s.end("etl-0", complete).wantJobs("etl-0").want("Failed", "False DeadlineExceeded: "+message).
		wantEvents("JobCompleted: Job 0 completed successfully", "DeadlineExceeded: "+message)
	if p := s.sj.Status.Progress; *p.FailedIndex != 1 || p.FailureReason != "DeadlineExceeded" {
		t.Errorf("progress %+v", p)
	}
}

func TestADeadlineOfZeroStartsNothing(t *testing.T) {
	within(0, "extract")(t).wantJobs().want("Failed",
		"False DeadlineExceeded: Job 0 (extract) was not started: DeadlineExceeded: the sequence was active for longer than its activeDeadlineSeconds (0)")
}

func TestTheLongestDeadlineThereIsDoesNotOverflow(t *testing.T) {
	within(math.MaxInt64, "extract")(t).wantJobs("etl-0").want("Running", "True JobStarted: Started job 0")
}

func TestAStepThatCompletedInTimeCounts(t *testing.T) {
	within(100, "only")(t).after(time.Hour).end("etl-0", complete).want("Completed", "False Completed: The only step completed successfully")
}

func TestAnEditOfTheDeadlineReachesTheRunningJob(t *testing.T) {
	s := within(100, "extract")(t).after(30 * time.Second)
	s.edit(deadline(200)).wantDeadline("etl-0", 200)
	s.edit(deadline(10)).wantDeadline("etl-0", 10)
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = nil }).wantDeadline("etl-0", -1)
	s.edit(deadline(50)).wantDeadline("etl-0", 50)
}

func TestTheJobControllersRoundingCausesNoChange(t *testing.T) {
	s := within(100, "extract")(t)
	for _, late := range []time.Duration{-time.Second, time.Second} {
		s.job("etl-0").Status.StartTime = new(metav1.NewTime(now.Add(late)))
		s.work().wantDeadline("etl-0", 100)
	}
	s.job("etl-0").Status.StartTime = new(metav1.NewTime(now.Add(20 * time.Second)))
	s.work().wantDeadline("etl-0", 80)
}

func TestOnlyTheTimeThatIsLeftIsGivenToARetry(t *testing.T) {
	s := within(100, "extract")(t).after(40*time.Second).end("etl-0", failed)
	s.after(time.Hour).edit(retries(1)).wantDeadline("etl-0-r1", 60)
}

func TestAFailureAfterTheTimeIsUpIsNotRetried(t *testing.T) {
	s := tell(t, "extract")
	s.sj.Spec.ActiveDeadlineSeconds, s.sj.Spec.Retries = new(int64(100)), new(int32(5))
	s.work().after(100*time.Second).end("etl-0", failed).wantJobs("etl-0").
		want("Failed", "False BackoffLimitExceeded: Job 0 (extract) failed: "+backoff)
}

func TestRaisingTheDeadlineResumesWhatWasStoppedForIt(t *testing.T) {
	s := tell(t, "extract")
	s.sj.Spec.ActiveDeadlineSeconds, s.sj.Spec.Retries = new(int64(100)), new(int32(2))
	s.work().after(100*time.Second).end("etl-0", outOfTime).wantJobs("etl-0").after(time.Hour)
	s.edit(deadline(150)).wantJobs("etl-0", "etl-0-r1").wantDeadline("etl-0-r1", 50)
	// Raising retries alone says that the time is up.
	s.after(50*time.Second).end("etl-0-r1", outOfTime).edit(retries(3)).wantJobs("etl-0", "etl-0-r1").
		want("Failed", "False DeadlineExceeded: Job 0 (extract) was not started: DeadlineExceeded: the sequence was active for longer than its activeDeadlineSeconds (150)")
}

func TestADeadlineThatIsLiftedAsItIsReachedCountsLikeAnyFailure(t *testing.T) {
	const message = "Job 0 (extract) failed: DeadlineExceeded: Job etl-0 was active for longer than its activeDeadlineSeconds (100), " +
		"which was lifted just as it was reached"
	lift := func(n int32) func(*v1alpha1.SequentialJobSpec) {
		return func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds, spec.Retries = nil, &n }
	}
	for n, jobs := range map[int32][]string{0: {"etl-0"}, 1: {"etl-0", "etl-0-r1"}} {
		s := within(100, "extract")(t).after(100 * time.Second)
		outOfTime(s.job("etl-0"))
		if s.edit(lift(n)).wantJobs(jobs...); !slices.Contains(s.told, "JobFailed: "+message) {
			t.Errorf("told %q", s.told)
		}
	}
}

func TestAClockThatIsSetBackCostsNoTime(t *testing.T) {
	s := within(100, "extract", "load")(t).after(-time.Hour).edit(suspend)
	if s.sj.Status.ActiveSeconds != 0 {
		t.Errorf("activeSeconds %d", s.sj.Status.ActiveSeconds)
	}
	s.edit(resume).wantDeadline("etl-0", 100)
}

func TestASequenceOfAnOlderVersionCountsFromItsStart(t *testing.T) {
	s := tell(t, "extract").work()
	s.sj.Status.ActiveSince = nil
	s.after(30*time.Second).edit(deadline(100)).wantDeadline("etl-0", 100)
	s.after(10*time.Second).end("etl-0", failed).after(time.Hour)
	if s.sj.Status.ActiveSeconds != 40 {
		t.Errorf("activeSeconds %d, want 40", s.sj.Status.ActiveSeconds)
	}
}

func TestAFinishedSequenceExpires(t *testing.T) {
	for name, tc := range map[string]struct {
		ttl     *int32
		after   time.Duration
		expired bool
		again   time.Duration
	}{
		"never without a ttl":           {nil, 1000 * time.Hour, false, 0},
		"at once with 0":                {new(int32(0)), 0, true, 0},
		"not before":                    {new(int32(60)), 59 * time.Second, false, time.Second},
		"then":                          {new(int32(60)), 60 * time.Second, true, 0},
		"later, if nobody looked":       {new(int32(60)), time.Hour, true, 0},
		"not by a clock that goes back": {new(int32(60)), -time.Hour, false, time.Hour + time.Minute},
		"the longest there is":          {new(int32(math.MaxInt32)), 0, false, math.MaxInt32 * time.Second},
	} {
		for how, end := range map[string]jobOption{"Completed": complete, "Failed": failed} {
			t.Run(name+" "+how, func(t *testing.T) {
				s := tell(t, "only")
				s.sj.Spec.TTLSecondsAfterFinished = tc.ttl
				s.work()
				if slices.Contains(s.last.Requests, string(sequence.DeleteSequentialJob)) {
					t.Errorf("before the end: %+v", s.last.Requests)
				}
				s.end("etl-0", end).after(tc.after)
				turn := turnOf(s.sj, s.jobs, s.now)
				expired := slices.Contains(turn.Requests, "delete SequentialJob")
				if expired != tc.expired || !expired && len(turn.Requests) > 0 || turn.Last.LookAgain != tc.again {
					t.Errorf("requests %q, look again after %v, want %v and %v", turn.Requests, turn.Last.LookAgain, tc.expired, tc.again)
				}
			})
		}
	}
}
