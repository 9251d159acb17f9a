package sequence

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Cause is why a step's Job has no ready pod.
type Cause struct {
	// Reason is ReasonPodNotStarted, ReasonPodFailed or ReasonPodStillRunning, or empty if nothing is wrong.
	Reason string
	// Verb links the Job and the message.
	Verb string
	// Count is added to the message, and not to events: it changes while the cause stays the same.
	Count string
	// Quiet says that no event is to tell of it: what is about to follow will be told.
	Quiet bool
	// Message begins with the reason that Kubernetes gives, in one word, and a colon. If nothing is wrong it says what the pod does,
	// or is empty.
	Message string
}

const (
	verbFailed = "had a pod that failed"
	// initNote marks the message about a step whose init container runs.
	initNote = "init container "
)

func notStarted(message string) Cause {
	return Cause{Reason: v1alpha1.ReasonPodNotStarted, Verb: "has no running pod", Message: message}
}

// WhyNotReady finds out from the pods of a Job that has not ended why none of them is ready. If they do not tell, it also returns
// the object whose events may.
func WhyNotReady(job *batchv1.Job, step string, pods []corev1.Pod) (Cause, metav1.Object) {
	pods = newestFirst(pods)
	for i := range pods {
		if !hasPodEnded(&pods[i]) {
			return whyPodNotReady(step, &pods[i])
		}
	}
	var about metav1.Object
	if job.Status.Active == 0 {
		about = job
	}
	if failure := FailureDetail(step, pods); failure != "" {
		return Cause{Reason: v1alpha1.ReasonPodFailed, Verb: verbFailed, Message: "the Job tries again: " + failure}, about
	}
	if job.Status.StartTime == nil {
		return notStarted("NotAcknowledged: the Job controller has not started the Job yet"), about
	}
	return Cause{}, about
}

func newestFirst(pods []corev1.Pod) []corev1.Pod {
	pods = slices.Clone(pods)
	slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	return pods
}

// whyPodNotReady is about a pod that has not ended.
func whyPodNotReady(step string, pod *corev1.Pod) (Cause, metav1.Object) {
	if pod.DeletionTimestamp != nil {
		return notStarted(onNode(fmt.Sprintf("Terminating: pod %s is being deleted and has not ended yet", pod.Name), pod)), nil
	}
	if scheduled := podCondition(pod, corev1.PodScheduled); scheduled != nil && scheduled.Status == corev1.ConditionFalse {
		return notStarted(joinNonEmpty(": ", cmp.Or(clean(scheduled.Reason), corev1.PodReasonUnschedulable), clean(scheduled.Message))), nil
	}
	statuses := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	for i := range statuses {
		if cause := whyContainerNotRunning(pod, &statuses[i]); cause.Reason != "" {
			return cause, nil
		}
	}
	if cause := whatKeepsPod(step, pod); cause.Reason != "" {
		return cause, nil
	}
	for i := range pod.Status.InitContainerStatuses {
		if status := &pod.Status.InitContainerStatuses[i]; status.State.Running != nil && !isSidecar(pod, status.Name) {
			return Cause{Message: fmt.Sprintf("%s%q runs", initNote, status.Name)}, nil
		}
	}
	if pod.Status.Phase == corev1.PodPending {
		return Cause{}, pod
	}
	return Cause{}, nil // it runs, and is not ready yet
}

// whyContainerNotRunning is about a container that waits, or that has failed and is restarted in place. In between kubelet shows it
// as terminated, and as waiting only for an instant.
func whyContainerNotRunning(pod *corev1.Pod, status *corev1.ContainerStatus) Cause {
	waiting, ended := status.State.Waiting, status.State.Terminated
	switch {
	case ended != nil && ended.ExitCode != 0 && isRestarted(pod, status.Name, ended.ExitCode):
		return crashing(status, ended)
	case waiting == nil || waiting.Reason == "" || waiting.Reason == "PodInitializing" || waiting.Reason == "ContainerCreating":
		return Cause{}
	case waiting.Reason == crashLoop && status.LastTerminationState.Terminated != nil:
		return crashing(status, status.LastTerminationState.Terminated)
	}
	text := joinNonEmpty(": ", clean(waiting.Reason), fmt.Sprintf("container %q", status.Name), clean(waiting.Message))
	if last := status.LastTerminationState.Terminated; last != nil {
		text += "; " + describeEnd(status.Name, last)
	}
	return notStarted(text)
}

const crashLoop = "CrashLoopBackOff"

func crashing(status *corev1.ContainerStatus, ended *corev1.ContainerStateTerminated) Cause {
	cause := Cause{Reason: v1alpha1.ReasonPodFailed, Verb: "has a container that fails again and again",
		Message: crashLoop + ": " + describeEnd(status.Name, ended)}
	if status.RestartCount > 0 {
		cause.Count = fmt.Sprintf(" (restarted %d times in the same pod)", status.RestartCount)
	}
	return cause
}

// isRestarted says whether kubelet restarts a container in its pod that ended with that code.
func isRestarted(pod *corev1.Pod, name string, exitCode int32) bool {
	container := containerOf(pod, name)
	if container == nil {
		return false
	}
	for _, rule := range container.RestartPolicyRules {
		codes := rule.ExitCodes
		if rule.Action != corev1.ContainerRestartRuleActionRestart || codes == nil {
			continue
		}
		if slices.Contains(codes.Values, exitCode) == (codes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn) {
			return true
		}
	}
	if container.RestartPolicy != nil {
		return *container.RestartPolicy != corev1.ContainerRestartPolicyNever
	}
	return pod.Spec.RestartPolicy != corev1.RestartPolicyNever && pod.Spec.RestartPolicy != ""
}

func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			if containers[i].Name == name {
				return &containers[i]
			}
		}
	}
	return nil
}

func isSidecar(pod *corev1.Pod, name string) bool {
	container := containerOf(pod, name)
	return container != nil && container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// whatKeepsPod is about a pod whose step has ended while another container goes on. A webhook may have put that there.
func whatKeepsPod(step string, pod *corev1.Pod) Cause {
	var ended *corev1.ContainerStateTerminated
	running := ""
	for i := range pod.Status.ContainerStatuses {
		switch status := &pod.Status.ContainerStatuses[i]; {
		case status.Name == step:
			ended = status.State.Terminated
		case status.State.Running != nil && running == "":
			running = status.Name
		}
	}
	if ended == nil || running == "" {
		return Cause{}
	}
	return Cause{Reason: v1alpha1.ReasonPodStillRunning, Verb: "has ended, and its pod has not", Message: fmt.Sprintf(
		"ContainerStillRunning: container %q still runs in pod %s, although the step has exited with code %d: a Job is complete only once all its containers have ended",
		running, pod.Name, ended.ExitCode)}
}

func podCondition(pod *corev1.Pod, conditionType corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == conditionType {
			return c
		}
	}
	return nil
}

// currentWarning returns the latest event about an object if it is a warning, and not older than the state that it is to explain: a
// pod that was scheduled meanwhile is no longer kept by what kept it from that.
func currentWarning(about metav1.Object, since time.Time, events []corev1.Event) string {
	if pod, ok := about.(*corev1.Pod); ok {
		since = pod.CreationTimestamp.Time
		if scheduled := podCondition(pod, corev1.PodScheduled); scheduled != nil {
			since = scheduled.LastTransitionTime.Time
		}
	}
	var latest *corev1.Event
	for i := range events {
		event := &events[i]
		if event.InvolvedObject.UID == about.GetUID() && (latest == nil || !eventTime(event).Before(eventTime(latest))) {
			latest = event
		}
	}
	// Times of events have no fraction of a second.
	if latest == nil || latest.Type != corev1.EventTypeWarning || eventTime(latest).Before(since.Truncate(time.Second)) {
		return ""
	}
	return joinNonEmpty(": ", clean(latest.Reason), clean(latest.Message))
}

func eventTime(event *corev1.Event) time.Time {
	latest := event.CreationTimestamp.Time
	times := []time.Time{event.LastTimestamp.Time, event.EventTime.Time}
	if event.Series != nil {
		times = append(times, event.Series.LastObservedTime.Time)
	}
	for _, t := range times {
		if t.After(latest) {
			latest = t
		}
	}
	return latest
}

// withoutPodName leaves out what is random about a pod that could not be created: the same cause has the same text.
func withoutPodName(job, text string) string {
	random := regexp.MustCompile(`"` + regexp.QuoteMeta(job) + `-[a-z0-9]{5}"`)
	return random.ReplaceAllString(text, fmt.Sprintf("%q", job+"-*"))
}
