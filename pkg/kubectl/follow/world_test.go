package follow_test

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

// world builds what is known of a sequence etl of the steps a, b and c, and d finally.
type world struct{ follow.State }

func newWorld() *world {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "etl", UID: "etl-uid"}}
	for _, step := range []string{"a", "b", "c"} {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: step})
	}
	sj.Spec.Finally = []corev1.Container{{Name: "d"}}
	sj.Status.Phase = v1alpha1.SequentialJobRunning
	return &world{follow.State{SequentialJob: sj, Fresh: true}}
}

func after(seconds int) metav1.Time {
	return metav1.NewTime(epoch.Add(time.Duration(seconds) * time.Second))
}

func ownedBy(uid types.UID) []metav1.OwnerReference {
	return []metav1.OwnerReference{{UID: uid, Controller: new(true)}}
}

// job adds a Job that was created at that second and ended at another, if that is not negative.
func (w *world) job(name string, created, ended int) *batchv1.Job {
	job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID(name + "-uid"), CreationTimestamp: after(created), OwnerReferences: ownedBy("etl-uid"),
	}}
	if ended >= 0 {
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, LastTransitionTime: after(ended)}}
	}
	w.Jobs = append(w.Jobs, job)
	return &w.Jobs[len(w.Jobs)-1]
}

// pod adds a pod of a Job that was created at that second, with the status of a container.
func (w *world) pod(job, name string, created int, status ...corev1.ContainerStatus) *corev1.Pod {
	w.Pods = append(w.Pods, corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID(name), CreationTimestamp: after(created), OwnerReferences: ownedBy(types.UID(job + "-uid")),
		},
		Spec:   corev1.PodSpec{NodeName: "node"},
		Status: corev1.PodStatus{ContainerStatuses: status},
	})
	return &w.Pods[len(w.Pods)-1]
}

func started(name string, state corev1.ContainerState, restarts int32) corev1.ContainerStatus {
	status := corev1.ContainerStatus{Name: name, State: state, RestartCount: restarts}
	if restarts > 0 {
		status.LastTerminationState = ended(1)
	}
	return status
}

func running() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
}

func ended(code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, ContainerID: "containerd://x"}}
}

func waiting(reason string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
}

// step notes a step in the status.
func (w *world) step(name, job string, state v1alpha1.StepState, retries int32) {
	w.SequentialJob.Status.Steps = append(w.SequentialJob.Status.Steps, v1alpha1.StepStatus{
		Name: name, JobName: job, JobUID: types.UID(job + "-uid"), State: state, Retries: retries,
	})
}

func (w *world) progress(phase v1alpha1.SequentialJobPhase, reason, message string) {
	w.SequentialJob.Status.Phase = phase
	w.SequentialJob.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionTrue, Reason: reason, Message: message}}
}

// story is what is told and opened, until there is nothing left to do, in the order in which it is.
func (w *world) story(options follow.Options) []string {
	return tell(follow.NewWalk(options), &w.State)
}

func tell(walk *follow.Walk, s *follow.State) []string {
	var story []string
	for {
		next := walk.Next(s)
		story = append(story, next.Notes...)
		switch {
		case next.Open != nil:
			story = append(story, fmt.Sprintf("%s: %s", follow.LogOf(s.Pods, next.Open.Key), next.Open.Heading))
			walk.Done(next.Open.Key)
		case next.Refresh:
			return append(story, "refresh")
		case next.Wait:
			return append(story, "wait: "+next.Reason.Text)
		default:
			return append(story, "end")
		}
	}
}
