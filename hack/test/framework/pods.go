package framework

import (
	"context"
	"fmt"
	"slices"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// StopFinalizer keeps a pod that is being deleted for as long as a container takes that does not stop at once.
const StopFinalizer = "example.com/stops-slowly"

// NewDrivenSequence returns one whose pods nobody schedules and nobody runs: the test says what becomes of them, by SetPod and
// its like. The Job controller does its part as ever.
func NewDrivenSequence(name string, steps ...string) *v1alpha1.SequentialJob {
	sj := NewSequence(name, steps...)
	sj.Spec.Template.Spec.SchedulerName = "example.com/nobody"
	return sj
}

// WaitForPod waits until a Job has a pod that is neither being deleted nor has ended, and returns it.
func (c *Cluster) WaitForPod(job string) *corev1.Pod {
	c.T.Helper()
	var pod *corev1.Pod
	c.Eventually("a pod of "+job, func(ctx context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
		if err != nil {
			return false, err
		}
		for i := range pods.Items {
			if p := &pods.Items[i]; p.DeletionTimestamp.IsZero() && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
				pod = p
			}
		}
		return pod != nil, nil
	})
	return pod
}

// SetPod changes the status of a pod, as a kubelet does.
func (c *Cluster) SetPod(pod *corev1.Pod, set func(*corev1.PodStatus)) {
	c.T.Helper()
	pods := c.Kube.CoreV1().Pods(c.Namespace)
	Must(c.T, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		now, err := pods.Get(c.T.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		set(&now.Status)
		_, err = pods.UpdateStatus(c.T.Context(), now, metav1.UpdateOptions{})
		return err
	}))
}

// RunPod waits until a Job has a pod, lets it run and be ready, and returns it.
func (c *Cluster) RunPod(job string) *corev1.Pod {
	c.T.Helper()
	pod := c.WaitForPod(job)
	c.SetPod(pod, func(status *corev1.PodStatus) {
		status.Phase, status.StartTime = corev1.PodRunning, &pod.CreationTimestamp
		SetPodCondition(status, corev1.PodScheduled, corev1.ConditionTrue, "", "")
		SetPodCondition(status, corev1.PodReady, corev1.ConditionTrue, "", "")
		running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: pod.CreationTimestamp}}
		status.ContainerStatuses = ContainerStatuses(pod, running)
	})
	return pod
}

// EndPod ends all containers of a pod, and with them the pod, with an exit code.
func (c *Cluster) EndPod(pod *corev1.Pod, exitCode int32, message string) {
	c.T.Helper()
	c.SetPod(pod, func(status *corev1.PodStatus) {
		status.Phase = corev1.PodSucceeded
		if exitCode != 0 {
			status.Phase = corev1.PodFailed
		}
		SetPodCondition(status, corev1.PodReady, corev1.ConditionFalse, "PodCompleted", "")
		status.ContainerStatuses = ContainerStatuses(pod, Terminated(exitCode, message))
	})
}

// ContainerStatuses are those of a pod whose containers are all in the same state.
func ContainerStatuses(pod *corev1.Pod, state corev1.ContainerState) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for i := range pod.Spec.Containers {
		runs := state.Running != nil
		out = append(out, corev1.ContainerStatus{
			Name: pod.Spec.Containers[i].Name, Image: pod.Spec.Containers[i].Image, State: state, Ready: runs, Started: &runs,
		})
	}
	return out
}

// Terminated is the state of a container that has just ended.
func Terminated(exitCode int32, message string) corev1.ContainerState {
	reason := "Completed"
	if exitCode != 0 {
		reason = "Error"
	}
	now := metav1.Now()
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: exitCode, Reason: reason, Message: message, StartedAt: now, FinishedAt: now,
	}}
}

// SetPodCondition sets a condition of a pod.
func SetPodCondition(status *corev1.PodStatus, kind corev1.PodConditionType, is corev1.ConditionStatus, reason, message string) {
	condition := corev1.PodCondition{Type: kind, Status: is, Reason: reason, Message: message, LastTransitionTime: metav1.Now()}
	i := slices.IndexFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	if i < 0 {
		status.Conditions = append(status.Conditions, condition)
		return
	}
	status.Conditions[i] = condition
}

// StopSlowly makes a pod stay when it is deleted, until the test calls letGo.
func (c *Cluster) StopSlowly(pod *corev1.Pod) (letGo func()) {
	c.T.Helper()
	c.patchPod(pod, fmt.Sprintf(`{"metadata":{"finalizers":[%q]}}`, StopFinalizer))
	done := sync.OnceFunc(func() {
		c.patchPod(pod, fmt.Sprintf(`{"metadata":{"$deleteFromPrimitiveList/finalizers":[%q]}}`, StopFinalizer))
	})
	c.T.Cleanup(done)
	return done
}

func (c *Cluster) patchPod(pod *corev1.Pod, patch string) {
	c.T.Helper()
	// Not the context of the test, which is over when the last pods are let go.
	_, err := c.Kube.CoreV1().Pods(c.Namespace).Patch(context.Background(), pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		c.T.Error(err)
	}
}

// WaitUntilStopping waits until a pod is being deleted.
func (c *Cluster) WaitUntilStopping(pod *corev1.Pod) {
	c.T.Helper()
	c.Eventually("pod "+pod.Name+" to be deleted", func(ctx context.Context) (bool, error) {
		now, err := c.Kube.CoreV1().Pods(c.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		return err == nil && !now.DeletionTimestamp.IsZero(), err
	})
}
