package sequence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// stepDeadline gives each attempt of a step so many seconds; 0 stands for no limit.
func stepDeadline(step string, seconds int64) func(*v1alpha1.SequentialJobSpec) {
	return func(spec *v1alpha1.SequentialJobSpec) {
		override := v1alpha1.StepOverride{Name: step}
		if seconds != 0 {
			override.ActiveDeadlineSeconds = &seconds
		}
		spec.StepOverrides = []v1alpha1.StepOverride{override}
	}
}

// byStep notes on a Job that its deadline is its step's own.
func byStep(seconds string) jobOption {
	return func(job *batchv1.Job) { job.Annotations[v1alpha1.StepDeadlineAnnotation] = seconds }
}

// The step has run for 100 s, and so has its Job unless the case says otherwise.
func TestTheLowerOfTheSequencesAndTheStepsDeadlineHolds(t *testing.T) {
	start := now.Add(-100 * time.Second)
	notCounting := func(job *batchv1.Job) { job.Status.StartTime = nil }
	type result struct {
		Seconds            int64 // -1 for none
		Own, Step, Foreign string
		Changed            bool
	}
	for name, tc := range map[string]struct {
		limit, step int64 // 0 for none
		options     []jobOption
		want        result
	}{
		"the step's alone is as it should be": {0, 300, []jobOption{noted(300, "300", ""), byStep("300")}, result{300, "300", "300", "", false}},
		"it is set while the step runs":       {0, 300, nil, result{300, "300", "300", "", true}},
		"it is raised":                        {0, 900, []jobOption{noted(300, "300", ""), byStep("300")}, result{900, "900", "900", "", true}},
		"it is lifted":                        {0, 0, []jobOption{noted(300, "300", ""), byStep("300")}, result{-1, "", "", "", true}},
		"it is lifted, and the sequence's is left": {600, 0, []jobOption{noted(300, "300", ""), byStep("300")},
			result{600, "600", "", "", true}},
		"it is raised above the sequence's":     {600, 900, []jobOption{noted(300, "300", ""), byStep("300")}, result{600, "600", "", "", true}},
		"it is lowered below the sequence's":    {600, 300, []jobOption{noted(600, "600", "")}, result{300, "300", "300", "", true}},
		"the sequence's is lower":               {200, 300, []jobOption{noted(200, "200", "")}, result{200, "200", "", "", false}},
		"the sequence's is lowered below it":    {200, 300, []jobOption{noted(300, "300", ""), byStep("300")}, result{200, "200", "", "", true}},
		"the sequence's is one second more":     {301, 300, []jobOption{noted(300, "300", ""), byStep("300")}, result{300, "300", "300", "", false}},
		"both are the same: it stays the one":   {300, 300, []jobOption{noted(300, "300", "")}, result{300, "300", "", "", false}},
		"both are the same: it stays the other": {300, 300, []jobOption{noted(300, "300", ""), byStep("300")}, result{300, "300", "300", "", false}},
		"the sequence's becomes the step's":     {0, 600, []jobOption{noted(600, "600", "")}, result{600, "600", "600", "", true}},
		"the step's counts from the Job's own start": {0, 300, []jobOption{noted(300, "300", ""), byStep("300"), startedAt(now)},
			result{300, "300", "300", "", false}},
		"the Job does not count yet": {0, 300, []jobOption{noted(300, "300", ""), byStep("300"), notCounting}, result{300, "300", "300", "", false}},
		"the Job does not count yet, and less is left": {150, 300, []jobOption{noted(300, "300", ""), byStep("300"), notCounting},
			result{50, "50", "", "", true}},
		"a policy's is lower":          {0, 300, []jobOption{noted(60, "300", ""), byStep("300")}, result{60, "300", "300", "", false}},
		"a policy's is higher":         {0, 300, []jobOption{noted(3600, "", "")}, result{300, "300", "300", "3600", true}},
		"a policy's is left by itself": {0, 0, []jobOption{noted(300, "300", "3600"), byStep("300")}, result{3600, "", "", "", true}},
	} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			sj.Status.ActiveSince = new(metav1.NewTime(start))
			if stepDeadline("extract", tc.step)(&sj.Spec); tc.limit != 0 {
				sj.Spec.ActiveDeadlineSeconds = &tc.limit
			}
			job, turn := afterOneChange(t, sj, append([]jobOption{running, startedAt(start)}, tc.options...)...)
			got := result{ptr.Deref(job.Spec.ActiveDeadlineSeconds, -1), job.Annotations[v1alpha1.DeadlineAnnotation],
				job.Annotations[v1alpha1.StepDeadlineAnnotation], job.Annotations[v1alpha1.ForeignDeadlineAnnotation], turn.Change != nil}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("unexpected deadline (-want +got), after %q:\n%s", turn.Requests, diff)
			}
		})
	}
}

func TestEachAttemptHasTheStepsOwnTime(t *testing.T) {
	s := tell(t, "extract", "load")
	s.sj.Spec.Retries = new(int32(1))
	stepDeadline("extract", 60)(&s.sj.Spec)
	s.work().wantDeadline("etl-0", 60)
	// A resumed Job has all of it again.
	s.after(50*time.Second).edit(suspend).edit(resume).wantDeadline("etl-0", 60)
	s.told = nil
	const message = "Job 0 (extract) failed: StepDeadlineExceeded: the attempt was active for longer than its activeDeadlineSeconds (60)"
	s.after(60*time.Second).end("etl-0", outOfTime).wantJobs("etl-0", "etl-0-r1").wantDeadline("etl-0-r1", 60).
		wantEvents("JobFailed: "+message, "Retrying: Retrying job 0 (extract), retry 1 of 1", "JobStarted: Started job 0 again as etl-0-r1")
	s.end("etl-0-r1", complete).wantDeadline("etl-1", -1)
}

func TestAStepThatIsOutOfItsOwnTimeFailsTheSequence(t *testing.T) {
	s := tell(t, "extract")
	stepDeadline("extract", 60)(&s.sj.Spec)
	s.sj.Spec.ActiveDeadlineSeconds = new(int64(3600))
	const message = "Job 0 (extract) failed: StepDeadlineExceeded: the attempt was active for longer than its activeDeadlineSeconds (60)"
	s.work().wantDeadline("etl-0", 60).after(60*time.Second).end("etl-0", outOfTime).want("Failed", "False StepDeadlineExceeded: "+message)
	if status := s.sj.Status; status.Progress.FailureReason != "StepDeadlineExceeded" || status.ActiveSeconds != 60 {
		t.Errorf("progress %+v, active for %d s", status.Progress, status.ActiveSeconds)
	}
	// More time helps, and so do more retries. What is left of the sequence's is less by now.
	s.sj.Spec.Retries = new(int32(1))
	s.edit(stepDeadline("extract", 7200)).wantJobs("etl-0", "etl-0-r1").wantDeadline("etl-0-r1", 3540)
	s.after(3540*time.Second).end("etl-0-r1", outOfTime).want("Failed", "False DeadlineExceeded: Job 0 (extract) failed again as etl-0-r1: "+
		"DeadlineExceeded: the sequence was active for longer than its activeDeadlineSeconds (3600)")
}

func TestAStepsDeadlineThatIsLiftedAsItIsReachedCountsLikeAnyFailure(t *testing.T) {
	const message = "Job 0 (extract) failed: DeadlineExceeded: Job etl-0 was active for longer than its activeDeadlineSeconds (60), " +
		"which was lifted just as it was reached"
	s := tell(t, "extract")
	stepDeadline("extract", 60)(&s.sj.Spec)
	s.sj.Spec.ActiveDeadlineSeconds, s.sj.Spec.Retries = new(int64(3600)), new(int32(1))
	s.work().after(60 * time.Second)
	outOfTime(s.job("etl-0"))
	if s.edit(stepDeadline("extract", 0)).wantJobs("etl-0", "etl-0-r1"); !slices.Contains(s.told, "JobFailed: "+message) {
		t.Errorf("told %q", s.told)
	}
}

func TestAJobThatIsEndedForItsStepsDeadlineSaysSo(t *testing.T) {
	s := tell(t, "extract")
	stepDeadline("extract", 60)(&s.sj.Spec)
	s.work().after(60 * time.Second)
	withCondition(batchv1.JobFailureTarget, "True", "DeadlineExceeded", "")(s.job("etl-0"))
	s.work().want("Running", "True JobEnding: Job 0 (extract) is ending: StepDeadlineExceeded")
}
