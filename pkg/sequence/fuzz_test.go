package sequence_test

import (
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// FuzzNext feeds Next with any SequentialJob, any status that somebody may have forged, any Jobs and any time.
func FuzzNext(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("a sequence that has just been created"))
	for _, seed := range []int{3, 7, 11, 50, 97, 131, 200, 251} {
		var bytes []byte
		for i := range 200 {
			bytes = append(bytes, byte(i*seed/(1+i%3))) //nolint:gosec // any will do
		}
		f.Add(bytes)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		d := &dice{bytes: bytes}
		sj := d.sequence()
		jobs, at := d.jobs(sj), d.clock()
		plan := sequence.Next(sj, jobs, at)
		checkPlan(t, sj, jobs, plan)
		checkFixpoint(t, sj, jobs, plan, at)
		deriveAll(t, d, sj, jobs, plan, metav1.NewTime(at))
	})
}

func checkPlan(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan) {
	t.Helper()
	if !sj.DeletionTimestamp.IsZero() && (plan.Create != nil || plan.Change != nil || !reflect.DeepEqual(plan.Status, sj.Status)) {
		t.Errorf("a SequentialJob that is being deleted goes on: %+v", plan)
	}
	for _, job := range plan.Delete {
		if !metav1.IsControlledBy(job, sj) {
			t.Errorf("Job %s is deleted, and not ours", job.Name)
		}
	}
	if plan.Create != nil {
		checkCreate(t, sj, jobs, plan)
	}
	if plan.Change != nil {
		checkChange(t, sj, plan)
	}
	if plan.Expired && (sj.Spec.TTLSecondsAfterFinished == nil || !sequence.Finished(&plan.Status)) {
		t.Errorf("expired in phase %s", plan.Status.Phase)
	}
	if plan.LookAgain < 0 {
		t.Errorf("look again after %v", plan.LookAgain)
	}
	checkWords(t, sj, plan)
}

// checkCreate expects that nothing is created that must not be.
func checkCreate(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan) {
	t.Helper()
	job := plan.Create
	if sequence.Finished(&sj.Status) || sequence.Finished(&plan.Status) || ptr.Deref(sj.Spec.Suspend, false) || plan.Again {
		t.Errorf("Job %s is created in phase %s after %s, suspend %v", job.Name, plan.Status.Phase, sj.Status.Phase, sj.Spec.Suspend)
	}
	if n := len(sj.Status.Steps); n > 0 && sj.Status.Steps[n-1].State == v1alpha1.StepRunning {
		for _, other := range jobs {
			if other.UID == sj.Status.Steps[n-1].JobUID && metav1.IsControlledBy(other, sj) && !hasEnded(other) {
				t.Errorf("Job %s is created while Job %s runs", job.Name, other.Name)
			}
		}
	}
	if owner := metav1.GetControllerOf(job); owner == nil || owner.UID != sj.UID {
		t.Errorf("Job %s is owned by %v", job.Name, owner)
	}
	if plan.CreateIndex >= len(sj.Spec.Containers) || job.Spec.Template.Spec.Containers[0].Name != sj.Spec.Containers[plan.CreateIndex].Name {
		t.Errorf("Job %s does not run step %d", job.Name, plan.CreateIndex)
	}
	// A number of retries beyond what the API allows can only be forged; the API server then refuses the Job.
	for i := range plan.Status.Steps {
		if r := plan.Status.Steps[i].Retries; r < 0 || r >= v1alpha1.MaxRetries {
			return
		}
	}
	if problems := validation.IsDNS1123Label(job.Name); len(problems) > 0 {
		t.Errorf("a Job is named %q: %v", job.Name, problems)
	}
}

// checkChange expects that only the running step's Job is changed, and not resumed if somebody else suspended it.
func checkChange(t *testing.T, sj *v1alpha1.SequentialJob, plan sequence.Plan) {
	t.Helper()
	job, last := plan.Change.Job, plan.Status.Steps[len(plan.Status.Steps)-1]
	if !metav1.IsControlledBy(job, sj) || job.UID != last.JobUID || hasEnded(job) || last.State != v1alpha1.StepRunning {
		t.Errorf("Job %s is changed while the last step is %+v", job.Name, last)
	}
	ours := job.Annotations[v1alpha1.SuspendedByAnnotation] == v1alpha1.ControllerName
	if isSuspended(job) && !ours && (!plan.Change.Suspend || plan.Change.SuspendedByUs) {
		t.Errorf("Job %s, which somebody else has suspended, is changed: %+v", job.Name, plan.Change)
	}
}

var reasonFormat = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

// checkWords expects of all that is new what the API server expects.
func checkWords(t *testing.T, sj *v1alpha1.SequentialJob, plan sequence.Plan) {
	t.Helper()
	const maxReason, maxMessage, maxEvent = 1024, 32768, 1024
	for _, c := range plan.Status.Conditions {
		if slices.ContainsFunc(sj.Status.Conditions, func(old metav1.Condition) bool {
			old.ObservedGeneration = c.ObservedGeneration
			return old == c
		}) {
			continue
		}
		if !reasonFormat.MatchString(c.Reason) || len(c.Reason) > maxReason || len(c.Message) > maxMessage || !utf8.ValidString(c.Message) ||
			(c.Status != metav1.ConditionTrue && c.Status != metav1.ConditionFalse) {
			t.Errorf("the API server would refuse this condition: %+v", c)
		}
	}
	for _, event := range plan.Events {
		if event.Message == "" || len(event.Message) > maxEvent || !utf8.ValidString(event.Message) || !reasonFormat.MatchString(event.Reason) {
			t.Errorf("the API server would refuse this event: %+v", event)
		}
	}
}

// checkFixpoint expects that what was decided is not decided otherwise once it is stored, and that halves are soon whole.
func checkFixpoint(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan, at time.Time) {
	t.Helper()
	sj = sj.DeepCopy()
	for halves := 2*len(jobs) + 2; plan.Again; halves-- {
		before, after := &sj.Status, &plan.Status
		if granted(after) == granted(before) && len(after.Steps) == len(before.Steps) && startedAgain(after) == startedAgain(before) {
			t.Fatalf("half the way, and no step further: %+v", after)
		}
		if halves == 0 {
			return // a forged status may make it use up its retries one by one
		}
		sj.Status = *plan.Status.DeepCopy()
		plan = sequence.Next(sj, jobs, at)
	}
	sj.Status = *plan.Status.DeepCopy()
	if again := sequence.Next(sj, jobs, at); !reflect.DeepEqual(again.Status, plan.Status) || again.Again {
		t.Errorf("the status changes again, from\n%+v to\n%+v", plan.Status, again.Status)
	}
}

// deriveAll makes all plans that can be made of a plan.
func deriveAll(t *testing.T, d *dice, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan, at metav1.Time) {
	t.Helper()
	derived := []sequence.Plan{
		plan.WithFailureDetail(sj, jobs, d.text(), at.Time),
		plan.Stuck(sj, sequence.Cause{Reason: v1alpha1.ReasonPodNotStarted, Message: d.text()}, at),
	}
	if plan.Create != nil {
		derived = append(derived,
			plan.Blocked(sj, v1alpha1.ReasonJobCreateFailed, "Job x: "+d.text(), at),
			plan.Waiting(sj, v1alpha1.ReasonRetrying, "waiting", at),
			plan.Invalid(sj, plan.CreateIndex, "spec: "+d.text(), at))
		for _, other := range derived[2:] {
			if other.Create != nil {
				t.Error("a plan for a create that failed creates")
			}
		}
	}
	for _, other := range derived {
		checkWords(t, sj, other)
	}
}
