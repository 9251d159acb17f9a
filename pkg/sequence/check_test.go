package sequence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// checker answers dry runs, and counts them.
type checker struct {
	// all answers the dry run of all steps at once.
	all sequence.Refusal
	// steps answer those of single steps.
	steps map[int]sequence.Refusal
	// create answers the creation of Jobs.
	create sequence.Refusal
	asked  []int
}

func (c *checker) answer(a sequence.Action) sequence.Refusal {
	switch {
	case a.Request == sequence.CreateJob:
		return c.create
	case a.Request != sequence.CheckSteps:
		return sequence.Refusal{}
	}
	c.asked = append(c.asked, a.Step)
	if a.Step == sequence.AllSteps {
		return c.all
	}
	return c.steps[a.Step]
}

// wantAsked expects these dry runs since it was last called.
func (c *checker) wantAsked(t *testing.T, want ...int) {
	t.Helper()
	if diff := cmp.Diff(want, c.asked); diff != "" {
		t.Errorf("unexpected dry runs (-want +got):\n%s", diff)
	}
	c.asked = nil
}

// invalidAt is a refusal because of fields of a Job.
func invalidAt(fields ...string) sequence.Refusal {
	out := sequence.Refusal{Class: sequence.Invalid, Message: "the Job is invalid"}
	for _, field := range fields {
		out.Causes = append(out.Causes, metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: field, Message: "wrong"})
	}
	return out
}

const all = sequence.AllSteps

func TestTheOutcomesOfACheck(t *testing.T) {
	const image, containers = "spec.template.spec.containers[0].image", "spec.template.spec.containers[%d].image"
	unavailable := sequence.Refusal{Class: sequence.Unavailable, Message: "busy"}
	everyStep := map[int]sequence.Refusal{}
	for i := range 7 {
		everyStep[i] = invalidAt(image)
	}
	const waits = "True JobCreateFailed: Job etl-0 of step 0 cannot be created, trying again: busy"
	failed := func(problem string) string { return "False " + invalidSpec + invalidSpec + problem }
	for name, tc := range map[string]struct {
		steps       int
		check       checker
		asked       []int // in one turn
		result      v1alpha1.SpecCheckResult
		message     string
		progressing string
		failedIndex int // -1 if it has not failed
	}{
		"accepted": {3, checker{}, []int{all}, "Accepted", "", "True JobStarted: Started job 0", -1},
		"a step that the causes name": {3, checker{all: invalidAt(fmt.Sprintf(containers, 1)), steps: map[int]sequence.Refusal{1: invalidAt(image)}},
			[]int{all, 1}, "Refused", "spec.containers[1].image: wrong", failed("spec.containers[1].image: wrong"), 1},
		"several, in order": {3, checker{all: invalidAt(fmt.Sprintf(containers, 2), fmt.Sprintf(containers, 0)), steps: everyStep},
			[]int{all, 0, 2}, "Refused", "spec.containers[0].image: wrong; spec.containers[2].image: wrong",
			failed("spec.containers[0].image: wrong; spec.containers[2].image: wrong"), 0},
		"a cause that names none": {3, checker{all: invalidAt("spec.template.spec.volumes[0]"), steps: map[int]sequence.Refusal{2: invalidAt(image)}},
			[]int{all, 0, 1, 2}, "Refused", "spec.containers[2].image: wrong", failed("spec.containers[2].image: wrong"), 2},
		"the same with every step is said once": {3, checker{all: invalidAt("spec.backoffLimit"),
			steps: map[int]sequence.Refusal{0: invalidAt("spec.backoffLimit"), 1: invalidAt("spec.backoffLimit"), 2: invalidAt("spec.backoffLimit")}},
			[]int{all, 0, 1, 2}, "Refused", "spec.backoffLimit: wrong", failed("spec.backoffLimit: wrong"), 0},
		"no more than five are listed": {7, checker{all: invalidAt("spec.template"), steps: everyStep}, []int{all, 0, 1, 2, 3, 4}, "Refused",
			"spec.containers[0].image: wrong; spec.containers[1].image: wrong; spec.containers[2].image: wrong; " +
				"spec.containers[3].image: wrong; spec.containers[4].image: wrong",
			failed("spec.containers[0].image: wrong; spec.containers[1].image: wrong; spec.containers[2].image: wrong; " +
				"spec.containers[3].image: wrong; spec.containers[4].image: wrong"), 0},
		"valid each for itself, and not together": {3, checker{all: invalidAt(fmt.Sprintf(containers, 0), fmt.Sprintf(containers, 1))},
			[]int{all, 0, 1}, "Accepted", "", "True JobStarted: Started job 0", -1},
		"too large": {2, checker{all: sequence.Refusal{Class: sequence.TooLarge, Message: "too large", Causes: []metav1.StatusCause{{Message: "too large"}}},
			steps: map[int]sequence.Refusal{1: {Class: sequence.TooLarge, Causes: []metav1.StatusCause{{Message: "too large"}}}}},
			[]int{all, 0, 1}, "Refused", "too large", failed("too large"), 1},
		"together too large": {2, checker{all: sequence.Refusal{Class: sequence.TooLarge, Causes: []metav1.StatusCause{{Message: "too large"}}}},
			[]int{all, 0, 1}, "Accepted", "", "True JobStarted: Started job 0", -1},
		"a step that is denied alone is not invalid": {2, checker{all: invalidAt("spec.template"), steps: map[int]sequence.Refusal{0: {Class: sequence.Denied}}},
			[]int{all, 0, 1}, "Accepted", "", "True JobStarted: Started job 0", -1},
		"somebody does not let it pass": {2, checker{all: sequence.Refusal{Class: sequence.Denied, Message: "quota\nof Jobs"}},
			[]int{all}, "Unknown", "quota of Jobs", "True JobStarted: Started job 0", -1},
		"the made-up name is taken": {2, checker{all: sequence.Refusal{Class: sequence.NameTaken, Message: "exists"}}, []int{all}, "Unknown", "exists", "True JobStarted: Started job 0", -1},
		"no answer":                 {2, checker{all: unavailable}, []int{all}, "", "", waits, -1},
		"no answer about a step that is suspect": {2, checker{all: invalidAt("spec.template"), steps: map[int]sequence.Refusal{1: unavailable}},
			[]int{all, 0, 1}, "", "", waits, -1},
	} {
		t.Run(name, func(t *testing.T) {
			sj := newSequence(slices.Repeat([]string{"step"}, tc.steps)...)
			turn, _ := (&server{refuse: tc.check.answer}).play(sequence.Facts{Now: now, SequentialJob: sj})
			tc.check.wantAsked(t, tc.asked...)
			var want *v1alpha1.SpecCheck
			if tc.result != "" {
				want = &v1alpha1.SpecCheck{Generation: 1, Result: tc.result, Message: tc.message}
			}
			if diff := cmp.Diff(want, turn.Status.SpecCheck); diff != "" {
				t.Errorf("unexpected specCheck (-want +got):\n%s", diff)
			}
			if got := conditions(&turn.Status)["Progressing"]; got != tc.progressing {
				t.Errorf("Progressing is %q, want %q", got, tc.progressing)
			}
			if got := turn.Status.Progress.FailedIndex; (got == nil) != (tc.failedIndex < 0) || got != nil && *got != int32(tc.failedIndex) { //nolint:gosec // small
				t.Errorf("failedIndex is %v, want %d", got, tc.failedIndex)
			}
			if isStarted := strings.HasPrefix(tc.progressing, "True JobStarted"); isStarted != (turn.Create != nil) {
				t.Errorf("created: %v", turn.Create)
			}
		})
	}
}

// checked tells a story in which the dry runs are answered like that.
func checked(t *testing.T, check *checker, steps ...string) *story {
	t.Helper()
	s := tell(t, steps...)
	s.refuse = check.answer
	return s
}

func image(index int, image string) func(*v1alpha1.SequentialJobSpec) {
	return func(spec *v1alpha1.SequentialJobSpec) { spec.Containers[index].Image = image }
}

const (
	firstField  = "spec.template.spec.containers[0].image"
	invalidLoad = "InvalidSpec: spec.containers[1].image: wrong"
)

func TestEachGenerationIsCheckedOnce(t *testing.T) {
	check := &checker{}
	s := checked(t, check, "extract", "transform", "load").work()
	check.wantAsked(t, all)
	s.work().after(time.Hour).work()
	check.wantAsked(t)
	s.edit(image(2, "new"))
	check.wantAsked(t, all)
	s.end("etl-0", complete).end("etl-1", complete)
	check.wantAsked(t)
	// Nothing is left to check once the last step has started.
	s.edit(suspend).edit(resume).end("etl-2", complete)
	check.wantAsked(t)
}

func TestOnlyStepsThatMayStillStartAreChecked(t *testing.T) {
	check := &checker{}
	s := checked(t, check, "extract", "transform", "load").work().end("etl-0", complete)
	check.asked = nil
	check.all, check.steps = invalidAt(firstField), map[int]sequence.Refusal{2: invalidAt(firstField)}
	s.edit(image(2, "bad"))
	check.wantAsked(t, all, 2)
	// The failed one may be edited, and start again.
	check.all, check.steps = sequence.Refusal{}, nil
	s.end("etl-1", failed)
	check.asked, check.all, check.steps = nil, invalidAt(firstField), map[int]sequence.Refusal{1: invalidAt(firstField)}
	s.edit(retries(1))
	check.wantAsked(t, all, 1)
}

// A first step behind a quota asks once, and once more when it has started: by then the quota lets the dry run pass as well.
func TestACheckThatDidNotPassIsRepeatedOnceTheFirstStepHasStarted(t *testing.T) {
	quota := sequence.Refusal{Class: sequence.Denied, Message: "quota"}
	check := &checker{all: quota, create: quota}
	s := checked(t, check, "extract", "load").work().wantJobs()
	for range 3 {
		s.work()
	}
	check.wantAsked(t, all)
	check.all, check.create = sequence.Refusal{}, sequence.Refusal{}
	s.work().wantJobs("etl-0")
	check.wantAsked(t, all)
	if got := s.sj.Status.SpecCheck.Result; got != v1alpha1.SpecCheckAccepted {
		t.Errorf("specCheck is %s", got)
	}

	check = &checker{all: quota}
	s = checked(t, check, "extract", "load").work().work().end("etl-0", complete)
	check.wantAsked(t, all)
	if got := s.sj.Status.SpecCheck.Result; got != v1alpha1.SpecCheckUnknown {
		t.Errorf("specCheck is %s", got)
	}
}

func TestAnInvalidSpecIsToldWhileItIsSuspended(t *testing.T) {
	check := &checker{all: invalidAt("spec.template.spec.containers[1].image"), steps: map[int]sequence.Refusal{1: invalidAt(firstField)}}
	prepared := func() *story {
		s := checked(t, check, "extract", "load")
		s.sj.Spec.Suspend = new(true)
		s.sj.Spec.Retries = new(int32(1))
		return s.work().wantJobs().want("Suspended", "False InvalidSpec: "+invalidLoad).
			wantEvents("Suspended: Suspended by spec.suspend before job 0 (extract)", "InvalidSpec: "+invalidLoad)
	}
	// Resumed as it is, it fails.
	prepared().edit(resume).wantJobs().want("Failed", "False InvalidSpec: "+invalidLoad)
	// Fixed first, it costs no retry.
	s := prepared()
	check.all, check.steps = sequence.Refusal{}, nil
	s.edit(image(1, "right")).want("Suspended", "False Suspended: Suspended by spec.suspend before job 0 (extract)")
	s.edit(resume).wantJobs("etl-0").want("Running", "True JobStarted: Started job 0")
	if s.sj.Status.Progress.Retries != 0 {
		t.Errorf("progress %+v", s.sj.Status.Progress)
	}
}

func TestAnEditThatMakesALaterStepInvalidIsToldAtOnce(t *testing.T) {
	check := &checker{}
	s := checked(t, check, "extract", "load").work()
	s.told = nil
	bad := func() {
		check.all, check.steps, check.create = invalidAt(firstField), map[int]sequence.Refusal{1: invalidAt(firstField)}, invalidAt(firstField)
		s.edit(image(1, "bad")).want("Running", "True JobStarted: Started job 0; "+invalidLoad).wantEvents("InvalidSpec: " + invalidLoad)
	}
	bad()
	s.after(time.Hour).work().want("Running", "True JobStarted: Started job 0; "+invalidLoad).wantEvents()
	check.all, check.steps, check.create = sequence.Refusal{}, nil, sequence.Refusal{}
	s.edit(image(1, "right")).want("Running", "True JobStarted: Started job 0").
		wantEvents("SpecChanged: Spec changed to generation 3: steps that have not started follow it")
	bad()
	s.end("etl-0", complete).wantJobs("etl-0").want("Failed", "False InvalidSpec: "+invalidLoad).
		wantEvents("JobCompleted: Job 0 completed successfully", "JobCreateFailed: "+invalidLoad)
}

func TestACheckThatIsNotAnsweredWhileAStepRunsIsTriedAgain(t *testing.T) {
	check := &checker{}
	s := checked(t, check, "extract", "load").work()
	check.all = sequence.Refusal{Class: sequence.Unavailable, Message: "busy"}
	s.edit(image(1, "bad")).want("Running", "True JobStarted: Started job 0")
	if s.last.Last.LookAgain != 10*time.Second || s.last.Last.TryAgain {
		t.Errorf("it ends with %+v", s.last.Last)
	}
	check.all, check.steps = invalidAt(firstField), map[int]sequence.Refusal{1: invalidAt(firstField)}
	s.work().want("Running", "True JobStarted: Started job 0; "+invalidLoad)
}

func TestARetryThatIsRefusedEndsWhenItIs(t *testing.T) {
	check := &checker{}
	s := checked(t, check, "extract").work().end("etl-0", failed).after(time.Hour)
	check.all, check.steps, check.create = invalidAt(firstField), map[int]sequence.Refusal{0: invalidAt(firstField)}, invalidAt(firstField)
	s.edit(retries(1)).wantJobs("etl-0").want("Failed", "False "+invalidSpec+invalidSpec+"spec.containers[0].image: wrong")
	if got := s.sj.Status.CompletionTime; !got.Time.Equal(s.now) {
		t.Errorf("it ended at %v, want %v", got, s.now)
	}
}

// The spec may change between the dry run and the read on which the first step is created.
func TestACheckOfAnOlderGenerationDoesNotCount(t *testing.T) {
	check := &checker{}
	api := &server{refuse: check.answer}
	sj := newSequence("extract", "load")
	sj.Finalizers = []string{v1alpha1.CleanupFinalizer}
	facts := sequence.Facts{Now: now, SequentialJob: sj}
	for range 20 {
		a := sequence.Next(facts)
		if a.Request == sequence.EndTurn {
			break
		}
		answer := api.answer(&facts, a)
		if a.Request == sequence.ReadSequentialJob && len(facts.Checks) > 0 && facts.SequentialJob.Generation == 1 {
			answer.SequentialJob.Generation = 2
		}
		facts = facts.With(a, answer)
	}
	check.wantAsked(t, all, all)
	if got := facts.SequentialJob.Status.SpecCheck; got == nil || got.Generation != 2 {
		t.Errorf("specCheck is %v", got)
	}
	if job := api.job("etl-0"); job == nil || job.Annotations[v1alpha1.GenerationAnnotation] != "2" {
		t.Errorf("the Job is %v", job)
	}
}
