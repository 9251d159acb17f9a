//go:build integration

package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestThePipelineRunsToItsEnd(t *testing.T) {
	c := newCluster(t)
	c.createVolume("pipeline-data")
	c.StartController()
	c.Kubectl("apply", "-f", filepath.Join(framework.Root, "artifacts/examples/data-processing-pipeline.yaml"))
	sj := c.WaitForPhase("data-processing-pipeline", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("data-processing-pipeline-0", "data-processing-pipeline-1", "data-processing-pipeline-2")
	if diff := cmp.Diff(wantPipelineStatus, c.statusFields(sj)); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if len(sj.Finalizers) != 0 {
		c.WaitFor(sj.Name, "the finalizer to go", func(sj *v1alpha1.SequentialJob) bool { return len(sj.Finalizers) == 0 })
	}
}

const wantPipelineStatus = `{
  "completionTime": "TIME",
  "conditions": [
    {
      "lastTransitionTime": "TIME",
      "message": "All 3 steps completed successfully",
      "observedGeneration": 1,
      "reason": "Completed",
      "status": "True",
      "type": "Available"
    },
    {
      "lastTransitionTime": "TIME",
      "message": "All 3 steps completed successfully",
      "observedGeneration": 1,
      "reason": "Completed",
      "status": "False",
      "type": "Progressing"
    },
    {
      "lastTransitionTime": "TIME",
      "message": "All 3 steps completed successfully",
      "observedGeneration": 1,
      "reason": "Completed",
      "status": "False",
      "type": "Failed"
    },
    {
      "lastTransitionTime": "TIME",
      "message": "All 3 steps completed successfully",
      "observedGeneration": 1,
      "reason": "Completed",
      "status": "True",
      "type": "Complete"
    }
  ],
  "observedGeneration": 1,
  "phase": "Completed",
  "progress": {
    "completedIndices": [
      0,
      1,
      2
    ],
    "completions": "3/3",
    "currentIndex": 2,
    "currentStep": "load",
    "retries": 0
  },
  "startTime": "TIME",
  "state": {
    "active": 0,
    "failed": 0,
    "succeeded": 3
  },
  "steps": [
    {
      "completionTime": "TIME",
      "jobName": "data-processing-pipeline-0",
      "jobUID": "UID",
      "name": "extract",
      "startTime": "TIME",
      "state": "Completed"
    },
    {
      "completionTime": "TIME",
      "jobName": "data-processing-pipeline-1",
      "jobUID": "UID",
      "name": "transform",
      "startTime": "TIME",
      "state": "Completed"
    },
    {
      "completionTime": "TIME",
      "jobName": "data-processing-pipeline-2",
      "jobUID": "UID",
      "name": "load",
      "startTime": "TIME",
      "state": "Completed"
    }
  ]
}`

// statusFields returns the status as JSON as the API server serves it, without what differs from run to run.
func (c *cluster) statusFields(sj *v1alpha1.SequentialJob) string {
	c.T.Helper()
	var object struct{ Status any }
	framework.Must(c.T, json.Unmarshal([]byte(c.Kubectl("get", "sequentialjob", sj.Name, "-o", "json")), &object))
	out, err := json.MarshalIndent(anonymous("", object.Status), "", "  ")
	framework.Must(c.T, err)
	return string(out)
}

func anonymous(key string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		delete(value, "activeSeconds") // depends on the machine, and 0 is not shown
		for k, v := range value {
			value[k] = anonymous(k, v)
		}
	case []any:
		for i, v := range value {
			value[i] = anonymous(key, v)
		}
	case string:
		switch key {
		case "startTime", "completionTime", "lastTransitionTime":
			return "TIME"
		case "jobUID":
			return "UID"
		}
	}
	return value
}

// createVolume creates a claim and a volume for it: nobody provisions volumes here.
func (c *cluster) createVolume(claim string) {
	c.T.Helper()
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes, noClass := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, ""
	pv, err := c.Kube.CoreV1().PersistentVolumes().Create(c.T.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: c.Namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes,
			ClaimRef:               &corev1.ObjectReference{Namespace: c.Namespace, Name: claim},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/nowhere"}},
		},
	}, metav1.CreateOptions{})
	framework.Must(c.T, err)
	c.T.Cleanup(func() {
		if err := c.Kube.CoreV1().PersistentVolumes().Delete(context.Background(), pv.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			c.T.Error(err)
		}
	})
	_, err = c.Kube.CoreV1().PersistentVolumeClaims(c.Namespace).Create(c.T.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, StorageClassName: &noClass, VolumeName: pv.Name,
			Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	}, metav1.CreateOptions{})
	framework.Must(c.T, err)
}

func TestAMinimalSequenceRuns(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	sj := framework.NewSequence("args-only", "first", "second")
	for i := range sj.Spec.Containers {
		sj.Spec.Containers[i].Args = []string{"--step", fmt.Sprint(i)}
	}
	c.Create(sj)
	c.WaitForPhase(sj.Name, v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("args-only-0", "args-only-1")
}

func TestAHundredStepsTellEveryTransition(t *testing.T) {
	const steps = 100
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	c.StartController()
	sj := framework.NewSequence("long")
	var jobs []string
	wanted := map[string]int{"Completed: All 100 steps completed successfully": 1}
	for i := range steps {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: fmt.Sprintf("step-%d", i), Image: "example.com/step:v1"})
		jobs = append(jobs, fmt.Sprintf("long-%d", i))
		wanted[fmt.Sprintf("JobStarted: Started job %d", i)] = 1
		wanted[fmt.Sprintf("JobCompleted: Job %d completed successfully", i)] = 1
	}
	c.Create(sj)
	c.WaitForPhase(sj.Name, v1alpha1.SequentialJobCompleted)
	c.Jobs.Want(jobs...)
	c.Eventually("all events", func(context.Context) (bool, error) { return len(c.events(sj.Name)) >= len(wanted), nil })
	if diff := cmp.Diff(wanted, c.events(sj.Name)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// events returns how often each event of a SequentialJob was told.
func (c *cluster) events(name string) map[string]int {
	c.T.Helper()
	return c.eventsOf(name, "")
}

// warnings are those of events that are warnings.
func (c *cluster) warnings(name string) map[string]int {
	c.T.Helper()
	return c.eventsOf(name, ",type="+corev1.EventTypeWarning)
}

func (c *cluster) eventsOf(name, selector string) map[string]int {
	c.T.Helper()
	list, err := c.Kube.CoreV1().Events(c.Namespace).List(c.T.Context(), metav1.ListOptions{
		FieldSelector: "involvedObject.kind=SequentialJob,source=" + v1alpha1.ControllerName + ",involvedObject.name=" + name + selector,
	})
	framework.Must(c.T, err)
	out := map[string]int{}
	for _, event := range list.Items {
		out[event.Reason+": "+event.Message] += int(event.Count)
	}
	return out
}

// waitForEvent waits for an event with that reason and message.
func (c *cluster) waitForEvent(name, event string) {
	c.T.Helper()
	c.Eventually("event "+event, func(context.Context) (bool, error) { return c.events(name)[event] > 0, nil })
}

func TestAFailingStepStopsTheSequence(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "transform", "load"))
	c.WaitForRunning("etl", 0)
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.createFailedPod(c.WaitForRunning("etl", 1), "transform", 2, "no such table")
	c.EndJob("etl-1", batchv1.JobFailed, "BackoffLimitExceeded")
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	want := `Job 1 (transform) failed: BackoffLimitExceeded: container "transform" exited with code 2: no such table`
	failed := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionFailed)
	if failed == nil || failed.Status != metav1.ConditionTrue || failed.Message != want {
		t.Errorf("condition Failed: %+v\nwant message %q", failed, want)
	}
	progress := sj.Status.Progress
	if progress.FailedIndex == nil || *progress.FailedIndex != 1 || progress.FailureReason != "BackoffLimitExceeded" || sj.Status.CompletionTime == nil {
		t.Errorf("progress %+v", progress)
	}
	c.waitForEvent("etl", "JobFailed: "+want)
	c.Jobs.Want("etl-0", "etl-1")
}

// createFailedPod creates a pod of a Job that looks as if its container had failed.
func (c *cluster) createFailedPod(job *batchv1.Job, container string, exitCode int32, message string) {
	c.T.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: job.Name + "-pod", Labels: map[string]string{batchv1.ControllerUidLabel: string(job.UID)}}}
	pod.Spec = *job.Spec.Template.Spec.DeepCopy()
	pod.Spec.SchedulerName = "none"
	pod, err := c.Kube.CoreV1().Pods(c.Namespace).Create(c.T.Context(), pod, metav1.CreateOptions{})
	framework.Must(c.T, err)
	pod.Status.Phase = corev1.PodFailed
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: container, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: exitCode, Message: message, Reason: "Error", FinishedAt: metav1.Now()},
	}}}
	_, err = c.Kube.CoreV1().Pods(c.Namespace).UpdateStatus(c.T.Context(), pod, metav1.UpdateOptions{})
	framework.Must(c.T, err)
}
