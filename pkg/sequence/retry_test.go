package sequence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

const (
	backoff    = "BackoffLimitExceeded: Job has reached the backoff limit"
	jobDeleted = "JobDeleted: Job etl-0 was deleted before it was seen to end"
)

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
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Containers[0].Image = "fixed" }).
		edit(suspend).edit(resume).wantEvents().wantJobs("etl-0").want("Failed", "False BackoffLimitExceeded: Job 0 (extract) failed: "+backoff)
	if s.sj.Status.ObservedGeneration != s.sj.Generation {
		t.Error("the edit was not observed")
	}
}

func TestTheFailedStepRunsAsItWasFixed(t *testing.T) {
	s := tell(t, "extract", "load").work().end("etl-0", failed)
	s.edit(func(spec *v1alpha1.SequentialJobSpec) {
		spec.Containers[0].Name, spec.Containers[0].Image = "extract2", "fixed"
		spec.Retries = new(int32(1))
	})
	if job := s.job("etl-0-r1"); job.Spec.Template.Spec.Containers[0].Image != "fixed" {
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
	s.pods = []corev1.Pod{podIn(corev1.PodRunning), podIn(corev1.PodFailed)}
	s.remove("etl-0").wantJobs().
		want("Running", "True Retrying: Job 0 starts again once the pods that its last attempt left have ended").
		wantEvents("JobFailed: Job 0 (extract) failed: "+jobDeleted, "Retrying: Retrying job 0 (extract), retry 1 of 1")
	if !s.last.Last.TryAgain {
		t.Error("no event tells of pods: it has to be looked at again")
	}
	s.pods = []corev1.Pod{podIn(corev1.PodSucceeded), podIn(corev1.PodFailed)}
	s.work().wantJobs("etl-0-r1").wantEvents("JobStarted: Started job 0 again as etl-0-r1")
}

func podIn(phase corev1.PodPhase) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "etl-0-x7k2p", CreationTimestamp: created}, Status: corev1.PodStatus{Phase: phase}}
}

func TestAJobThatIsGoneCountsAsDeletedWhateverElseHappened(t *testing.T) {
	const deleted = "False JobDeleted: Job 0 (extract) failed: " + jobDeleted
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
	turn := turnOf(newSequence("extract"), nil, now)
	if turn.Create == nil || slices.Contains(turn.Requests, string(sequence.ListPods)) {
		t.Errorf("requests %q", turn.Requests)
	}
}

// What was granted is not taken back: its Job may exist already.
func TestLoweringRetriesDoesNotTakeBackWhatWasGranted(t *testing.T) {
	s := tell(t, "extract")
	s.sj.Spec.Retries = new(int32(1))
	s.work()
	failed(s.job("etl-0"))
	granted := turnOf(s.sj, s.jobs, s.now)
	if granted.Create != nil || !granted.Last.AtOnce || granted.Status.Progress.Retries != 1 {
		t.Fatalf("the retry is not granted first: %+v", granted)
	}
	s.sj.Status = granted.Status
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

func TestAnInvalidSequenceGoesOnOnceItIsFixed(t *testing.T) {
	s := tell(t, "extract", "load")
	s.sj.Spec.Retries = new(int32(1))
	s.refuse = invalidStep(1, "image", "wrong")
	s.work().wantJobs().want("Failed", "False "+invalidSpec+invalidSpec+"spec.containers[1].image: wrong").
		wantEvents("JobCreateFailed: InvalidSpec: spec.containers[1].image: wrong")
	s.refuse = nil
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

func TestAResumedSequenceIsCheckedOnce(t *testing.T) {
	s := tell(t, "extract", "load").work().end("etl-0", failed)
	checks := 0
	s.refuse = func(a sequence.Action) sequence.Refusal {
		if a.Request == sequence.CheckSteps {
			checks++
		}
		return sequence.Refusal{}
	}
	s.edit(retries(1)).wantJobs("etl-0", "etl-0-r1")
	if checks != 1 {
		t.Errorf("%d dry runs, want 1", checks)
	}
}

// A sequence that was stopped with retries left goes on only after an edit that can make a difference: any other would spend them.
func TestOnlyAnEditThatCanHelpResumesAFailedSequence(t *testing.T) {
	spec := func(change func(*v1alpha1.SequentialJobSpec)) func(*v1alpha1.SequentialJob) {
		return func(sj *v1alpha1.SequentialJob) { change(&sj.Spec) }
	}
	for name, tc := range map[string]struct {
		before int64 // activeDeadlineSeconds; -1 for none
		edit   func(*v1alpha1.SequentialJob)
		goesOn bool
	}{
		"its age":        {-1, spec(func(s *v1alpha1.SequentialJobSpec) { s.TTLSecondsAfterFinished = new(int32(60)) }), false},
		"suspend":        {-1, spec(suspend), false},
		"nothing at all": {-1, func(*v1alpha1.SequentialJob) {}, false},
		"a step":         {-1, spec(image(1, "fixed")), true},
		"one step more": {-1, spec(func(s *v1alpha1.SequentialJobSpec) {
			s.Containers = append(s.Containers, corev1.Container{Name: "more"})
		}), true},
		"the template":                 {-1, spec(func(s *v1alpha1.SequentialJobSpec) { s.Template.Spec.ServiceAccountName = "etl" }), true},
		"the backoff limit":            {-1, spec(func(s *v1alpha1.SequentialJobSpec) { s.BackoffLimit = new(int32(1)) }), false},
		"the failure policy":           {-1, spec(func(s *v1alpha1.SequentialJobSpec) { s.PodFailurePolicy = policy("") }), true},
		"more retries":                 {-1, spec(retries(3)), true},
		"fewer retries":                {-1, spec(retries(1)), false},
		"a deadline, there was none":   {-1, spec(deadline(100)), false},
		"a later deadline":             {100, spec(deadline(101)), true},
		"an earlier deadline":          {100, spec(deadline(99)), false},
		"no deadline any more":         {100, spec(func(s *v1alpha1.SequentialJobSpec) { s.ActiveDeadlineSeconds = nil }), true},
		"what an older version failed": {-1, func(sj *v1alpha1.SequentialJob) { sj.Status.FailedWith = nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, "extract", "load")
			s.sj.Spec.Retries = new(int32(2))
			if tc.before >= 0 {
				s.sj.Spec.ActiveDeadlineSeconds = &tc.before
			}
			s.refuse = invalidStep(1, "image", "wrong")
			s.work().want("Failed", "False InvalidSpec: "+invalidText)
			s.refuse, s.told = nil, nil
			tc.edit(s.sj)
			s.edit(func(*v1alpha1.SequentialJobSpec) {})
			if goesOn := s.sj.Status.Phase != v1alpha1.SequentialJobFailed; goesOn != tc.goesOn || goesOn != (s.sj.Status.Progress.Retries == 1) {
				t.Errorf("phase %s, %d retries, told %q", s.sj.Status.Phase, s.sj.Status.Progress.Retries, s.told)
			}
			if !tc.goesOn {
				// It is the spec that it failed with that counts, however often it is edited.
				if s.wantEvents().edit(image(0, "fixed")); s.sj.Status.Progress.Retries != 1 {
					t.Errorf("it does not go on once a step is fixed: phase %s", s.sj.Status.Phase)
				}
			}
		})
	}
}

const invalidText = "InvalidSpec: spec.containers[1].image: wrong"
