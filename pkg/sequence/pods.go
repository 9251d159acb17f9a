package sequence

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const (
	// startGrace is how long a step may take to have a running pod before anybody asks why. Most take less.
	startGrace = 10 * time.Second
	// maxInspectInterval is how long a cause that changes to another can stay unnoticed. That it is gone altogether shows
	// at once, because the Job then changes.
	maxInspectInterval = time.Minute
)

// followPods has the pods of the running step looked at if none of them is ready for a while, and ends what was said
// about them once one is.
func (p *planner) followPods(index int, job *batchv1.Job) {
	if ptr.Deref(job.Status.Ready, 0) > 0 {
		if c := p.progressing(); c != nil && c.Reason == v1alpha1.ReasonPodNotStarted {
			p.underWay(v1alpha1.ReasonJobStarted, fmt.Sprintf("Started job %d", index))
		}
		return
	}
	since := job.CreationTimestamp
	if job.Status.StartTime != nil {
		since = *job.Status.StartTime
	}
	// A clock that was set back makes it negative.
	waited := max(0, p.now.Sub(since.Time))
	if waited < startGrace {
		p.plan.LookAgain = startGrace - waited
		return
	}
	p.plan.Inspect = job
	p.plan.LookAgain = min(max(startGrace, waited/2), maxInspectInterval)
}

func (p *planner) progressing() *metav1.Condition {
	return meta.FindStatusCondition(p.plan.Status.Conditions, v1alpha1.ConditionProgressing)
}

// Cause is why a step's Job has no running pod.
type Cause struct {
	// Reason is ReasonPodNotStarted or ReasonPodFailed, or empty if there is nothing to tell.
	Reason string
	// Message begins with the reason that Kubernetes gives, in one word, and a colon.
	Message string
}

// WhyNotRunning finds out why a Job that has not ended has no ready pod, from its pods and the warnings that Kubernetes
// published about it and them.
func WhyNotRunning(job *batchv1.Job, pods []corev1.Pod, events []corev1.Event) Cause {
	pods = slices.Clone(pods)
	slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		if why := whyNotStarted(pod, events); why != "" {
			return Cause{Reason: v1alpha1.ReasonPodNotStarted, Message: why}
		}
		// It runs and is not ready yet, or is about to start: nothing is wrong with it.
		return Cause{}
	}
	if why := lastWarning(string(job.UID), events); why != "" && job.Status.Active == 0 {
		return Cause{Reason: v1alpha1.ReasonPodNotStarted, Message: withoutPodName(job.Name, why)}
	}
	if failure := FailureDetail(job.Labels[v1alpha1.StepNameLabel], pods); failure != "" {
		return Cause{Reason: v1alpha1.ReasonPodFailed, Message: "the Job tries again: " + failure}
	}
	if job.Status.StartTime == nil {
		return Cause{Reason: v1alpha1.ReasonPodNotStarted, Message: "NotAcknowledged: the Job controller has not started the Job yet"}
	}
	return Cause{}
}

// whyNotStarted says what keeps a pod's containers from starting.
func whyNotStarted(pod *corev1.Pod, events []corev1.Event) string {
	if !pod.DeletionTimestamp.IsZero() {
		return onNode(fmt.Sprintf("Terminating: pod %s is being deleted and has not ended yet", pod.Name), pod)
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return joinNonEmpty(": ", clean(c.Reason), clean(c.Message))
		}
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		waiting := status.State.Waiting
		if waiting == nil || waiting.Reason == "" || waiting.Reason == "PodInitializing" || waiting.Reason == "ContainerCreating" {
			continue
		}
		text := joinNonEmpty(": ", clean(waiting.Reason), fmt.Sprintf("container %q", status.Name), clean(waiting.Message))
		if ended := status.LastTerminationState.Terminated; ended != nil {
			text += "; " + describeEnd(status.Name, ended)
		}
		return text
	}
	if pod.Status.Phase == corev1.PodPending {
		return lastWarning(string(pod.UID), events)
	}
	return ""
}

// lastWarning returns the latest warning about an object.
func lastWarning(uid string, events []corev1.Event) string {
	var latest *corev1.Event
	for i := range events {
		event := &events[i]
		if string(event.InvolvedObject.UID) != uid || event.Type != corev1.EventTypeWarning {
			continue
		}
		if latest == nil || !eventTime(event).Before(eventTime(latest)) {
			latest = event
		}
	}
	if latest == nil {
		return ""
	}
	return joinNonEmpty(": ", clean(latest.Reason), clean(latest.Message))
}

func eventTime(event *corev1.Event) time.Time {
	return cmp.Or(event.LastTimestamp.Time, event.EventTime.Time, event.CreationTimestamp.Time)
}

// withoutPodName leaves out what is random about a pod that could not be created: the same cause has the same text.
func withoutPodName(job, text string) string {
	random := regexp.MustCompile(`"` + regexp.QuoteMeta(job) + `-[a-z0-9]{5}"`)
	return random.ReplaceAllString(text, fmt.Sprintf("%q", job+"-*"))
}

// Stuck returns the plan for the case that the Job of p.Inspect has no running pod for that cause. One event tells of
// each kind of cause, however often it is seen.
func (p Plan) Stuck(sj *v1alpha1.SequentialJob, cause Cause, now metav1.Time) Plan {
	index := len(p.Status.Steps) - 1
	if p.Inspect == nil || index < 0 || cause.Reason == "" {
		return p
	}
	verb := "has no running pod"
	if cause.Reason == v1alpha1.ReasonPodFailed {
		verb = "had a pod that failed"
	}
	subject := fmt.Sprintf("Job %d (%s) %s: ", index, p.Status.Steps[index].Name, verb)
	message := cut(subject+cause.Message, maxDetail)
	r := p.reopen(sj, now)
	before := r.progressing()
	known := before != nil && before.Reason == cause.Reason && strings.HasPrefix(before.Message, subject)
	if known && kindOfCause(before.Message[len(subject):]) == kindOfCause(cause.Message) {
		if isImagePull(cause.Message) {
			return p // kubelet alternates between two texts
		}
	} else {
		r.emit(warning(cause.Reason, message))
	}
	r.underWay(cause.Reason, message)
	r.summarise()
	return r.plan
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
