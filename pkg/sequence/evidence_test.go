package sequence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What the watch showed of a Job last counts, whatever deleted it: a TTL does so at once.
func TestAJobThatIsGoneCountsAsItWasLast(t *testing.T) {
	const created1, deleted0 = "Normal JobStarted: Started job 1", "Warning JobFailed: Job 0 (extract) failed: " + jobDeleted
	other := func(job *batchv1.Job) { job.UID = "uid-recreated" }
	of := func(index int, options ...jobOption) []*batchv1.Job {
		return []*batchv1.Job{jobOf(newSequence("extract", "transform", "load"), index, options...)}
	}
	recorded := nthRuns(0)
	completed := nthRuns(0)
	completed.Status.Steps[0].State = v1alpha1.StepCompleted
	for name, tc := range map[string]struct {
		sj                   *v1alpha1.SequentialJob
		gone, cached, stored []*batchv1.Job
		steps, events        []string
	}{
		"it was complete": {recorded, of(0, complete), nil, nil,
			[]string{"etl-0 uid-job-0 Completed", "etl-1 uid-etl-1 Running"}, []string{"Normal JobCompleted: Job 0 completed successfully", created1}},
		"it was complete, and the cache does not know yet": {recorded, of(0, complete), of(0, running), nil,
			[]string{"etl-0 uid-job-0 Completed", "etl-1 uid-etl-1 Running"}, []string{"Normal JobCompleted: Job 0 completed successfully", created1}},
		"it had failed": {recorded, of(0, failed), nil, nil,
			[]string{"etl-0 uid-job-0 Failed"}, []string{"Warning JobFailed: Job 0 (extract) failed: " + backoff}},
		"it ran": {recorded, of(0, running), nil, nil, []string{"etl-0 uid-job-0 Failed"}, []string{deleted0}},
		"it ran, and there is one like it": {recorded, of(0, running), nil, of(0, complete, other),
			[]string{"etl-0 uid-job-0 Failed"}, []string{deleted0}},
		"the watch was wrong": {recorded, of(0, running), nil, of(0, running), []string{"etl-0 uid-job-0 Running"}, nil},
		"it was to be the next step's, which nobody recorded": {completed, of(1, running), nil, nil,
			[]string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Failed"},
			[]string{created1, "Warning JobFailed: Job 1 (transform) failed: JobDeleted: Job etl-1 was deleted before it was seen to end"}},
		"the cache has one that nobody recorded, and it is gone": {completed, nil, of(1, running), nil,
			[]string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Failed"},
			[]string{created1, "Warning JobFailed: Job 1 (transform) failed: JobDeleted: Job etl-1 was deleted before it was seen to end"}},
		"the cache has one that has been replaced": {completed, nil, of(1, running), of(1, running, other),
			[]string{"etl-0 uid-job-0 Completed", "etl-1 uid-recreated Running"}, []string{created1}},
		"of another SequentialJob": {completed, of(1, ownedByAnother), nil, nil,
			[]string{"etl-0 uid-job-0 Completed", "etl-1 uid-etl-1 Running"}, []string{created1}},
	} {
		t.Run(name, func(t *testing.T) {
			turn, _ := (&server{jobs: tc.stored}).play(sequence.Facts{Now: now, SequentialJob: tc.sj, Jobs: tc.cached, Gone: tc.gone})
			got := outcomeOf(turn)
			if diff := cmp.Diff(tc.steps, got.Steps); diff != "" {
				t.Errorf("unexpected steps (-want +got), after %q:\n%s", turn.Requests, diff)
			}
			if diff := cmp.Diff(tc.events, got.Events); diff != "" {
				t.Errorf("unexpected events (-want +got):\n%s", diff)
			}
		})
	}
}

// Somebody took the labels off the running step's Job, or its owner: its UID is in the status.
func TestTheRunningStepIsFollowedByTheUIDOfItsJob(t *testing.T) {
	for name, taken := range map[string]jobOption{
		"labels":    func(job *batchv1.Job) { job.Labels = nil },
		"reference": func(job *batchv1.Job) { job.OwnerReferences = nil },
		"both":      func(job *batchv1.Job) { job.Labels, job.OwnerReferences = nil, nil },
		"another's": func(job *batchv1.Job) { job.OwnerReferences[0].UID = "uid-other" },
	} {
		for how, tc := range map[string]struct {
			end  jobOption
			want string
		}{
			"complete": {complete, "etl-0 uid-job-0 Completed"}, "failed": {failed, "etl-0 uid-job-0 Failed"},
			"running": {running, "etl-0 uid-job-0 Running"},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				sj := nthRuns(0)
				turn, _ := (&server{jobs: []*batchv1.Job{jobOf(sj, 0, taken, tc.end)}}).play(sequence.Facts{Now: now, SequentialJob: sj})
				if got := outcomeOf(turn).Steps[0]; got != tc.want {
					t.Errorf("step 0 is %q, want %q, after %q", got, tc.want, turn.Requests)
				}
			})
		}
	}
}

// The step after it was started, so that it was complete, whatever was recorded since.
func TestAStepThatIsToBeRetriedWasCompleteIfTheNextOneStarted(t *testing.T) {
	sj := newSequence("extract", "transform")
	sj.Spec.Retries = new(int32(1))
	sj.Status = turnOf(sj, []*batchv1.Job{jobOf(sj, 0, failed)}, now).Status
	want := []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Running"}
	got := turnOf(sj, []*batchv1.Job{jobOf(sj, 1, running)}, now)
	if diff := cmp.Diff(want, outcomeOf(got).Steps); diff != "" || got.Create != nil {
		t.Errorf("created %v, unexpected steps (-want +got):\n%s", got.Create, diff)
	}
	if message := got.Status.Steps[0].Message; message != "" {
		t.Errorf("it still says %q", message)
	}
}

func TestAStepTellsIfItsJobWasMadeOfAnOlderText(t *testing.T) {
	const warning = "Warning SpecChanged: Job 0 (extract) started just before the spec changed to generation 2: " +
		"Job etl-0 runs as generation 1 has it, whatever the spec says of this step now"
	for name, tc := range map[string]struct {
		made   string
		events []string
	}{
		"of the present one":                {"2", []string{"Normal JobStarted: Started job 0"}},
		"of an older one":                   {"1", []string{"Normal JobStarted: Started job 0", warning}},
		"by a version that did not note it": {"", []string{"Normal JobStarted: Started job 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			sj := newSequence("extract", "transform")
			job := jobOf(sj, 0, running, func(job *batchv1.Job) { job.Annotations[v1alpha1.GenerationAnnotation] = tc.made })
			if sj.Generation = 2; tc.made != "2" {
				sj.Spec.Containers[0].Image += ":2"
			}
			if diff := cmp.Diff(tc.events, outcomeOf(turnOf(sj, []*batchv1.Job{job}, now)).Events); diff != "" {
				t.Errorf("unexpected events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHasLostPod(t *testing.T) {
	counts := func(failed int32, terminating *int32) jobOption {
		return func(job *batchv1.Job) { job.Status.Failed, job.Status.Terminating = failed, terminating }
	}
	before := []jobOption{running, counts(1, new(int32(1)))}
	for name, tc := range map[string]struct {
		before, after []jobOption
		want          bool
	}{
		"nothing happened":             {before, before, false},
		"a pod failed":                 {before, []jobOption{counts(2, new(int32(1)))}, true},
		"a pod is being deleted":       {before, []jobOption{counts(1, new(int32(2)))}, true},
		"the first one":                {[]jobOption{running}, []jobOption{counts(0, new(int32(1)))}, true},
		"one that was deleted is gone": {before, []jobOption{counts(1, nil)}, false},
		"it is suspended":              {before, []jobOption{suspended, counts(1, new(int32(2)))}, false},
		"it was suspended":             {[]jobOption{suspended}, []jobOption{counts(0, new(int32(1)))}, false},
		"it is being deleted":          {before, []jobOption{terminating, counts(1, new(int32(2)))}, false},
		"it is about to fail":          {before, []jobOption{withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "", ""), counts(2, nil)}, false},
		"it is about to be complete":   {before, []jobOption{withCondition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "", ""), counts(1, new(int32(2)))}, false},
		"a pod succeeded":              {before, []jobOption{counts(1, new(int32(2))), func(job *batchv1.Job) { job.Status.Succeeded = 1 }}, false},
		"a pod succeeded, to be counted": {before, []jobOption{counts(1, new(int32(2))), func(job *batchv1.Job) {
			job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"uid-pod"}}
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			sj := newSequence("extract")
			if got := sequence.HasLostPod(jobOf(sj, 0, tc.before...), jobOf(sj, 0, tc.after...)); got != tc.want {
				t.Errorf("it lost a pod: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestTheEndOfAJob(t *testing.T) {
	sj := newSequence("extract")
	for name, tc := range map[string]struct {
		options  []jobOption
		hasEnded bool
	}{
		"it runs":      {nil, false},
		"complete":     {[]jobOption{complete}, true},
		"failed":       {[]jobOption{failed}, true},
		"not complete": {[]jobOption{withCondition(batchv1.JobComplete, corev1.ConditionFalse, "", "")}, false},
	} {
		job := jobOf(sj, 0, tc.options...)
		if got := sequence.HasEnded(job); got != tc.hasEnded {
			t.Errorf("%s: ended %v", name, got)
		}
	}
}
