package sequence_test

import (
	"fmt"
	"reflect"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What the world expects of spec.finally and spec.cancel.

// indexOf returns the index that a Job which is about to be created is labelled with.
func (w *world) indexOf(job *batchv1.Job) int {
	first, label := 0, job.Labels[v1alpha1.StepIndexLabel]
	if text, ok := job.Labels[v1alpha1.FinallyIndexLabel]; ok {
		if label != "" {
			w.problem("Job %s is labelled as that of a step and of spec.finally", job.Name)
		}
		first, label = sequence.FirstFinally, text
	}
	index, err := strconv.Atoi(label)
	if err != nil {
		w.problem("Job %s carries no index: %v", job.Name, err)
	}
	return first + index
}

// nounOf names what is at an index.
func nounOf(index int) string {
	if sequence.IsFinally(index) {
		return fmt.Sprintf("finally job %d", index-sequence.FirstFinally)
	}
	return fmt.Sprintf("step %d", index)
}

// isStopping says whether the time of a Job is up as soon as it is not suspended.
func isStopping(job *batchv1.Job) bool { return ptr.Deref(job.Spec.ActiveDeadlineSeconds, 1) == 0 }

// stopsForCancel says whether a change stops a Job because its sequence is cancelled. That is the only reason to resume what somebody
// else has suspended: it makes no pod any more.
func stopsForCancel(sj *v1alpha1.SequentialJob, change *sequence.JobChange) bool {
	return sj != nil && ptr.Deref(sj.Spec.Cancel, false) && isStopping(changed(change))
}

// checkOrder expects that steps start before the result of the steps is stored, and spec.finally after that. What counts is what is
// stored, and, for spec.cancel, what this turn has read.
func (w *world) checkOrder(seen *v1alpha1.SequentialJob, index int, job *batchv1.Job) {
	isFinally, isCancelled := sequence.IsFinally(index), ptr.Deref(seen.Spec.Cancel, false)
	if isFinally && job.Annotations[v1alpha1.DeadlineAnnotation] != "" {
		w.problem("Job %s has the deadline of the steps", job.Name)
	}
	if !isFinally && isCancelled {
		w.problem("Job %s of a step is created although spec.cancel is true", job.Name)
	}
	if w.sj == nil || w.sj.UID != seen.UID {
		return
	}
	result := w.sj.Status.Result
	switch {
	case sequence.Finished(&w.sj.Status):
		w.problem("Job %s is created after its sequence ended", job.Name)
	case isFinally && result == nil:
		w.problem("Job %s is created before the result of the steps is stored", job.Name)
	case !isFinally && result != nil:
		w.problem("Job %s of a step is created after the result of the steps was stored", job.Name)
	case isFinally && (job.Annotations[v1alpha1.ResultAnnotation] != string(result.Type) ||
		job.Spec.Template.Annotations[v1alpha1.ResultAnnotation] != string(result.Type)):
		w.problem("Job %s does not tell the result %s", job.Name, result.Type)
	}
}

// checkFinallyAttempt holds a Job of spec.finally against those that were created before it, and returns how often the steps had ended
// before.
func (w *world) checkFinallyAttempt(seen *v1alpha1.SequentialJob, job *jobRecord) int32 {
	retry := int32(0)
	if seen.Status.Progress != nil {
		retry = max(0, seen.Status.Progress.FinallyRuns-1)
	}
	before := job.index == sequence.FirstFinally
	for _, other := range w.ledger {
		if other.owner != job.owner || other.retry != retry || !sequence.IsFinally(other.index) {
			continue
		}
		before = before || other.index == job.index-1 && other.complete
		editedAway := !other.recorded && (other.unwanted || other.step != job.step)
		if other.name == job.name && !editedAway {
			w.problem("Job %s is created a second time", job.name)
		}
	}
	at := job.index - 1 - sequence.FirstFinally
	if w.sj != nil && w.sj.UID == job.owner && at >= 0 && at < len(w.sj.Status.Finally) {
		before = before || w.sj.Status.Finally[at].State == v1alpha1.StepFailed
	}
	if !before {
		w.problem("Job %s is created although the one before it is neither complete nor recorded as failed", job.name)
	}
	return retry
}

// checkResult says what is wrong about the result of the steps, and about what is recorded of spec.finally.
func (w *world) checkResult(sj *v1alpha1.SequentialJob, is *v1alpha1.SequentialJobStatus) {
	was := &sj.Status
	isResumed := granted(is) > granted(was) && is.Result == nil && len(is.Finally) == 0
	switch {
	case is.Result == nil && len(is.Finally) > 0, was.Result == nil && len(is.Finally) > 0:
		w.problem("%d containers of spec.finally are recorded with the result %v, before that %v", len(is.Finally), is.Result, was.Result)
	case was.Result == nil && is.Result != nil:
		w.checkNewResult(sj, is)
	case was.Result != nil && !isResumed:
		w.checkSameResult(was, is)
	}
	began := int32(0)
	if was.Result == nil && is.Result != nil {
		began = 1
	}
	if finallyRuns(is) != finallyRuns(was)+began {
		w.problem("spec.finally was begun %d times, before that %d", finallyRuns(is), finallyRuns(was))
	}
	w.checkFinallyDone(sj, is)
}

func finallyRuns(status *v1alpha1.SequentialJobStatus) int32 {
	if status.Progress == nil {
		return 0
	}
	return status.Progress.FinallyRuns
}

// checkNewResult compares a result with the steps.
func (w *world) checkNewResult(sj *v1alpha1.SequentialJob, is *v1alpha1.SequentialJobStatus) {
	result := is.Result
	completed := 0
	for _, step := range is.Steps {
		if step.State == v1alpha1.StepCompleted {
			completed++
		}
	}
	isComplete := completed == len(sj.Spec.Containers)
	switch {
	case len(is.Steps) == 0 || sequence.Finished(is):
		w.problem("the result %s is stored in phase %s with %d steps", result.Type, is.Phase, len(is.Steps))
	case isComplete != (result.Type == v1alpha1.ResultCompleted) || isComplete != (result.Reason == ""):
		w.problem("the result is %s for %q with %d of %d steps complete", result.Type, result.Reason, completed, len(sj.Spec.Containers))
	case result.Type == v1alpha1.ResultCancelled && !ptr.Deref(sj.Spec.Cancel, false):
		w.problem("the result is Cancelled, and spec.cancel is not true")
	case result.Type == v1alpha1.ResultFailed && ptr.Deref(sj.Spec.Cancel, false):
		w.problem("the result is Failed for %s although the sequence is cancelled", result.Reason)
	}
}

// checkSameResult expects that a result stays, and what was recorded of spec.finally.
func (w *world) checkSameResult(was, is *v1alpha1.SequentialJobStatus) {
	bare := func(status *v1alpha1.SequentialJobStatus) *v1alpha1.SequentialJobStatus {
		out := withoutGeneration(status)
		return &v1alpha1.SequentialJobStatus{Result: out.Result, Steps: out.Steps}
	}
	if !reflect.DeepEqual(bare(was), bare(is)) {
		w.problem("the result changed from %+v of %v to %+v of %v", was.Result, was.Steps, is.Result, is.Steps)
	}
	if len(is.Finally) < len(was.Finally) || len(is.Finally) > len(was.Finally)+1 {
		w.problem("%d containers of spec.finally were recorded, and now %d", len(was.Finally), len(is.Finally))
		return
	}
	for i := range is.Finally {
		if record, ours := w.ledger[is.Finally[i].JobUID]; ours && record.told != string(is.Result.Type) {
			w.problem("Job %s was told the result %s, which is %s", record.name, record.told, is.Result.Type)
		}
	}
	was, is = withoutGeneration(was), withoutGeneration(is)
	for i := range was.Finally {
		before, after := &was.Finally[i], &is.Finally[i]
		isSame := before.Name == after.Name && before.JobUID == after.JobUID && before.JobName == after.JobName && before.Retries == after.Retries
		if !isSame || before.State != v1alpha1.StepRunning && !reflect.DeepEqual(before, after) {
			w.problem("what is recorded of spec.finally changed from %+v to %+v", *before, *after)
		}
	}
}

// checkFinallyDone expects of a sequence that ends that all of spec.finally has ended, and what came of it.
func (w *world) checkFinallyDone(sj *v1alpha1.SequentialJob, is *v1alpha1.SequentialJobStatus) {
	if !sequence.Finished(is) || sequence.Finished(&sj.Status) {
		return
	}
	if isDue := len(sj.Spec.Finally) > 0 && len(is.Steps) > 0; isDue && len(is.Finally) < len(sj.Spec.Finally) {
		w.problem("the sequence ends with %d of %d containers of spec.finally recorded", len(is.Finally), len(sj.Spec.Finally))
	}
	hasFailed := false
	for i := range is.Finally {
		hasFailed = hasFailed || is.Finally[i].State == v1alpha1.StepFailed
		if is.Finally[i].State == v1alpha1.StepRunning {
			w.problem("the sequence ends while Job %s is recorded as running", is.Finally[i].JobName)
		}
	}
	if is.Result == nil {
		return
	}
	isComplete := is.Result.Type == v1alpha1.ResultCompleted
	if (is.Phase == v1alpha1.SequentialJobCompleted) != (isComplete && !hasFailed) {
		w.problem("phase %s with the result %s, failures in spec.finally: %v", is.Phase, is.Result.Type, hasFailed)
	}
	if want := is.Result.Reason; is.Phase == v1alpha1.SequentialJobFailed && !isComplete && is.Progress.FailureReason != want {
		w.problem("the sequence failed for %s, want %s", is.Progress.FailureReason, want)
	}
}
