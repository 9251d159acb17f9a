package sequence

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// maxDetail is the longest text, in bytes, that is taken over from a container or an API server into the status.
const maxDetail = 1024

// maxNodeName is the longest name, in bytes, that a node can have.
const maxNodeName = 253

// failure is why a step failed.
type failure struct {
	reason string
	detail string
	// outOfTime says that it was stopped for spec.activeDeadlineSeconds.
	outOfTime bool
}

const (
	// detailMissing stands in for what the pods could have told, had they been to be asked.
	detailMissing = "its pods could not be asked yet"
	endingMark    = " is ending: "
)

// describeFailure says more about a failed Job than its reason. It has its pods asked first, unless it is known already what they
// say. A failure is recorded even if they cannot be asked.
func (d *decider) describeFailure(index int, job *batchv1.Job, failed *batchv1.JobCondition) (failure, bool) {
	why := failure{reason: d.reasonOf(index, job, failed.Reason)}
	exceeded := failed.Reason == batchv1.JobReasonDeadlineExceeded
	reported := d.causeReported(index)
	switch {
	case exceeded && d.isStoppedByCancel(index, job):
		return failure{reason: v1alpha1.ReasonCancelled, detail: joinNonEmpty("; ", "stopped by spec.cancel", reported)}, true
	case why.reason == v1alpha1.ReasonStepDeadlineExceeded && exceeded:
		why.detail = joinNonEmpty("; ", fmt.Sprintf("the attempt was active for longer than its activeDeadlineSeconds (%d)",
			*job.Spec.ActiveDeadlineSeconds), reported)
		return why, true
	case exceeded && d.hasSequenceDeadline(job) && d.isLimited(index):
		why.outOfTime = true
		why.detail = joinNonEmpty("; ", d.describeTimeout(), reported)
		return why, true
	case exceeded && job.Spec.ActiveDeadlineSeconds != nil:
		whose := "which its SequentialJob does not ask for"
		if d.isOwnDeadline(job) {
			whose = "which was lifted just as it was reached"
		}
		why.detail = joinNonEmpty("; ", fmt.Sprintf("Job %s was active for longer than its activeDeadlineSeconds (%d), %s",
			job.Name, *job.Spec.ActiveDeadlineSeconds, whose), reported)
		return why, true
	case reported != "" && !strings.HasPrefix(reported, beforeThat):
		why.detail = reported
		return why, true
	case !d.ask(Action{Request: ListJobPods, Job: job}):
		return why, false
	}
	if _, refused := d.f.refusalOf(ListJobPods); refused {
		d.tryAgain = true // to complete it
		why.detail = joinNonEmpty("; ", clean(failed.Message), detailMissing)
	} else if why.detail = FailureDetail(entryAt(&d.status, index).Name, d.f.JobPods); why.detail == "" {
		why.detail = joinNonEmpty("; ", clean(failed.Message), reported)
	}
	return why, true
}

// reasonOf is the reason for which a Job fails as the SequentialJob has it, given that of the Job's condition.
func (d *decider) reasonOf(index int, job *batchv1.Job, reason string) string {
	if reason == batchv1.JobReasonDeadlineExceeded && d.hasStepDeadline(job) && d.stepDeadline(index) != nil {
		return v1alpha1.ReasonStepDeadlineExceeded
	}
	return conditionReason(reason)
}

// timeSinceEnd is for how long a step has been over.
func (d *decider) timeSinceEnd(step *v1alpha1.StepStatus) time.Duration {
	if step.CompletionTime == nil {
		return 0
	}
	return max(0, d.now.Sub(step.CompletionTime.Time))
}

// completeFailure adds to a recorded failure what its pods say, if they could not be asked before.
func (d *decider) completeFailure() {
	step := d.incompleteFailure()
	if step == nil {
		return
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: d.sj.Namespace, Name: step.JobName, UID: step.JobUID}}
	if !d.ask(Action{Request: ListJobPods, Job: job, Optional: true}) {
		return
	}
	if refusal, refused := d.f.refusalOf(ListJobPods); refused && refusal.Class != Denied {
		d.lookAfter(min(max(startGrace, d.timeSinceEnd(step)/2), maxInspectInterval))
		return
	}
	before := step.Message
	reason, _, _ := strings.Cut(before, ":")
	if detail := FailureDetail(step.Name, d.f.JobPods); detail != "" {
		step.Message = reason + ": " + detail
	} else {
		step.Message = strings.TrimRight(strings.TrimSuffix(before, detailMissing), ":; ")
	}
	for i := range d.status.Conditions {
		c := &d.status.Conditions[i]
		c.Message = strings.Replace(c.Message, before, step.Message, 1) // that of a later one may be the same
	}
	d.summariseProgress()
	if result := d.status.Result; result != nil {
		result.Message = strings.Replace(result.Message, before, step.Message, 1)
	}
	d.atOnce = d.incompleteFailure() != nil
}

// incompleteFailure returns the first entry of the status whose failure lacks what its pods say, or nil.
func (d *decider) incompleteFailure() *v1alpha1.StepStatus {
	entries := []*v1alpha1.StepStatus{entryAt(&d.status, len(d.status.Steps)-1)}
	for i := range d.status.Finally {
		entries = append(entries, &d.status.Finally[i])
	}
	for _, entry := range entries {
		if entry != nil && entry.State == v1alpha1.StepFailed && strings.HasSuffix(entry.Message, detailMissing) {
			return entry
		}
	}
	return nil
}

// FailureDetail says in one line how the container of a step failed: exit code, reason or signal, termination message and
// node. The latest failure counts. It returns "" if the pods do not tell.
func FailureDetail(step string, pods []corev1.Pod) string {
	var detail string
	var latest time.Time
	for i := range pods {
		text, at := podFailure(step, &pods[i])
		if text != "" && (detail == "" || at.After(latest)) {
			detail, latest = text, at
		}
	}
	return detail
}

func podFailure(step string, pod *corev1.Pod) (string, time.Time) {
	var said string
	at := pod.CreationTimestamp.Time
	status, ended := failedContainer(step, pod)
	if ended != nil {
		said, at = describeEnd(status.Name, ended), ended.FinishedAt.Time
	}
	// What Kubernetes did to the pod, such as evicting it, says more than how its containers took that.
	if pod.Status.Phase == corev1.PodFailed && pod.Status.Reason != "" {
		did := joinNonEmpty(": ", fmt.Sprintf("pod %s failed", pod.Name), clean(pod.Status.Reason), clean(pod.Status.Message))
		said = joinNonEmpty("; ", did, said)
	}
	if said == "" {
		return "", time.Time{}
	}
	return onNode(said, pod), at
}

// onNode puts the node last, where it stays readable beside messages of any kind.
func onNode(text string, pod *corev1.Pod) string {
	if pod.Spec.NodeName == "" {
		return cut(text, maxDetail)
	}
	node := fmt.Sprintf(" (node %s)", cut(clean(pod.Spec.NodeName), maxNodeName))
	return cut(text, maxDetail-len(node)) + node
}

// failedContainer finds the container that made the pod fail: the step itself if it did, else a helper.
func failedContainer(step string, pod *corev1.Pod) (*corev1.ContainerStatus, *corev1.ContainerStateTerminated) {
	statuses := slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses)
	slices.SortStableFunc(statuses, func(a, b corev1.ContainerStatus) int {
		switch {
		case a.Name == step && b.Name != step:
			return -1
		case b.Name == step && a.Name != step:
			return 1
		}
		return 0
	})
	for i := range statuses {
		for _, ended := range []*corev1.ContainerStateTerminated{
			statuses[i].State.Terminated, statuses[i].LastTerminationState.Terminated,
		} {
			if ended != nil && ended.ExitCode != 0 {
				return &statuses[i], ended
			}
		}
	}
	return nil, nil
}

func describeEnd(container string, ended *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("container %q exited with code %d", container, ended.ExitCode)
	switch signal := signalName(ended); {
	case ended.Reason != "" && ended.Reason != "Error":
		text += fmt.Sprintf(" (%s)", clean(ended.Reason))
	case signal != "":
		text += fmt.Sprintf(" (%s)", signal)
	}
	return joinNonEmpty(": ", text, cut(clean(ended.Message), maxDetail))
}

// signalName names the signal that ended a container. Where the runtime does not tell, the exit code does: by the
// convention of shells and container runtimes it is 128 more than the signal.
func signalName(ended *corev1.ContainerStateTerminated) string {
	const signals, realTime = 128, 64
	signal := ended.Signal
	if signal == 0 && ended.ExitCode > signals && ended.ExitCode <= signals+realTime {
		signal = ended.ExitCode - signals
	}
	if signal == 0 {
		return ""
	}
	names := map[int32]string{
		1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
		11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
	}
	if name, ok := names[signal]; ok {
		return name
	}
	return fmt.Sprintf("signal %d", signal)
}

// clean makes one line of printable text out of what a container wrote.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.TrimSpace(text)
}

// cut shortens a text to at most size bytes, between two characters, and shows that it did.
func cut(text string, size int) string {
	const mark = "..."
	if len(text) <= size {
		return text
	}
	end := size - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

func joinNonEmpty(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), separator)
}
