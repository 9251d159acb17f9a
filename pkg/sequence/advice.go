package sequence

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Remedy is a kind of thing that a user can do about a sequence.
type Remedy string

const (
	// RemedyNone means that there is nothing to do, or nothing that one command does.
	RemedyNone Remedy = ""
	// RemedyRetry is to read the log of the step that failed, and to let the sequence go on with it.
	RemedyRetry Remedy = "Retry"
	// RemedyCorrect is to correct the spec. A sequence that has failed needs one more retry with it.
	RemedyCorrect Remedy = "Correct"
	// RemedyExtend is to raise spec.activeDeadlineSeconds, and retries with it.
	RemedyExtend Remedy = "Extend"
	// RemedyResume is to set spec.suspend to false.
	RemedyResume Remedy = "Resume"
	// RemedyApprove is to set the suspend of the step's override to false.
	RemedyApprove Remedy = "Approve"
	// RemedyCreateAnother is to create another SequentialJob like this one.
	RemedyCreateAnother Remedy = "CreateAnother"
	// RemedyDeleteJob is to delete the Job, which is somebody else's.
	RemedyDeleteJob Remedy = "DeleteJob"
	// RemedyInspectJob is to look at the Job.
	RemedyInspectJob Remedy = "InspectJob"
	// RemedyInspectPods is to look at the pods of the Job.
	RemedyInspectPods Remedy = "InspectPods"
	// RemedyReadLog is to read the log of the step.
	RemedyReadLog Remedy = "ReadLog"
	// RemedyFindController is to find out whether a controller runs.
	RemedyFindController Remedy = "FindController"
)

// Advice is what a user can do next about a sequence.
type Advice struct {
	// Remedy is the kind of it.
	Remedy Remedy
	// Text says it in a sentence or two. It is empty if there is nothing to do.
	Text string
	// Step is the name of the step that it is about, if it is about one.
	Step string
	// Job is the name of the Job that it is about, if it is about one.
	Job string
}

// RootCause says in full why a sequence has failed or makes no progress. It returns "" if nothing is wrong.
func RootCause(sj *v1alpha1.SequentialJob) string {
	if result := sj.Status.Result; result != nil && result.Message != "" && !Finished(&sj.Status) {
		return result.Message
	}
	c := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing)
	if c == nil || c.Status == metav1.ConditionTrue && isInOrder(c) || c.Reason == v1alpha1.ReasonCompleted {
		return ""
	}
	return c.Message
}

// isInOrder says whether a condition Progressing tells of nothing but progress.
func isInOrder(c *metav1.Condition) bool {
	if strings.Contains(c.Message, v1alpha1.ReasonInvalidSpec+": ") || strings.Contains(c.Message, queueNote) {
		return false
	}
	switch c.Reason {
	case v1alpha1.ReasonJobStarted, v1alpha1.ReasonJobCompleted, v1alpha1.ReasonResumed, v1alpha1.ReasonStepsEnded:
		return true
	}
	return false
}

// Advise says what a user can do next about a sequence. What it says goes by the status alone.
func Advise(sj *v1alpha1.SequentialJob) Advice {
	status := &sj.Status
	c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionProgressing)
	switch {
	case !sj.DeletionTimestamp.IsZero():
		return Advice{Text: "It is being deleted, and goes once its Jobs and pods have ended."}
	case c == nil:
		return Advice{Remedy: RemedyFindController, Text: "No controller has seen it yet. If it stays like this, none runs, or none for this namespace."}
	case status.Phase == v1alpha1.SequentialJobCompleted:
		return Advice{}
	case status.Phase == v1alpha1.SequentialJobFailed:
		return adviseFailed(sj, c.Reason)
	case status.Phase == v1alpha1.SequentialJobSuspended:
		return adviseSuspended(sj, c.Reason)
	}
	return adviseRunning(sj, c)
}

func adviseFailed(sj *v1alpha1.SequentialJob, reason string) Advice {
	step, job := failedEntry(sj)
	again := Advice{Remedy: RemedyRetry, Step: step, Job: job}
	switch {
	case isCancelled(sj):
		return Advice{Remedy: RemedyCreateAnother, Text: "It was cancelled, which is final. To run it again, create another one."}
	case sj.Generation > sj.Status.ObservedGeneration:
		return Advice{Text: "It was changed since, and the controller has not answered yet."}
	case reason == v1alpha1.ReasonInvalidSpec:
		return Advice{Remedy: RemedyCorrect, Step: step, Text: "Correct the field that the message names, and raise retries."}
	case IsOutOfTime(sj):
		return Advice{Remedy: RemedyExtend, Step: step, Text: "Its time is used up: raise activeDeadlineSeconds, and retries with it."}
	case reason == v1alpha1.ReasonJobDeleted:
		again.Job = "" // its log went with it
		again.Text = "Find out whether the work of the step was done. To run the step again, retry."
	case reason == v1alpha1.ReasonStepDeadlineExceeded:
		again.Text = "Find out what took so long, or raise the step's activeDeadlineSeconds; then retry."
	case reason == v1alpha1.ReasonFinallyFailed:
		again.Text = "All steps are complete. To run finally again, fix it and retry."
	default:
		again.Text = "Fix the cause; then retry. Completed steps do not run again."
	}
	return again
}

// failedEntry returns the name of the step that a sequence failed with, and of its Job if it has one.
func failedEntry(sj *v1alpha1.SequentialJob) (step, job string) {
	status := &sj.Status
	for _, list := range [][]v1alpha1.StepStatus{status.Steps, status.Finally} {
		for i := range list {
			if list[i].State == v1alpha1.StepFailed {
				return list[i].Name, list[i].JobName
			}
		}
	}
	if p := status.Progress; p != nil && p.FailedIndex != nil {
		return nameAt(&sj.Spec, int(*p.FailedIndex)), ""
	}
	return "", ""
}

func isCancelled(sj *v1alpha1.SequentialJob) bool { return ptr.Deref(sj.Spec.Cancel, false) }

// IsOutOfTime says whether a sequence whose steps have ended has used up its spec.activeDeadlineSeconds, so that no further step can start.
// What is left of one whose steps are all complete has no limit.
func IsOutOfTime(sj *v1alpha1.SequentialJob) bool {
	limit := sj.Spec.ActiveDeadlineSeconds
	return limit != nil && sj.Status.ActiveSeconds >= *limit && firstToStart(&sj.Status) < len(sj.Spec.Containers)
}

func adviseSuspended(sj *v1alpha1.SequentialJob, reason string) Advice {
	index, last := LastStarted(&sj.Status)
	isRunning := last != nil && last.State == v1alpha1.StepRunning
	next := nextToStart(sj, index, last)
	switch {
	case reason == v1alpha1.ReasonInvalidSpec:
		return Advice{Remedy: RemedyCorrect, Text: "Correct the field that the message names before you resume it: that costs no retry."}
	case reason == v1alpha1.ReasonJobUpdateFailed && last != nil:
		return Advice{Remedy: RemedyInspectJob, Step: last.Name, Job: last.JobName, Text: "Remove the cause; it is tried again by itself."}
	case ptr.Deref(sj.Spec.Suspend, false):
		return Advice{Remedy: RemedyResume, Text: "Resume it when it may go on."}
	case isRunning:
		return Advice{Remedy: RemedyInspectJob, Step: last.Name, Job: last.JobName,
			Text: "Wait until whoever suspended the Job, such as a queue, lets it run."}
	case !AwaitsApproval(&sj.Spec, next):
		return Advice{Step: next, Text: "Nothing holds it any more: it goes on once the controller has seen that."}
	}
	return Advice{Remedy: RemedyApprove, Step: next, Text: "The step waits for approval. Approve it when it may run."}
}

// AwaitsApproval says whether the step of that name may not start yet, by its override.
func AwaitsApproval(spec *v1alpha1.SequentialJobSpec, step string) bool {
	override := overrideOf(spec, step)
	return override != nil && ptr.Deref(override.Suspend, false)
}

// nextToStart returns the name of the step that starts next, given what started last.
func nextToStart(sj *v1alpha1.SequentialJob, index int, last *v1alpha1.StepStatus) string {
	switch {
	case last == nil:
		return nameAt(&sj.Spec, 0)
	case last.State == v1alpha1.StepFailed && !IsFinally(index) && sj.Status.Result == nil:
		return nameAt(&sj.Spec, index)
	case !IsFinally(index) && sj.Status.Result != nil:
		return nameAt(&sj.Spec, FirstFinally)
	}
	return nameAt(&sj.Spec, index+1)
}

func adviseRunning(sj *v1alpha1.SequentialJob, c *metav1.Condition) Advice {
	_, last := LastStarted(&sj.Status)
	if strings.Contains(c.Message, v1alpha1.ReasonInvalidSpec+": ") {
		return Advice{Remedy: RemedyCorrect, Text: "Correct the field that the message names before the turn of its step comes: that costs no retry."}
	}
	step := cmp.Or(last, &v1alpha1.StepStatus{})
	about := Advice{Step: step.Name, Job: step.JobName}
	switch c.Reason {
	case v1alpha1.ReasonPodNotStarted:
		about.Remedy = RemedyInspectPods
		about.Text = "Remove the cause; the step goes on by itself. " + editNote(sj, about.Job)
	case v1alpha1.ReasonPodFailed:
		about.Remedy = RemedyReadLog
		about.Text = "Its Job tries again by itself. " + editNote(sj, about.Job)
	case v1alpha1.ReasonPodStillRunning:
		about.Remedy = RemedyInspectPods
		about.Text = "Let the other container end, or make it a sidecar: an init container with restartPolicy Always."
	case v1alpha1.ReasonJobNameConflict:
		if isCancelled(sj) && sj.Status.Result == nil {
			return Advice{Remedy: RemedyDeleteJob, Job: NextJobName(sj), Text: "Wait until that Job has ended, or delete it."}
		}
		about = Advice{Remedy: RemedyDeleteJob, Job: NextJobName(sj), Text: "If nobody needs that Job, delete it; the step starts then by itself."}
	case v1alpha1.ReasonJobCreateFailed:
		about = Advice{Text: "Remove the cause; it is tried again by itself, every 15 seconds at the latest."}
	case v1alpha1.ReasonJobUpdateFailed:
		about.Remedy, about.Text = RemedyInspectJob, "Remove the cause; it is tried again by itself, every 15 seconds at the latest."
	default:
		return Advice{}
	}
	return about
}

// editNote says how to change a step that cannot succeed as it is.
func editNote(sj *v1alpha1.SequentialJob, job string) string {
	first := "delete"
	// Otherwise the step would be started again as it is.
	if used := spentRetries(&sj.Status); sj.Status.Result == nil && ptr.Deref(sj.Spec.Retries, 0) > used {
		first = fmt.Sprintf("set retries to %d, delete", used)
	}
	return fmt.Sprintf("If the step itself is wrong: %s its Job (%s), correct the step, and retry.", first, job)
}

// StepNames returns the names of all steps of a spec, and of what runs finally, in order.
func StepNames(spec *v1alpha1.SequentialJobSpec) []string {
	var names []string
	for _, list := range [][]corev1.Container{spec.Containers, spec.Finally} {
		for i := range list {
			names = append(names, list[i].Name)
		}
	}
	return names
}

// NextStep returns the name of the step that starts next; "" if the last one has started.
func NextStep(sj *v1alpha1.SequentialJob) string {
	index, last := LastStarted(&sj.Status)
	return nextToStart(sj, index, last)
}
