//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// shellSteps is a SequentialJob of one shell script a step.
func shellSteps(name string, template corev1.PodTemplateSpec, scripts ...string) *v1alpha1.SequentialJob {
	backoffLimit := int32(0)
	sj := &v1alpha1.SequentialJob{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.SequentialJobSpec{Template: template, BackoffLimit: &backoffLimit},
	}
	for i, script := range scripts {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{
			Name:    fmt.Sprintf("step-%d", i),
			Image:   "data-tools/shell:v1",
			Command: []string{"/bin/sh", "-c", script},
		})
	}
	return sj
}

func (c *cluster) waitForRunningPod(uid types.UID) *corev1.Pod {
	c.T.Helper()
	var running *corev1.Pod
	c.Eventually("a pod of the sequence runs", func(ctx context.Context) (bool, error) {
		pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(ctx,
			metav1.ListOptions{LabelSelector: v1alpha1.SequentialJobUIDLabel + "=" + string(uid)})
		if err != nil {
			return false, err
		}
		for i := range pods.Items {
			if pods.Items[i].Status.Phase == corev1.PodRunning {
				running = &pods.Items[i]
			}
		}
		return running != nil, nil
	})
	return running
}

func TestFailureTellsWhy(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		limit  string
		want   string
	}{
		"exit code and termination message": {
			script: "echo 'no such table' > /dev/termination-log; exit 2",
			want:   `Job 1 (step-1) failed: BackoffLimitExceeded: container "step-1" exited with code 2: no such table`,
		},
		"log where there is no termination message": {
			script: "echo 'no such column'; exit 3",
			want:   `Job 1 (step-1) failed: BackoffLimitExceeded: container "step-1" exited with code 3: no such column`,
		},
		"command that does not exist": {
			script: "exec /no/such/command",
			want:   `container "step-1" exited with code 127`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.Create(shellSteps("why", corev1.PodTemplateSpec{}, "true", test.script, "echo never"))
			sj := c.waitForEnd("why")
			described := c.kubectl("", "describe", "sequentialjob", "why")
			if !strings.Contains(described, test.want) {
				t.Errorf("kubectl describe does not say %q:\n%s", test.want, described)
			}
			if sj.Status.Phase != v1alpha1.SequentialJobFailed || len(sj.Status.Steps) != 2 {
				t.Errorf("phase %s after %d steps, want Failed after 2", sj.Status.Phase, len(sj.Status.Steps))
			}
			if _, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(t.Context(), "why-2", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("the step after the failed one has a Job: %v", err)
			}
		})
	}
}

func TestControllerPodKilledWhileASequenceRuns(t *testing.T) {
	c := newCluster(t)
	sj := c.Create(shellSteps("killed", corev1.PodTemplateSpec{}, "sleep 1", "sleep 1", "sleep 1", "sleep 1"))
	for range 3 {
		c.waitForRunningPod(sj.UID)
		now := int64(0)
		if err := c.Kube.CoreV1().Pods(systemNamespace).DeleteCollection(t.Context(),
			metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c.mustComplete("killed")
	if jobs, err := c.Kube.BatchV1().Jobs(c.Namespace).List(t.Context(), metav1.ListOptions{}); err != nil || len(jobs.Items) != 4 {
		t.Fatalf("%d Jobs (%v), want 4", len(jobs.Items), err)
	}
}

// A step that takes its time to stop must be gone before one of the same name starts again.
func TestRecreatedWhileItRunsNeverOverlaps(t *testing.T) {
	c := newCluster(t)
	const stubborn = "trap 'sleep 3; exit 0' TERM; sleep 60 & wait"
	first := c.Create(shellSteps("again", corev1.PodTemplateSpec{}, stubborn))
	c.waitForRunningPod(first.UID)

	c.kubectl("", "delete", "sequentialjob", "again")
	pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) != 0 {
		t.Fatalf("%d pods are left after the SequentialJob is gone (%v)", len(pods.Items), err)
	}
	second := c.Create(shellSteps("again", corev1.PodTemplateSpec{}, "true"))
	c.mustComplete("again")
	if got := c.Get("again").Status.Steps[0]; second.UID == first.UID || got.JobName != "again-0" {
		t.Fatalf("the second run was not a new one: %+v", got)
	}
}

func TestStepsPassDataThroughAVolume(t *testing.T) {
	c := newCluster(t)
	dir := writableFolder(t)
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{
		Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}},
	}}}}
	sj := shellSteps("data", template, "echo a > /data/x", "cat /data/x; echo b >> /data/x", `[ "$(tr -d '\n' < /data/x)" = ab ]`)
	for i := range sj.Spec.Containers {
		sj.Spec.Containers[i].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	}
	c.Create(sj)
	c.mustComplete("data")
	if got := c.kubectl("", "logs", "job/data-1"); got != "a\n" {
		t.Errorf("kubectl logs job/data-1 printed %q, want %q", got, "a\n")
	}
}

func TestControllerHasOnlyThePermissionsItNeeds(t *testing.T) {
	c := newCluster(t)
	as := "--as=system:serviceaccount:" + systemNamespace + ":sequential-operator-controller-manager"
	allowed := sets.New("create jobs.batch", "delete jobs.batch", "list pods", "patch sequentialjobs.batch.example.com")
	for _, what := range append(sets.List(allowed), "get secrets", "create pods", "delete pods", "update sequentialjobs.batch.example.com",
		"update jobs.batch", "list namespaces", "create clusterroles") {
		verb, resource, _ := strings.Cut(what, " ")
		// A warning may stand above the answer, and the exit status below it.
		got := c.tryKubectl("", "auth", "can-i", verb, resource, as)
		if want := map[bool]string{true: "yes", false: "no"}[allowed.Has(what)]; !slices.Contains(strings.Split(got, "\n"), want) {
			t.Errorf("may %s: %s, want %s", what, got, want)
		}
	}
}
