//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// waitForDescription waits until kubectl describe says all that.
func (c *cluster) waitForDescription(name string, want ...string) {
	c.T.Helper()
	c.Eventually(fmt.Sprintf("kubectl describe to say %q", want), func(context.Context) (bool, error) {
		described := c.tryKubectl("", "describe", "sequentialjob", name)
		for _, text := range want {
			if !strings.Contains(described, text) {
				return false, nil
			}
		}
		return true, nil
	})
}

// What keeps the containers of a pod from starting is told by the pod or by events about it.
func TestAStepThatCannotStartSaysWhyUntilTheCauseIsGone(t *testing.T) {
	env := corev1.EnvVar{Name: "DB_CONN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "db-credentials"}, Key: "connection-string",
	}}}
	secret := []corev1.Volume{{Name: "db", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "db-credentials"}}}}
	for name, tc := range map[string]struct {
		set  func(*v1alpha1.SequentialJob)
		want string
	}{
		"Secret of a variable": {
			func(sj *v1alpha1.SequentialJob) { sj.Spec.Containers[0].Env = []corev1.EnvVar{env} },
			`CreateContainerConfigError: container "step-0": secret "db-credentials" not found`,
		},
		"Secret of a volume": {
			func(sj *v1alpha1.SequentialJob) {
				sj.Spec.Template.Spec.Volumes = secret
				sj.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "db", MountPath: "/db"}}
			},
			`secret "db-credentials" not found`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			sj := shellSteps("why", corev1.PodTemplateSpec{}, "true", "true")
			tc.set(sj)
			c.Create(sj)
			c.waitForDescription("why", "PodNotStarted", tc.want)
			if _, err := c.Kube.CoreV1().Secrets(c.Namespace).Create(t.Context(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: "db-credentials"}, StringData: map[string]string{"connection-string": "x"},
			}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			c.mustComplete("why")
		})
	}
}

func TestAStepWhoseImageIsNotThereSaysSoOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	sj := shellSteps("image", corev1.PodTemplateSpec{}, "true")
	sj.Spec.Containers[0].Image = "data-tools/nowhere:v1"
	c.Create(sj)
	c.waitForDescription("image", "PodNotStarted", `container "step-0"`, "data-tools/nowhere:v1")
	// Long enough for kubelet to fall back from one text to the other and to be asked again.
	c.Eventually("a second look", func(context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Events(c.Namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=BackOff"})
		return err == nil && len(pods.Items) > 0 && pods.Items[0].Count > 2, err
	})
	events, err := c.Kube.CoreV1().Events(c.Namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=PodNotStarted"})
	if err != nil || len(events.Items) != 1 || events.Items[0].Count > 1 {
		t.Errorf("events (%v): %+v", err, events.Items)
	}
}

func TestAStepThatRunsOutOfMemorySaysSo(t *testing.T) {
	c := newCluster(t)
	sj := shellSteps("memory", corev1.PodTemplateSpec{}, "x=y; while true; do x=$x$x; done")
	sj.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("20Mi")}
	c.Create(sj)
	c.mustFail("memory")
	c.waitForDescription("memory", `Job 0 (step-0) failed: BackoffLimitExceeded: container "step-0" exited with code 137 (OOMKilled)`, "(node ")
}

func TestSuspendStopsTheRunningPodAndResumeRunsOnlyThatStepAgain(t *testing.T) {
	c := newCluster(t)
	dir := writableFolder(t)
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{
		Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}},
	}}}}
	// The second step waits for a file: a test decides when it may end.
	sj := shellSteps("pause", template, "echo first >> /data/log", "echo second >> /data/log; until [ -e /data/go ]; do sleep 0.2; done",
		"echo third >> /data/log")
	for i := range sj.Spec.Containers {
		sj.Spec.Containers[i].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	}
	c.Create(sj)
	log := func() string {
		out, err := os.ReadFile(filepath.Join(dir, "log"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(out), "\n", ",")
	}
	c.Eventually("the second step to run", func(context.Context) (bool, error) { return log() == "first,second,", nil })
	c.Patch("pause", `{"spec":{"suspend":true}}`)
	c.waitForDescription("pause", "Job 1 (step-1) is suspended by spec.suspend")
	c.Eventually("its pod to be gone", func(ctx context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.StepIndexLabel + "=1"})
		return err == nil && len(pods.Items) == 0, err
	})
	c.Patch("pause", `{"spec":{"suspend":false}}`)
	c.Eventually("the second step to run again", func(context.Context) (bool, error) { return log() == "first,second,second,", nil })
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.mustComplete("pause")
	if got := log(); got != "first,second,second,third," {
		t.Errorf("the steps ran in this order: %s", got)
	}
}

// The Job is deleted without its pod, which takes its time to stop: the retry must not run beside it.
func TestARetryWaitsForThePodOfADeletedJob(t *testing.T) {
	c := newCluster(t)
	sj := shellSteps("stubborn", corev1.PodTemplateSpec{}, "trap 'sleep 3; exit 0' TERM; sleep 60 & wait", "true")
	sj.Spec.Retries = new(int32(1))
	sj = c.Create(sj)
	first := c.waitForRunningPod(sj.UID)
	orphan := metav1.DeletePropagationOrphan
	if err := c.Kube.BatchV1().Jobs(c.Namespace).Delete(t.Context(), "stubborn-0", metav1.DeleteOptions{PropagationPolicy: &orphan}); err != nil {
		t.Fatal(err)
	}
	c.waitForDescription("stubborn", "Job 0 starts again once the pods that its last attempt left have ended")
	if err := c.Kube.CoreV1().Pods(c.Namespace).Delete(t.Context(), first.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Eventually("the retry", func(ctx context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "job-name=stubborn-0-r1"})
		if err != nil || len(pods.Items) == 0 {
			return false, err
		}
		if pod, err := c.Kube.CoreV1().Pods(c.Namespace).Get(ctx, first.Name, metav1.GetOptions{}); err == nil && pod.Status.Phase == corev1.PodRunning {
			t.Error("the retry runs beside the pod of the first attempt")
		}
		return true, nil
	})
}
