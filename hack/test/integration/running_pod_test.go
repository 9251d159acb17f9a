//go:build integration

package integration_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// A step that ended as it should is no problem, however long it ran.
func TestAStepThatEndsAfterAWhileIsNotLookedInto(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*cluster, *v1alpha1.SequentialJobSpec){
		"default":      func(*cluster, *v1alpha1.SequentialJobSpec) {},
		"backoffLimit": func(_ *cluster, spec *v1alpha1.SequentialJobSpec) { spec.BackoffLimit = new(int32(0)) },
		"a quota kept its pod from being created at first": func(c *cluster, _ *v1alpha1.SequentialJobSpec) {
			c.createQuota(corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			counter := &framework.RequestCounter{}
			c.StartControllerVia(counter)
			sj := framework.NewDrivenSequence("etl", "extract", "load")
			set(c, &sj.Spec)
			c.Create(sj)
			job := c.WaitForRunning("etl", 0)
			if c.quotas() > 0 {
				c.waitForMessage("etl", v1alpha1.ReasonPodNotStarted, "exceeded quota")
				framework.Must(t, c.Kube.CoreV1().ResourceQuotas(c.Namespace).Delete(t.Context(), "few", metav1.DeleteOptions{}))
			}
			pod := c.RunPod("etl-0")
			c.waitForMessage("etl", v1alpha1.ReasonJobStarted, "Started job 0")
			c.Eventually("its Job to have a ready pod", func(context.Context) (bool, error) {
				return ptr.Deref(c.Job("etl-0").Status.Ready, 0) == 1, nil
			})
			c.waitUntil(job.CreationTimestamp.Add(runsLong))
			before, warned := len(counter.Requests()), len(c.warnings("etl"))
			c.EndPod(pod, 0, "")
			c.WaitForRunning("etl", 1)
			for _, request := range counter.Requests()[before:] {
				if path, _, _ := strings.Cut(request, "?"); path == "GET "+c.path("pods") || path == "GET "+c.path("events") {
					t.Errorf("a step that ended as it should was looked into: %s", request)
				}
			}
			c.EndPod(c.RunPod("etl-1"), 0, "")
			c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
			if warnings := c.warnings("etl"); len(warnings) != warned {
				t.Errorf("warnings %v, want %d", warnings, warned)
			}
		})
	}
}

func (c *cluster) quotas() int {
	c.T.Helper()
	list, err := c.Kube.CoreV1().ResourceQuotas(c.Namespace).List(c.T.Context(), metav1.ListOptions{})
	framework.Must(c.T, err)
	return len(list.Items)
}

// path is that of a resource of the core group.
func (c *cluster) path(resource string) string {
	return "/api/v1/namespaces/" + c.Namespace + "/" + resource
}

// With restartPolicy OnFailure the pod stays, and its container starts again in it. A kubelet shows it as terminated most of the
// time. And what was known then is what the deadline ended.
func TestAContainerThatCrashesInPlaceIsTold(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	sj := framework.NewDrivenSequence("etl", "extract", "load")
	sj.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	c.Create(sj)
	c.WaitForRunning("etl", 0)
	pod := c.RunPod("etl-0")
	c.SetPod(pod, func(status *corev1.PodStatus) {
		status.ContainerStatuses = framework.ContainerStatuses(pod, framework.Terminated(1, "no such table"))
		status.ContainerStatuses[0].RestartCount = 5
		framework.SetPodCondition(status, corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "")
	})
	sj = c.waitForMessage("etl", v1alpha1.ReasonPodFailed, "exited with code 1")
	for _, want := range []string{`"extract"`, "no such table", "5"} {
		if message := progressingMessage(sj); !strings.Contains(message, want) {
			t.Errorf("message %q, want that it says %s", message, want)
		}
	}
	c.Patch("etl", `{"spec":{"activeDeadlineSeconds":1}}`)
	sj = c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	if message := sj.Status.Steps[0].Message; sj.Status.Progress.FailureReason != v1alpha1.ReasonDeadlineExceeded || !strings.Contains(message, "no such table") {
		t.Errorf("reason %s, message %q", sj.Status.Progress.FailureReason, message)
	}
	c.Eventually("one warning of the failing pod and one of the end", func(context.Context) (bool, error) {
		return len(c.warnings("etl")) == 2, nil
	})
}

// The Job was created long ago, but it waits for a pod only since it was resumed.
func TestAResumeIsNoProblem(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract"))
	job := c.WaitForRunning("etl", 0)
	c.setRunning("etl-0", true)
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
	c.setRunning("etl-0", false)
	c.waitUntil(job.CreationTimestamp.Add(runsLong))
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.WaitForPhase("etl", v1alpha1.SequentialJobRunning)
	c.setRunning("etl-0", true)
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	if warnings := c.warnings("etl"); len(warnings) > 0 {
		t.Errorf("warnings %v, want none", warnings)
	}
}

// setRunning says of a Job, as the Job controller would, that it has a pod that runs, or that it is suspended and has none.
func (c *cluster) setRunning(name string, runs bool) {
	c.T.Helper()
	framework.Must(c.T, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		job, now := c.Job(name), metav1.Now()
		suspended := batchv1.JobCondition{Type: batchv1.JobSuspended, Status: corev1.ConditionTrue, Reason: "JobSuspended", LastTransitionTime: now}
		job.Status.StartTime, job.Status.Active, job.Status.Ready = nil, 0, new(int32(0))
		if runs {
			suspended.Status = corev1.ConditionFalse
			job.Status.StartTime, job.Status.Active, job.Status.Ready = &now, 1, new(int32(1))
		}
		job.Status.Conditions = []batchv1.JobCondition{suspended}
		_, err := c.Kube.BatchV1().Jobs(c.Namespace).UpdateStatus(c.T.Context(), job, metav1.UpdateOptions{})
		return err
	}))
}

// A user deletes the pod; it ends within a second, and the Job makes another one.
func TestAPodThatAUserDeletesIsToldOnce(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	c.Create(framework.NewDrivenSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	pod := c.RunPod("etl-0")
	framework.Must(t, c.Kube.CoreV1().Pods(c.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}))
	c.EndPod(pod, 143, "")
	again := c.RunPod("etl-0")
	told := func(event string) bool {
		return strings.Contains(event, "deleted") && (strings.Contains(event, pod.Name) || strings.Contains(event, "Job 0"))
	}
	c.Eventually("the deletion to be told", func(context.Context) (bool, error) {
		return slices.ContainsFunc(slices.Collect(maps.Keys(c.warnings("etl"))), told), nil
	})
	c.EndPod(again, 0, "")
	c.WaitForRunning("etl", 1)
	c.EndPod(c.RunPod("etl-1"), 0, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	if warnings := c.warnings("etl"); len(warnings) != 1 || warnings[slices.Collect(maps.Keys(warnings))[0]] != 1 {
		t.Errorf("warnings %v, want one", warnings)
	}
	c.Jobs.Want("etl-0", "etl-1")
}

// An autoscaler has brought a node: what was said before does not hold any more, though its events are still there.
func TestWhatKeptAPodFromStartingIsToldOnlyWhileItHolds(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	sj := framework.NewDrivenSequence("etl", "extract")
	sj.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "wait-for-db", Image: "example.com/wait:v1"}}
	c.Create(sj)
	c.WaitForRunning("etl", 0)
	pod := c.WaitForPod("etl-0")
	const noNode = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
	c.SetPod(pod, func(status *corev1.PodStatus) {
		framework.SetPodCondition(status, corev1.PodScheduled, corev1.ConditionFalse, corev1.PodReasonUnschedulable, noNode)
	})
	c.warn(pod, "FailedScheduling", noNode)
	c.waitForMessage("etl", v1alpha1.ReasonPodNotStarted, "Unschedulable")

	c.SetPod(pod, func(status *corev1.PodStatus) {
		framework.SetPodCondition(status, corev1.PodScheduled, corev1.ConditionTrue, "", "")
		status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "wait-for-db", Image: "example.com/wait:v1", Started: new(true),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}}}
		status.ContainerStatuses = framework.ContainerStatuses(pod,
			corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}})
	})
	c.WaitFor("etl", "the message to speak of nodes no more", func(sj *v1alpha1.SequentialJob) bool {
		return !strings.Contains(progressingMessage(sj), "node")
	})
	c.waitForMessageAnyhow("etl", "wait-for-db")

	// It runs, and is not ready for a while.
	c.SetPod(pod, func(status *corev1.PodStatus) {
		status.Phase = corev1.PodRunning
		status.InitContainerStatuses[0].State = framework.Terminated(0, "")
		status.ContainerStatuses = framework.ContainerStatuses(pod,
			corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}})
		status.ContainerStatuses[0].Ready = false
		framework.SetPodCondition(status, corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "")
	})
	c.waitForMessage("etl", v1alpha1.ReasonJobStarted, "Started job 0")
	c.EndPod(pod, 0, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	if warnings := c.warnings("etl"); len(warnings) != 1 {
		t.Errorf("warnings %v, want only that there was no node", warnings)
	}
}

// warn publishes a warning about a pod, as other components do.
func (c *cluster) warn(pod *corev1.Pod, reason, message string) {
	c.T.Helper()
	now := metav1.Now()
	_, err := c.Kube.CoreV1().Events(c.Namespace).Create(c.T.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: pod.Name + "."}, Type: corev1.EventTypeWarning, Reason: reason, Message: message,
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: c.Namespace, Name: pod.Name, UID: pod.UID},
		FirstTimestamp: now, LastTimestamp: now, Count: 1, Source: corev1.EventSource{Component: "default-scheduler"},
	}, metav1.CreateOptions{})
	framework.Must(c.T, err)
}

// A webhook has put an ordinary container into the pod, which does not end when the step has.
func TestTheContainerThatKeepsAPodAliveIsNamed(t *testing.T) {
	c := newCluster(t)
	c.MutatePods(`Object{spec: Object.spec{containers: [Object.spec.containers{name: "mesh-proxy", image: "example.com/proxy:v1"}]}}`,
		func(pod *corev1.Pod) bool { return len(pod.Spec.Containers) == 2 })
	c.StartController()
	c.Create(framework.NewDrivenSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	pod := c.RunPod("etl-0")
	c.SetPod(pod, func(status *corev1.PodStatus) {
		framework.SetPodCondition(status, corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "")
		for i := range status.ContainerStatuses {
			if container := &status.ContainerStatuses[i]; container.Name == "extract" {
				container.State, container.Ready, container.Started = framework.Terminated(0, ""), false, new(false)
			}
		}
	})
	sj := c.waitForMessageAnyhow("etl", "mesh-proxy")
	if sj.Status.Phase != v1alpha1.SequentialJobRunning {
		t.Errorf("phase %s", sj.Status.Phase)
	}
	c.Jobs.Want("etl-0")
	c.EndPod(pod, 0, "")
	c.WaitForRunning("etl", 1)
	c.Jobs.Want("etl-0", "etl-1")
}

// With restartPolicy OnFailure the Job controller deletes the pod when the limit is reached, and with it what it said.
func TestTheLastWordsAreToldAlsoWhereThePodIsDeleted(t *testing.T) {
	c := newCluster(t)
	counter := &framework.RequestCounter{}
	c.StartControllerVia(counter)
	sj := framework.NewDrivenSequence("etl", "load")
	sj.Spec.BackoffLimit, sj.Spec.Template.Spec.RestartPolicy = new(int32(2)), corev1.RestartPolicyOnFailure
	c.Create(sj)
	c.WaitForRunning("etl", 0)
	pod := c.RunPod("etl-0")
	letGo, before := c.StopSlowly(pod), len(counter.AnsweredReads())
	c.SetPod(pod, func(status *corev1.PodStatus) {
		status.ContainerStatuses = framework.ContainerStatuses(pod,
			corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}})
		status.ContainerStatuses[0].RestartCount, status.ContainerStatuses[0].LastTerminationState = 2, framework.Terminated(3, "no such table")
		framework.SetPodCondition(status, corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "")
	})
	c.Eventually("the Job controller to end it", func(context.Context) (bool, error) {
		return framework.IsTrue(c.Job("etl-0"), batchv1.JobFailureTarget), nil
	})
	// A kubelet takes a moment to end the pod. Whoever wants to know has it until then.
	c.Eventually("the controller to look at the pod", func(context.Context) (bool, error) {
		return slices.ContainsFunc(counter.AnsweredReads()[before:], func(request string) bool {
			return strings.HasPrefix(request, "GET "+c.path("pods"))
		}), nil
	})
	letGo()
	sj = c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	for _, want := range []string{"BackoffLimitExceeded", "exited with code 3", "no such table"} {
		if message := sj.Status.Steps[0].Message; !strings.Contains(message, want) {
			t.Errorf("message %q, want that it says %s", message, want)
		}
	}
	c.Eventually("one warning", func(context.Context) (bool, error) { return len(c.warnings("etl")) == 1, nil })
}
