package sequence_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// jobVariants are the ways in which the Job of a step may be found.
var jobVariants = map[string][]jobOption{
	"running": {running}, "complete": {complete}, "failed": {failed}, "both": {complete, failed},
	"suspended": {suspended}, "foreign": {ownedByAnother, complete}, "terminating": {terminating},
}

// forEachSituation calls f with every stored status of a short sequence and every set of Jobs that may come with it.
func forEachSituation(t *testing.T, f func(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job)) {
	t.Helper()
	for before, beforeOptions := range jobVariants {
		for after, afterOptions := range jobVariants {
			for next, nextOptions := range jobVariants {
				t.Run(fmt.Sprintf("%s, then %s and next %s", before, after, next), func(t *testing.T) {
					sj := newSequence("extract", "transform")
					sj.Status = turnOf(sj, []*batchv1.Job{jobOf(sj, 0, beforeOptions...)}, now.Add(-time.Minute)).Status
					f(t, sj, []*batchv1.Job{jobOf(sj, 0, afterOptions...), jobOf(sj, 1, nextOptions...)})
				})
			}
		}
	}
}

// What was decided and stored is not decided otherwise, told again or asked for again.
func TestATurnLeavesNothingForTheNext(t *testing.T) {
	forEachSituation(t, func(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job) {
		api := &server{jobs: slices.Clone(jobs)}
		first, after := api.play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: jobs})
		if first.Last.AtOnce || first.Last.TryAgain {
			_, after = api.play(sequence.Facts{Now: now, SequentialJob: after, Jobs: slices.Clone(api.jobs)})
		}
		second, again := api.play(sequence.Facts{Now: now, SequentialJob: after, Jobs: slices.Clone(api.jobs)})
		if diff := cmp.Diff(after, again); diff != "" {
			t.Errorf("another turn changed the SequentialJob (-first +second):\n%s", diff)
		}
		if len(second.Events) > 0 || second.Create != nil || second.Change != nil || second.Last.AtOnce {
			t.Errorf("another turn has %q, events %v, and ends with %+v", second.Requests, second.Events, second.Last)
		}
	})
}

func TestNextIsDeterministic(t *testing.T) {
	forEachSituation(t, func(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job) {
		want := turnOf(sj, jobs, now)
		if diff := cmp.Diff(want, turnOf(sj, jobs, now)); diff != "" {
			t.Errorf("the same facts led to another turn:\n%s", diff)
		}
		if diff := cmp.Diff(want, turnOf(sj, []*batchv1.Job{jobs[1], jobs[0]}, now)); diff != "" {
			t.Errorf("the order of the Jobs matters:\n%s", diff)
		}
	})
}

func TestNextLeavesItsArgumentsAlone(t *testing.T) {
	forEachSituation(t, func(t *testing.T, sj *v1alpha1.SequentialJob, jobs []*batchv1.Job) {
		sj.Generation++
		api := &server{jobs: slices.Clone(jobs), pods: []corev1.Pod{pod(exited("extract", 2, "Error", "no such table", 1))}}
		facts := sequence.Facts{Now: now, SequentialJob: sj, Jobs: jobs}
		for range 50 {
			before := copyOf(&facts)
			a := sequence.Next(facts)
			if a.Request == sequence.EndTurn {
				return
			}
			answer := api.answer(&facts, a)
			after := facts.With(a, answer)
			scribble(&a)
			facts.With(a, sequence.Answer{Refusal: sequence.Refusal{Class: sequence.NameTaken}})
			facts.With(a, sequence.Answer{Refusal: sequence.Refusal{Class: sequence.TooLarge}})
			if diff := cmp.Diff(before, &facts); diff != "" {
				t.Fatalf("the facts changed with %q:\n%s", a.Request, diff)
			}
			facts = after
		}
		t.Error("a turn without end")
	})
}

func copyOf(f *sequence.Facts) *sequence.Facts {
	out := *f
	out.SequentialJob = f.SequentialJob.DeepCopy()
	out.Jobs, out.Gone = copyJobs(f.Jobs), copyJobs(f.Gone)
	out.Answers, out.Checks = copyMap(f.Answers), copyMap(f.Checks)
	if f.ReadJobs != nil {
		out.ReadJobs = map[string]*batchv1.Job{}
		for name, job := range f.ReadJobs {
			out.ReadJobs[name] = job.DeepCopy()
		}
	}
	out.JobPods, out.Pods = copyPods(f.JobPods), copyPods(f.Pods)
	out.Events = slices.Clone(f.Events)
	return &out
}

func copyMap[K comparable, V any](in map[K]V) map[K]V {
	if in == nil {
		return nil
	}
	out := map[K]V{}
	for key, value := range in {
		out[key] = value
	}
	return out
}

func copyJobs(in []*batchv1.Job) []*batchv1.Job {
	out := slices.Clone(in)
	for i := range out {
		out[i] = out[i].DeepCopy()
	}
	return out
}

func copyPods(in []corev1.Pod) []corev1.Pod {
	out := slices.Clone(in)
	for i := range out {
		out[i] = *out[i].DeepCopy()
	}
	return out
}

// scribble changes whatever an action might share with the facts that it was made of, and must not.
func scribble(a *sequence.Action) {
	if a.Request == sequence.CreateJob || a.Request == sequence.CheckSteps {
		a.Job.Labels["scribbled"] = "true"
		a.Job.Spec.Template.Spec.Containers[0].Name += "!"
	}
	if a.Request == sequence.ChangeJob {
		a.Change.Annotations["scribbled"] = nil
		if a.Change.Labels != nil {
			a.Change.Labels["scribbled"] = "true"
		}
		for i := range a.Change.OwnerReferences {
			a.Change.OwnerReferences[i].Name += "!"
		}
	}
	status := a.Status
	if status == nil {
		return
	}
	for i := range status.Conditions {
		status.Conditions[i].Message += "!"
	}
	for i := range status.Steps {
		status.Steps[i].Message += "!"
		if t := status.Steps[i].StartTime; t != nil {
			t.Time = t.Add(time.Second)
		}
		if t := status.Steps[i].CompletionTime; t != nil {
			t.Time = t.Add(time.Second)
		}
	}
	for _, t := range []*metav1.Time{status.StartTime, status.CompletionTime, status.ActiveSince} {
		if t != nil {
			t.Time = t.Add(time.Second)
		}
	}
	if status.Progress != nil {
		for i := range status.Progress.CompletedIndices {
			status.Progress.CompletedIndices[i]++
		}
	}
	if status.SpecCheck != nil {
		status.SpecCheck.Generation++
	}
	if status.State != nil {
		status.State.Active++
	}
}

// What came of one answer does not depend on what would have come of another: a search goes both ways from the same facts.
func TestAnswersAreIndependent(t *testing.T) {
	sj := nthRuns(0)
	jobs := []*batchv1.Job{jobOf(sj, 0, complete)}
	api := &server{jobs: jobs}
	facts := sequence.Facts{Now: now, SequentialJob: sj, Jobs: jobs}
	for {
		a := sequence.Next(facts)
		if a.Request == sequence.EndTurn {
			return
		}
		answer := api.answer(&facts, a)
		want := facts.With(a, answer)
		for _, class := range classes {
			facts.With(a, sequence.Answer{Refusal: sequence.Refusal{Class: class, Message: "no"}})
		}
		got := facts.With(a, answer)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("other answers to %q changed this one:\n%s", a.Request, diff)
		}
		facts = got
	}
}

// classes are all ways in which a request may not succeed.
var classes = []sequence.Class{
	sequence.Gone, sequence.NamespaceGone, sequence.Conflict, sequence.NameTaken, sequence.Invalid, sequence.TooLarge,
	sequence.Denied, sequence.Unavailable, sequence.PutOff,
}

// HasEnded is told apart from the code that it tests.
func HasEnded(job *batchv1.Job) bool {
	for _, c := range job.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			return true
		}
	}
	return false
}
