package follow

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Key names one run of a container.
type Key struct {
	// Pod is the UID of the pod.
	Pod types.UID
	// Container is its name.
	Container string
	// Restarts is how often it had been restarted before.
	Restarts int32
}

// Stream is the log of one run of a container.
type Stream struct {
	Key
	// Namespace and Name are the pod's.
	Namespace, Name string
	// Step is the name of the step.
	Step string
	// Heading says what it is.
	Heading string
}

// Stand is where a run of a container stands.
type Stand int

const (
	// NotStarted means that there is no log yet.
	NotStarted Stand = iota
	// Running means that the log may get longer.
	Running
	// Ended means that the log is complete.
	Ended
	// Replaced means that the container was started again since. Its log is that of the previous run.
	Replaced
	// Lost means that the log is no longer there, although the pod is.
	Lost
	// Gone means that the pod is gone.
	Gone
)

// StandOf says where a run of a container stands.
func StandOf(pods []corev1.Pod, key Key) Stand {
	for i := range pods {
		if pods[i].UID == key.Pod {
			return standIn(&pods[i], key)
		}
	}
	return Gone
}

func standIn(pod *corev1.Pod, key Key) Stand {
	status := statusOf(pod, key.Container)
	if status == nil {
		return NotStarted
	}
	last, hasLast := latestRun(status)
	switch {
	case !hasLast || last < key.Restarts:
		return NotStarted
	case last == key.Restarts && status.State.Running != nil:
		return Running
	case last == key.Restarts:
		return Ended
	case last == key.Restarts+1 && keepsPrevious(status):
		return Replaced
	}
	return Lost
}

// latestRun is the number of the latest run of a container that has a log, if there is one.
func latestRun(status *corev1.ContainerStatus) (int32, bool) {
	switch {
	case status.State.Running != nil, hasLog(status.State.Terminated):
		return status.RestartCount, true
	case status.State.Waiting != nil && hasLog(status.LastTerminationState.Terminated):
		return status.RestartCount, true
	}
	return 0, false
}

// hasLog says whether a container that has ended has ever run. One whose node was lost, or that could not be started, has no ID.
func hasLog(ended *corev1.ContainerStateTerminated) bool {
	return ended != nil && ended.ContainerID != ""
}

// keepsPrevious says whether the node still has the log of the run before the latest: of those that have ended it keeps one.
func keepsPrevious(status *corev1.ContainerStatus) bool {
	return status.State.Running != nil && hasLog(status.LastTerminationState.Terminated)
}

func statusOf(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range statuses {
			if statuses[i].Name == container {
				return &statuses[i]
			}
		}
	}
	return nil
}

// runsOf returns the runs of a container whose logs can be had, and how many came before them.
func runsOf(pod *corev1.Pod, container string) (runs []Key, before int32) {
	status := statusOf(pod, container)
	if status == nil {
		return nil, 0
	}
	last, ok := latestRun(status)
	if !ok {
		return nil, 0
	}
	first := last
	if last > 0 && keepsPrevious(status) {
		first--
	}
	for n := first; n <= last; n++ {
		runs = append(runs, Key{Pod: pod.UID, Container: container, Restarts: n})
	}
	return runs, first
}

// failedInits returns the names of the init containers that failed, if the step has not started because of that.
func failedInits(pod *corev1.Pod, step string) []string {
	if status := statusOf(pod, step); status != nil {
		if _, hasRun := latestRun(status); hasRun {
			return nil
		}
	}
	var names []string
	for i := range pod.Status.InitContainerStatuses {
		status := &pod.Status.InitContainerStatuses[i]
		ended := status.State.Terminated
		if ended == nil {
			ended = status.LastTerminationState.Terminated
		}
		if ended != nil && ended.ExitCode != 0 && !isSidecar(pod, status.Name) {
			names = append(names, status.Name)
		}
	}
	return names
}

func isSidecar(pod *corev1.Pod, name string) bool {
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; c.Name == name {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}

// mayStart says whether a container of a pod may still run.
func mayStart(pod *corev1.Pod) bool {
	return pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}
