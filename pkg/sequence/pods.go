package sequence

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const (
	// startGrace is how long a step may have no ready pod before anybody asks why. Most take less to start, and to end.
	startGrace = 10 * time.Second
	// maxInspectInterval is how long a cause that changes to another can stay unnoticed.
	maxInspectInterval = time.Minute
)

// followPods tells why the running step makes no progress, if none of its pods is ready for a while, and ends what was said about
// them once one is. What is about to end, by success or on purpose, has no ready pod either, and nothing is wrong with it.
func (d *decider) followPods(index int, step *v1alpha1.StepStatus, job *batchv1.Job, note string) {
	switch target := jobCondition(job, batchv1.JobFailureTarget); {
	case isSucceeding(job):
		return
	case target != nil:
		d.reportEnding(index, step, job, d.reasonOf(index, job, target.Reason))
		return
	case !job.DeletionTimestamp.IsZero():
		d.reportEnding(index, step, job, "Deleted")
		return
	}
	d.reportQueued(index, step, note)
	isLost := d.f.PodLost && d.isStartRecorded(index) && !d.f.isAnswered(CreateJob) && // not the step before
		mayBeReplaced(job)
	waited := d.waited(job)
	switch {
	case ptr.Deref(job.Status.Ready, 0) > 0 && !isLost:
		d.reportCause(index, step, note, Cause{})
		return
	case waited < startGrace && !isLost:
		d.lookAfter(startGrace - waited)
		return
	}
	d.lookAfter(min(max(startGrace, waited/2), maxInspectInterval))
	if cause, ok := d.inspect(job, step.Name, isLost); ok {
		d.reportCause(index, step, note, cause)
	}
}

// mayBeReplaced says whether the Job makes another pod for one that fails or is deleted.
func mayBeReplaced(job *batchv1.Job) bool {
	lost := job.Status.Failed + ptr.Deref(job.Status.Terminating, 0)
	return lost <= ptr.Deref(job.Spec.BackoffLimit, lost)
}

// isSucceeding says whether the Job controller has seen that a pod succeeded.
func isSucceeding(job *batchv1.Job) bool {
	uncounted := job.Status.UncountedTerminatedPods
	return jobCondition(job, batchv1.JobSuccessCriteriaMet) != nil || job.Status.Succeeded > 0 ||
		uncounted != nil && len(uncounted.Succeeded) > 0
}

// since is when the Job began to need a pod that is ready: it was started, resumed, or had one.
func (d *decider) since(job *batchv1.Job) time.Time {
	since := job.CreationTimestamp.Time
	later := func(t time.Time) {
		if t.After(since) {
			since = t
		}
	}
	later(d.f.Unready)
	if job.Status.StartTime != nil {
		later(job.Status.StartTime.Time)
	}
	if d.status.ActiveSince != nil {
		later(d.status.ActiveSince.Time)
	}
	return since
}

// waited is for how long the Job has had no ready pod. A clock that was set back does not make it negative.
func (d *decider) waited(job *batchv1.Job) time.Duration {
	return max(0, d.now.Sub(d.since(job)))
}

// inspect finds out why the Job has no ready pod, or what became of one that is lost. Events are asked for only if the pods do not
// tell.
func (d *decider) inspect(job *batchv1.Job, step string, isLost bool) (Cause, bool) {
	if !d.ask(Action{Request: ListJobPods, Job: job, Optional: true}) {
		return Cause{}, false
	}
	if _, refused := d.f.refusalOf(ListJobPods); refused {
		return Cause{}, false
	}
	switch {
	case isLost:
		return whatWasLost(step, d.f.JobPods), true
	case d.isStopping(d.f.JobPods):
		return Cause{}, false // somebody stops it, perhaps for the Job's deadline, which the Job does not say yet
	}
	cause, about := WhyNotReady(job, step, d.f.JobPods)
	if about == nil {
		return cause, cause.Reason != "" || anyPodRuns(d.f.JobPods) // between two pods nothing is known
	}
	if !d.ask(Action{Request: ListEvents, About: about.GetUID(), Optional: true}) {
		return Cause{}, false
	}
	if why := currentWarning(about, d.since(job), d.f.Events); why != "" {
		return notStarted(withoutPodName(job.Name, why)), true
	}
	return cause, cause.Reason != "" || anyPodRuns(d.f.JobPods)
}

// isStopping says whether the newest pod that has not ended is being deleted and still has time to stop.
func (d *decider) isStopping(pods []corev1.Pod) bool {
	for _, pod := range newestFirst(pods) {
		if !hasPodEnded(&pod) {
			return pod.DeletionTimestamp != nil && d.now.Before(new(metav1.NewTime(pod.DeletionTimestamp.Add(startGrace))))
		}
	}
	return false
}

// reportCause says why the running step makes no progress, or that it does again. One event tells of each kind of cause, however
// often it is seen.
func (d *decider) reportCause(index int, step *v1alpha1.StepStatus, note string, cause Cause) {
	before := d.progress()
	if cause.Reason == "" {
		d.clearCause(index, step, note, cause.Message)
		return
	}
	what := subject(index, step.Name) + " " + cause.Verb + ": "
	text := cut(what+cause.Message, maxDetail-len(note)-len(cause.Count))
	message := joinNonEmpty("; ", text+cause.Count, note)
	isSame := before != nil && before.Reason == cause.Reason && strings.HasPrefix(before.Message, what)
	if isSame && kindOfCause(before.Message[len(what):]) == kindOfCause(cause.Message) {
		if isImagePull(cause.Message) {
			return // kubelet alternates between two texts
		}
	} else if !cause.Quiet {
		d.emit(warning(cause.Reason, joinNonEmpty("; ", text, note)))
	}
	d.setProgressing(cause.Reason, message)
}

// clearCause says that nothing is wrong any more, and what the step does.
func (d *decider) clearCause(index int, step *v1alpha1.StepStatus, note, doing string) {
	c := d.progress()
	message := joinNonEmpty("; ", joinNonEmpty(": ", startMessage(index, step), doing), note)
	switch {
	case c == nil:
	case isCause(c.Reason), c.Reason == v1alpha1.ReasonJobStarted && note == "" && (doing != "" || strings.Contains(c.Message, initNote)):
		d.setProgressing(v1alpha1.ReasonJobStarted, message)
	}
}

// isCause says whether that is the reason of a condition that tells why a step makes no progress.
func isCause(reason string) bool {
	return reason == v1alpha1.ReasonPodNotStarted || reason == v1alpha1.ReasonPodFailed || reason == v1alpha1.ReasonPodStillRunning
}

// reportEnding says that the running step's Job is about to end, and what its pods say before they go. It is on purpose, so that no
// event tells of it; the one of the end will.
func (d *decider) reportEnding(index int, step *v1alpha1.StepStatus, job *batchv1.Job, reason string) {
	mark := subject(index, step.Name) + endingMark + reason
	if c := d.progress(); c != nil && c.Reason == v1alpha1.ReasonJobEnding && strings.HasPrefix(c.Message, mark) {
		return
	}
	if !d.ask(Action{Request: ListJobPods, Job: job}) {
		return
	}
	if _, refused := d.f.refusalOf(ListJobPods); refused {
		d.lookAfter(startGrace)
		return
	}
	detail := FailureDetail(step.Name, d.f.JobPods)
	if detail == "" {
		detail = d.causeReported(index)
	}
	stopping := ""
	for i := range d.f.JobPods {
		if pod := &d.f.JobPods[i]; pod.DeletionTimestamp != nil && !hasPodEnded(pod) {
			stopping = fmt.Sprintf(" (pod %s has %d s to stop)", pod.Name, ptr.Deref(pod.DeletionGracePeriodSeconds, 0))
			break
		}
	}
	d.setProgressing(v1alpha1.ReasonJobEnding, cut(joinNonEmpty(": ", mark, detail), maxDetail-len(stopping))+stopping)
}

// stoppingNote is what reportEnding appends.
var stoppingNote = regexp.MustCompile(` \(pod \S+ has \d+ s to stop\)$`)

const beforeThat = "before that: "

// causeReported returns what the stored status says of the trouble of the running step, or of how it ends.
func (d *decider) causeReported(index int) string {
	c := d.storedProgress()
	if c == nil || !strings.HasPrefix(c.Message, subject(index, entryAt(&d.status, index).Name)+" ") {
		return ""
	}
	if isCause(c.Reason) {
		return beforeThat + c.Message
	}
	if c.Reason != v1alpha1.ReasonJobEnding {
		return ""
	}
	_, ending, _ := strings.Cut(stoppingNote.ReplaceAllString(c.Message, ""), endingMark)
	_, detail, _ := strings.Cut(ending, ": ")
	return detail
}

func kindOfCause(message string) string {
	if isImagePull(message) {
		return "ImagePullBackOff"
	}
	kind, _, _ := strings.Cut(message, ":")
	return kind
}

func isImagePull(message string) bool {
	return strings.HasPrefix(message, "ErrImagePull") || strings.HasPrefix(message, "ImagePullBackOff")
}

// whatWasLost says what became of a pod that failed or was deleted while its step goes on.
func whatWasLost(step string, pods []corev1.Pod) Cause {
	pods = newestFirst(pods)
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp == nil || hasPodEnded(pod) {
			continue
		}
		// A pod whose container fails in place is deleted by the Job controller once the limit is reached; its last words go with it.
		if status, ended := failedContainer(step, pod); ended != nil {
			cause := crashing(status, ended)
			cause.Quiet = true
			return cause
		}
		return Cause{Reason: v1alpha1.ReasonPodFailed, Verb: "lost a pod", Message: onNode(fmt.Sprintf(
			"Deleted: pod %s is being deleted and has %d s to stop; the Job replaces it then", pod.Name,
			ptr.Deref(pod.DeletionGracePeriodSeconds, 0)), pod)}
	}
	if failure := FailureDetail(step, pods); failure != "" {
		return Cause{Reason: v1alpha1.ReasonPodFailed, Verb: verbFailed, Message: "the Job tries again: " + failure}
	}
	return Cause{Reason: v1alpha1.ReasonPodFailed, Verb: "lost a pod", Message: "Deleted: it failed or was deleted, and is gone; the Job replaces it"}
}
