package sequence_test

import (
	"reflect"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// checkCreate holds a Job that a controller creates, having read the SequentialJob like that, against the promises of the
// product.
func (w *world) checkCreate(seen *v1alpha1.SequentialJob, job *batchv1.Job) {
	index := w.indexOf(job)
	// One that is deleted at that very moment is not gone before this Job is.
	if w.sj == nil || w.sj.UID != seen.UID || !seen.DeletionTimestamp.IsZero() {
		w.problem("Job %s is created after its SequentialJob was deleted", job.Name)
	}
	w.checkOrder(seen, index, job)
	if ptr.Deref(seen.Spec.Suspend, false) {
		w.problem("Job %s is created while spec.suspend is true", job.Name)
	}
	if awaitsApproval(&seen.Spec, job.Labels[v1alpha1.StepNameLabel]) {
		w.problem("Job %s is created without approval", job.Name)
	}
	if sequence.Finished(&seen.Status) {
		w.problem("Job %s is created after its sequence ended", job.Name)
	}
	for _, other := range w.createdFor(seen.UID) {
		if w.runs(other) {
			w.problem("Job %s is created while Job %s runs", job.Name, other.Name)
		}
	}
	for uid, owner := range w.left {
		if owner == seen.UID {
			w.problem("Job %s is created while a pod of Job %s runs", job.Name, w.ledger[uid].name)
		}
	}
	record := jobRecord{owner: seen.UID, name: job.Name, index: index, step: job.Spec.Template.Spec.Containers[0].Name}
	record.told = job.Annotations[v1alpha1.ResultAnnotation]
	record.pod.watched = job.Spec.Template.Labels[v1alpha1.AdvanceOnLabel] != ""
	if record.retry = w.checkAttempt(seen, &record); record.retry > 0 && !sequence.IsFinally(index) {
		w.checkGranted(&record)
	}
	if want := sequence.JobName(seen, index, record.retry); record.name != want {
		w.problem("the next Job of %s is %s, want %s", nounOf(index), record.name, want)
	}
	w.ledger[job.UID] = record
}

// checkAttempt holds a Job against those that were created before it, and returns which retry of its step it is.
func (w *world) checkAttempt(seen *v1alpha1.SequentialJob, job *jobRecord) int32 {
	if sequence.IsFinally(job.index) {
		return w.checkFinallyAttempt(seen, job)
	}
	retry, before := int32(0), job.index == 0
	for uid, other := range w.ledger {
		isComplete := other.complete || other.done || other.pod.succeeded && isByPod(seen)
		before = before || (other.owner == job.owner && other.index == job.index-1 && isComplete)
		// Users are told to delete the Job of a step that was edited away just as it started.
		editedAway := !other.recorded && (other.unwanted || other.step != job.step)
		if other.owner != job.owner || other.index != job.index || editedAway {
			continue
		}
		retry = max(retry, other.retry+1)
		exists := w.jobs[other.name] != nil && w.jobs[other.name].UID == uid
		switch {
		case other.name == job.name:
			w.problem("Job %s is created a second time", job.name)
		case other.done:
			w.problem("step %d is started again although it is recorded as complete", job.index)
		case exists && !other.failed:
			w.problem("step %d is started again although Job %s did not fail", job.index, other.name)
		}
	}
	if !before {
		w.problem("step %d is started before step %d was complete", job.index, job.index-1)
	}
	return retry
}

// checkGranted counts the Jobs of steps that were started again.
func (w *world) checkGranted(job *jobRecord) {
	created := int32(1)
	for _, other := range w.ledger {
		if other.owner == job.owner && other.retry > 0 && !sequence.IsFinally(other.index) {
			created++
		}
	}
	if w.sj != nil && w.sj.UID == job.owner && created > granted(&w.sj.Status) {
		w.problem("Job %s is created: steps were started again %d times, and %d were granted", job.name, created, granted(&w.sj.Status))
	}
}

func granted(status *v1alpha1.SequentialJobStatus) int32 {
	if status.Progress == nil {
		return 0
	}
	return status.Progress.Retries
}

// startedAgain is how often the steps were.
func startedAgain(status *v1alpha1.SequentialJobStatus) int32 {
	var sum int32
	for i := range status.Steps {
		sum += status.Steps[i].Retries
	}
	return sum
}

// checkChange holds a change of the running step's Job against the promises of the product.
func (w *world) checkChange(job *batchv1.Job, change *sequence.JobChange) {
	record, ours := w.ledger[job.UID]
	switch {
	case !ours:
		w.problem("Job %s is changed, and was never ours", job.Name)
	case sequence.HasEnded(job):
		w.problem("Job %s is changed after its end", job.Name)
	case record.queued && change.Suspend != nil && !*change.Suspend && !stopsForCancel(w.sj, change):
		w.problem("Job %s is resumed, which a queue has suspended", job.Name)
	case record.queued && change.Annotations[v1alpha1.SuspendedByAnnotation] != nil:
		w.problem("Job %s is marked as suspended by us, and a queue did it", job.Name)
	}
}

// checkExpired holds the deletion of the SequentialJob for its age against what it asks for.
func (w *world) checkExpired() {
	ttl, ended := w.sj.Spec.TTLSecondsAfterFinished, w.sj.Status.CompletionTime
	if !sequence.Finished(&w.sj.Status) || ttl == nil || ended == nil || ended.Add(time.Duration(*ttl)*time.Second).After(w.clock) {
		w.problem("the SequentialJob is deleted for its age in phase %s, ttl %v, ended %v", w.sj.Status.Phase, ttl, ended)
	}
}

// checkStatus holds a status that a controller stores against the one before it and against the Jobs.
func (w *world) checkStatus(sj *v1alpha1.SequentialJob, is *v1alpha1.SequentialJobStatus) {
	was := &sj.Status
	w.checkRetries(sj, is)
	w.checkResult(sj, is)
	if sequence.Finished(was) && granted(was) == granted(is) {
		if !reflect.DeepEqual(withoutGeneration(was), withoutGeneration(is)) {
			w.problem("the status of a finished sequence changed from %+v to %+v", was, is)
		}
		return
	}
	if len(is.Steps) < len(was.Steps) {
		w.problem("%d of %d recorded steps were forgotten", len(was.Steps)-len(is.Steps), len(was.Steps))
		return
	}
	for i := range was.Steps {
		w.checkStep(i, &was.Steps[i], &is.Steps[i])
	}
	w.checkTruth(0, is.Steps)
	w.checkTruth(sequence.FirstFinally, is.Finally)
	w.checkEnd(is)
	w.checkConsistent(sj, is)
}

func withoutGeneration(in *v1alpha1.SequentialJobStatus) *v1alpha1.SequentialJobStatus {
	out := in.DeepCopy()
	out.ObservedGeneration = 0
	// What the pods say may be added later.
	for _, list := range [][]v1alpha1.StepStatus{out.Steps, out.Finally} {
		for i := range list {
			if list[i].State == v1alpha1.StepFailed {
				list[i].Message = ""
			}
		}
	}
	if out.Result != nil {
		out.Result.Message = ""
	}
	for i := range out.Conditions {
		out.Conditions[i].ObservedGeneration, out.Conditions[i].Message = 0, ""
	}
	return out
}

// checkRetries says what is wrong about how often steps were, and may be, started again.
func (w *world) checkRetries(sj *v1alpha1.SequentialJob, is *v1alpha1.SequentialJobStatus) {
	was := &sj.Status
	switch budget := ptr.Deref(sj.Spec.Retries, 0); {
	case granted(is) < granted(was):
		w.problem("%d retries were granted, and now %d", granted(was), granted(is))
	case granted(is) > granted(was) && ptr.Deref(sj.Spec.Cancel, false):
		w.problem("retry %d was granted to a sequence that is cancelled", granted(is))
	case granted(is) > granted(was)+1:
		w.problem("%d retries were granted at once", granted(is)-granted(was))
	case granted(is) > granted(was) && granted(is) > budget:
		w.problem("retry %d was granted, spec.retries is %d", granted(is), budget)
	}
	if startedAgain(is) > granted(was) {
		w.problem("steps were started again %d times, and before that %d were granted", startedAgain(is), granted(was))
	}
}

// checkStep compares what is recorded of a step with what was.
func (w *world) checkStep(i int, was, is *v1alpha1.StepStatus) {
	if again := is.Retries == was.Retries+1; again && was.State == v1alpha1.StepFailed {
		if is.JobUID == was.JobUID || is.JobName == was.JobName {
			w.problem("step %d was started again as the same Job %s", i, is.JobName)
		}
		return
	}
	if is.Name != was.Name || is.JobName != was.JobName || is.JobUID != was.JobUID || is.Retries != was.Retries {
		w.problem("recorded step %d became another: %v, was %v", i, *is, *was)
	}
	if was.State != v1alpha1.StepRunning && is.State != was.State {
		w.problem("step %d is %s, was %s", i, is.State, was.State)
	}
}

// checkTruth compares what a status says of the containers from an index on with what really became of their Jobs.
func (w *world) checkTruth(first int, steps []v1alpha1.StepStatus) {
	for at, step := range steps {
		i := first + at
		if first == sequence.FirstFinally && step.JobUID == "" && step.State == v1alpha1.StepFailed {
			continue // its Job was refused as invalid
		}
		record, known := w.ledger[step.JobUID]
		if !known || record.step != step.Name || record.index != i || record.retry != step.Retries || record.owner != w.sj.UID {
			w.problem("%s (%s) is recorded with a Job that was created as %+v", nounOf(i), step.Name, record)
		}
		job := w.jobs[record.name]
		exists := job != nil && job.UID == step.JobUID
		switch step.State {
		case v1alpha1.StepCompleted:
			if !record.complete && !record.pod.succeeded {
				w.problem("%s is recorded as complete, its Job was not", nounOf(i))
			}
		case v1alpha1.StepFailed:
			if exists && w.runs(job) {
				w.problem("%s is recorded as failed while its Job runs", nounOf(i))
			}
		case v1alpha1.StepRunning:
			if at != len(steps)-1 {
				w.problem("%s is recorded as running, and so is a later one", nounOf(i))
			}
		}
	}
}

// checkEnd expects that nothing runs on when a sequence ends.
func (w *world) checkEnd(status *v1alpha1.SequentialJobStatus) {
	hasEnded := sequence.Finished(status) || w.sj.Status.Result == nil && status.Result != nil
	if !hasEnded {
		return
	}
	for _, job := range w.createdFor(w.sj.UID) {
		if w.runs(job) {
			w.problem("the sequence ends while Job %s runs", job.Name)
		}
	}
}

// check holds at any moment, whoever moved last.
func (w *world) check() {
	if w.sj == nil {
		return
	}
	running := ""
	for _, job := range w.createdFor(w.sj.UID) {
		switch {
		case !w.runs(job):
		case running != "":
			w.problem("several Jobs run at once: %s and %s", running, job.Name)
		default:
			running = job.Name
		}
	}
}
