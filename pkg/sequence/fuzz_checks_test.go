package sequence_test

import (
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// checkAction expects of an action what holds whatever the facts.
func checkAction(t *testing.T, f *sequence.Facts, a *sequence.Action) {
	t.Helper()
	for _, event := range a.Events {
		checkEvent(t, event)
	}
	if a.Request == sequence.EndTurn {
		checkEnd(t, f, a)
		return
	}
	if !f.SequentialJob.DeletionTimestamp.IsZero() && !slices.Contains([]sequence.Request{
		sequence.DeleteJob, sequence.ReadJob, sequence.ListPods, sequence.RemoveFinalizer,
	}, a.Request) {
		t.Errorf("a SequentialJob that is being deleted goes on with %q", a.Request)
	}
	checkFinallyAction(t, f, a)
	switch a.Request {
	case sequence.CreateJob:
		checkCreate(t, f, a)
	case sequence.ChangeJob:
		checkChange(t, f, a.Change)
	case sequence.DeleteJob:
		if !metav1.IsControlledBy(a.Job, f.SequentialJob) || HasEnded(a.Job) || !a.Job.DeletionTimestamp.IsZero() {
			t.Errorf("Job %s is deleted: it is not ours, has ended or is deleted already", a.Job.Name)
		}
	case sequence.StoreStatus:
		checkWords(t, f.SequentialJob, a.Status)
	case sequence.DeleteSequentialJob:
		if f.SequentialJob.Spec.TTLSecondsAfterFinished == nil || !sequence.Finished(&f.SequentialJob.Status) || !isLive(f) {
			t.Errorf("it is deleted in phase %s, read live: %v", f.SequentialJob.Status.Phase, isLive(f))
		}
	case sequence.RemoveFinalizer:
		if f.SequentialJob.DeletionTimestamp.IsZero() && !sequence.Finished(&f.SequentialJob.Status) {
			t.Errorf("the finalizer goes in phase %s", f.SequentialJob.Status.Phase)
		}
	default:
	}
}

func isLive(f *sequence.Facts) bool {
	refusal, answered := f.Answers[sequence.ReadSequentialJob]
	return answered && refusal.Class == ""
}

// checkEnd expects that a sequence which is not over is looked at again.
func checkEnd(t *testing.T, f *sequence.Facts, a *sequence.Action) {
	t.Helper()
	if a.LookAgain < 0 {
		t.Errorf("look again after %v", a.LookAgain)
	}
	isOver := f.SequentialJob == nil || sequence.Finished(&f.SequentialJob.Status) || f.Answers[sequence.CreateJob].Class == sequence.NamespaceGone
	if !isOver && !a.TryAgain && !a.AtOnce && a.LookAgain == 0 {
		t.Errorf("nobody looks again at a sequence in phase %s", f.SequentialJob.Status.Phase)
	}
}

// knownJob returns a Job as it is known best: what was read counts more than a cache.
func knownJob(f *sequence.Facts, is func(*batchv1.Job) bool) *batchv1.Job {
	for _, job := range f.ReadJobs {
		if job != nil && is(job) {
			return job
		}
	}
	for _, job := range f.Jobs {
		_, read := f.ReadJobs[job.Name]
		isGone := slices.ContainsFunc(f.Gone, func(gone *batchv1.Job) bool { return gone.UID == job.UID })
		if !read && !isGone && is(job) {
			return job
		}
	}
	return nil
}

// checkCreate expects that nothing is created that must not be.
func checkCreate(t *testing.T, f *sequence.Facts, a *sequence.Action) {
	t.Helper()
	job, sj := a.Job, f.SequentialJob
	if sequence.Finished(&sj.Status) || ptr.Deref(sj.Spec.Suspend, false) || !isLive(f) {
		t.Errorf("Job %s is created in phase %s, suspend %v, read live: %v", job.Name, sj.Status.Phase, sj.Spec.Suspend, isLive(f))
	}
	if awaitsApproval(&sj.Spec, job.Labels[v1alpha1.StepNameLabel]) {
		t.Errorf("Job %s is created without approval", job.Name)
	}
	if !slices.Contains(sj.Finalizers, v1alpha1.CleanupFinalizer) {
		t.Errorf("Job %s is created without the finalizer", job.Name)
	}
	_, last := sequence.LastStarted(&sj.Status)
	isForged := sj.Status.Result != nil && len(sj.Status.Finally) == 0 // there is no result while a step runs
	if last != nil && !isForged && last.State == v1alpha1.StepRunning {
		other := knownJob(f, func(other *batchv1.Job) bool { return other.UID == last.JobUID })
		if other != nil && !HasEnded(other) && !isOverByItsPod(f, other) {
			t.Errorf("Job %s is created while Job %s runs", job.Name, other.Name)
		}
	}
	step := job.Labels[v1alpha1.StepNameLabel]
	own := func(other *batchv1.Job) bool { return other.Name == job.Name && metav1.IsControlledBy(other, sj) }
	if other := knownJob(f, own); other != nil && step != "" && other.Labels[v1alpha1.StepNameLabel] == step {
		t.Errorf("Job %s is created, and there is one", job.Name)
	}
	if owner := metav1.GetControllerOf(job); owner == nil || owner.UID != sj.UID {
		t.Errorf("Job %s is owned by %v", job.Name, owner)
	}
	if container := sequence.ContainerAt(&sj.Spec, a.Step); container == nil || job.Spec.Template.Spec.Containers[0].Name != container.Name {
		t.Errorf("Job %s does not run step %d", job.Name, a.Step)
	}
	// A number of retries beyond what the API allows can only be forged; the API server then refuses the Job.
	if finallyRuns(&sj.Status) > v1alpha1.MaxRetries {
		return
	}
	for i := range sj.Status.Steps {
		if r := sj.Status.Steps[i].Retries; r < 0 || r >= v1alpha1.MaxRetries {
			return
		}
	}
	if problems := validation.IsDNS1123Label(job.Name); len(problems) > 0 {
		t.Errorf("a Job is named %q: %v", job.Name, problems)
	}
}

// isOverByItsPod says whether the success of its only pod may stand in for the end of a Job.
func isOverByItsPod(f *sequence.Facts, job *batchv1.Job) bool {
	return isByPod(f.SequentialJob) && f.PodSucceeded && !isSuspended(job) && job.DeletionTimestamp.IsZero() &&
		len(f.JobPods) == 1 && f.JobPods[0].Status.Phase == corev1.PodSucceeded && metav1.IsControlledBy(&f.JobPods[0], job)
}

// checkChange expects that only the running step's Job is changed, and not resumed if somebody else suspended it.
func checkChange(t *testing.T, f *sequence.Facts, change *sequence.JobChange) {
	t.Helper()
	job := change.Job
	if _, last := sequence.LastStarted(&f.SequentialJob.Status); last == nil || job.UID != last.JobUID || HasEnded(job) {
		t.Errorf("Job %s is changed while this was started last: %+v", job.Name, last)
	}
	if !isLive(f) {
		t.Errorf("Job %s is changed on what a cache has", job.Name)
	}
	ours := job.Annotations[v1alpha1.SuspendedByAnnotation] == v1alpha1.ControllerName
	if isSuspended(job) && !ours && !stopsForCancel(f.SequentialJob, change) && (change.Suspend != nil || change.Annotations[v1alpha1.SuspendedByAnnotation] != nil) {
		t.Errorf("Job %s, which somebody else has suspended, is changed: %+v", job.Name, change)
	}
	if owner := metav1.GetControllerOf(job); owner != nil && change.OwnerReferences != nil {
		t.Errorf("Job %s is taken from %v", job.Name, owner)
	}
}

var reasonFormat = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

// checkWords expects of all that is new in a status what the API server expects.
func checkWords(t *testing.T, sj *v1alpha1.SequentialJob, status *v1alpha1.SequentialJobStatus) {
	t.Helper()
	const maxReason, maxMessage = 1024, 32768
	for _, c := range status.Conditions {
		if slices.ContainsFunc(sj.Status.Conditions, func(old metav1.Condition) bool {
			return old.Type == c.Type && old.Status == c.Status && old.Reason == c.Reason
		}) {
			continue // forged, or shortened
		}
		if !reasonFormat.MatchString(c.Reason) || len(c.Reason) > maxReason || len(c.Message) > maxMessage || !utf8.ValidString(c.Message) ||
			(c.Status != metav1.ConditionTrue && c.Status != metav1.ConditionFalse) {
			t.Errorf("the API server would refuse this condition: %+v", c)
		}
	}
	if status.ObservedGeneration != sj.Generation {
		t.Errorf("observedGeneration is %d, want %d", status.ObservedGeneration, sj.Generation)
	}
	if check := status.SpecCheck; check != nil && check.Generation == sj.Generation && len(check.Message) > maxMessage {
		t.Errorf("specCheck has %d bytes", len(check.Message))
	}
}

// checkStatusFits expects that a sequence which ended just now, and had not before, looks like that.
func checkStatusFits(t *testing.T, before, after *v1alpha1.SequentialJobStatus) {
	t.Helper()
	if sequence.Finished(before) || !sequence.Finished(after) {
		return
	}
	isFailed := after.Phase == v1alpha1.SequentialJobFailed
	isStepsFailure := isFailed && after.Progress.FailureReason != v1alpha1.ReasonFinallyFailed && before.Result == nil // which may be forged
	if after.ActiveSince != nil || after.CompletionTime == nil || isStepsFailure && (after.Progress.FailedIndex == nil || after.FailedWith == nil) {
		t.Errorf("phase %s, active since %v, completed at %v, progress %+v, failed with %v",
			after.Phase, after.ActiveSince, after.CompletionTime, after.Progress, after.FailedWith)
	}
}

func checkEvent(t *testing.T, event sequence.Event) {
	t.Helper()
	const maxEvent = 1024
	if event.Message == "" || len(event.Message) > maxEvent || !utf8.ValidString(event.Message) || !reasonFormat.MatchString(event.Reason) {
		t.Errorf("the API server would refuse this event: %+v", event)
	}
}
