package sequence

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// With spec.advanceOn PodSucceeded the next step starts when the pod of the running one has succeeded, about a second before its Job says
// Complete. That is right only if no other pod of that Job exists or can appear. Whatever leaves a doubt waits for the Job's own word.

// hasPodSucceeded says whether the running step is complete because its pod has succeeded. What the watch has shown is only a reason to
// look: the SequentialJob and then the pods are read live, and what follows is decided in the same turn.
func (d *decider) hasPodSucceeded(job *batchv1.Job) bool {
	step := d.runningStep()
	switch {
	case !d.f.PodSucceeded || step == nil || step.JobUID != job.UID: // what the watch has shown is not about this Job
		return false
	case !advancesByPod(d.sj) || !isAdvancedByPod(job):
		return false
	case d.isSuspended() || d.isOutOfTime() || d.isJobOutOfTime(job) || mayMakePod(job):
		return false
	case !d.f.isLive():
		d.need(Action{Request: ReadSequentialJob})
		return false
	case !d.ask(Action{Request: ListJobPods, Job: job}):
		return false
	}
	return d.onlyPod(job) != nil
}

// advancesByPod says whether the pod of a step starts the next one.
func advancesByPod(sj *v1alpha1.SequentialJob) bool {
	return ptr.Deref(sj.Spec.AdvanceOn, v1alpha1.AdvanceOnJobComplete) == v1alpha1.AdvanceOnPodSucceeded
}

// isAdvancedByPod says whether a Job was created while spec.advanceOn was PodSucceeded.
func isAdvancedByPod(job *batchv1.Job) bool {
	return job.Labels[v1alpha1.AdvanceOnLabel] == string(v1alpha1.AdvanceOnPodSucceeded)
}

// isJobOutOfTime says whether the Job controller may end a Job for its deadline, although its pod has succeeded: it looks at its clock
// before it counts pods. What succeeded in time has succeeded, whatever it says later.
func (d *decider) isJobOutOfTime(job *batchv1.Job) bool {
	if job.Spec.ActiveDeadlineSeconds == nil {
		return false
	}
	started := job.CreationTimestamp // it may not have seen the Job yet; it cannot have started it before
	if job.Status.StartTime != nil {
		started = *job.Status.StartTime
	}
	return d.now.Sub(started.Time) >= time.Duration(*job.Spec.ActiveDeadlineSeconds)*time.Second
}

// mayMakePod says whether a Job may make another pod after one has succeeded, or may not count that one as a success.
func mayMakePod(job *batchv1.Job) bool {
	return isEndingOtherwise(job) || mayBeSuspended(job) || isOfAnotherKind(job)
}

// isEndingOtherwise says whether a Job has failed pods, or is about to end in another way than by success.
func isEndingOtherwise(job *batchv1.Job) bool {
	uncounted := job.Status.UncountedTerminatedPods
	return !job.DeletionTimestamp.IsZero() ||
		jobCondition(job, batchv1.JobFailed) != nil || jobCondition(job, batchv1.JobFailureTarget) != nil ||
		job.Status.Failed > 0 || ptr.Deref(job.Status.Terminating, 0) > 0 || uncounted != nil && len(uncounted.Failed) > 0
}

// mayBeSuspended says whether somebody may suspend a Job. A Job controller that has seen that, and not yet that the pod has succeeded,
// removes the pod without counting it, and makes another one once the Job is resumed. Whoever suspends Jobs has done so at
// the beginning, or puts a queue's label on them; we take the label off that isAdvancedByPod looks for.
func mayBeSuspended(job *batchv1.Job) bool {
	return isJobSuspended(job) || job.Labels[QueueLabel] != "" ||
		slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == batchv1.JobSuspended })
}

// isOfAnotherKind says whether somebody, such as a policy, has made a Job into one that does not end with its only pod, or that another
// controller runs.
func isOfAnotherKind(job *batchv1.Job) bool {
	spec := &job.Spec
	return ptr.Deref(spec.Parallelism, 1) != 1 || ptr.Deref(spec.Completions, 1) != 1 ||
		ptr.Deref(spec.CompletionMode, batchv1.NonIndexedCompletion) != batchv1.NonIndexedCompletion ||
		spec.SuccessPolicy != nil || ptr.Deref(spec.ManualSelector, false) ||
		ptr.Deref(spec.ManagedBy, batchv1.JobControllerName) != batchv1.JobControllerName
}

// onlyPod returns the pod of a Job that has succeeded and is the only one that it has, as far as the pods were listed; else nil.
func (d *decider) onlyPod(job *batchv1.Job) *corev1.Pod {
	if len(d.f.JobPods) != 1 {
		return nil
	}
	pod := &d.f.JobPods[0]
	hasSucceeded := pod.Status.Phase == corev1.PodSucceeded && pod.DeletionTimestamp.IsZero() && metav1.IsControlledBy(pod, job)
	if !hasSucceeded || !isSettled(job, pod) || slices.ContainsFunc(containerStatuses(pod), mayHaveRestarted) {
		return nil
	}
	return pod
}

// isSettled says whether a pod cannot vanish before its Job has counted it.
func isSettled(job *batchv1.Job, pod *corev1.Pod) bool {
	uncounted := job.Status.UncountedTerminatedPods
	return slices.Contains(pod.Finalizers, batchv1.JobTrackingFinalizer) || job.Status.Succeeded > 0 ||
		uncounted != nil && slices.Contains(uncounted.Succeeded, pod.UID)
}

// mayHaveRestarted says whether a container has not ended, or not at its first try: with restartPolicy OnFailure a Job fails if its
// controller sees too many restarts before it sees the end.
func mayHaveRestarted(status corev1.ContainerStatus) bool {
	return status.State.Terminated == nil || status.RestartCount > 0
}

func containerStatuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses)
}

// succeededAt is when the last container of the pod of a Job ended, if that is known.
func (d *decider) succeededAt(job *batchv1.Job, otherwise metav1.Time) metav1.Time {
	pod := d.onlyPod(job)
	if pod == nil {
		return otherwise
	}
	var latest metav1.Time
	for _, status := range containerStatuses(pod) {
		if ended := status.State.Terminated.FinishedAt; latest.Before(&ended) {
			latest = ended
		}
	}
	if latest.IsZero() {
		return otherwise
	}
	return latest
}

// confirmNotAdvanced makes sure that the step after index was not started, and says whether that is done. A controller may have started
// it because the pod had succeeded, and have ended before it could record that; the cache may not have it yet.
func (d *decider) confirmNotAdvanced(index int, job *batchv1.Job) bool {
	if !IsFinally(index) && (isAdvancedByPod(job) || advancesByPod(d.sj)) {
		d.mustBeAbsent(d.successorName(index))
	}
	return d.request == nil
}

// confirmNotPaused is confirmNotAdvanced for a step that is about to be suspended or resumed, or is.
func (d *decider) confirmNotPaused(index int, job *batchv1.Job) bool {
	return !d.isSuspended() && !isJobSuspended(job) || d.confirmNotAdvanced(index, job)
}
