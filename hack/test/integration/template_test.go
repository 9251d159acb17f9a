//go:build integration

package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestTheTemplateReachesEveryJobAndPod(t *testing.T) {
	c := newCluster(t)
	_, err := c.Kube.CoreV1().ServiceAccounts(c.Namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{})
	framework.Must(t, err)
	c.StartController()
	manifest := filepath.Join(t.TempDir(), "rich.yaml")
	framework.Must(t, os.WriteFile(manifest, []byte(richSequence), 0o600))
	c.Kubectl("apply", "-f", manifest)
	sj := c.WaitForPhase("rich", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("rich-0", "rich-1")
	for i, name := range c.Jobs.Names() {
		job := c.Job(name)
		pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + name})
		framework.Must(t, err)
		if len(pods.Items) != 1 {
			t.Fatalf("Job %s has %d pods", name, len(pods.Items))
		}
		pod := &pods.Items[0]
		for what, object := range map[string]metav1.ObjectMeta{"Job": job.ObjectMeta, "Pod": pod.ObjectMeta} {
			want := map[string]string{
				"team": "analytics", v1alpha1.SequentialJobNameLabel: "rich", v1alpha1.SequentialJobUIDLabel: string(sj.UID),
				v1alpha1.StepIndexLabel: fmt.Sprint(i), v1alpha1.StepNameLabel: sj.Spec.Containers[i].Name,
			}
			if diff := cmp.Diff(want, only(object.Labels, want)); diff != "" {
				t.Errorf("labels of %s %s (-want +got):\n%s", what, name, diff)
			}
			if object.Annotations["example.com/purpose"] != "report" {
				t.Errorf("annotations of %s %s: %v", what, name, object.Annotations)
			}
		}
		wantRichPod(t, sj.Spec.Containers[i].Name, &pod.Spec)
	}
}

func wantRichPod(t *testing.T, step string, pod *corev1.PodSpec) {
	t.Helper()
	if pod.ServiceAccountName != "robot" || pod.NodeSelector["kubernetes.io/os"] != "linux" || !pod.HostNetwork ||
		pod.SecurityContext.RunAsUser == nil || *pod.SecurityContext.RunAsUser != 1000 {
		t.Errorf("pod of step %s: %+v", step, pod)
	}
	if len(pod.Containers) != 1 || pod.Containers[0].Name != step {
		t.Errorf("containers of the pod of step %s: %+v", step, pod.Containers)
	}
	if len(pod.InitContainers) != 2 || pod.InitContainers[0].Name != "prepare" ||
		pod.InitContainers[1].RestartPolicy == nil || *pod.InitContainers[1].RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Errorf("init containers of the pod of step %s: %+v", step, pod.InitContainers)
	}
}

func only(labels, keys map[string]string) map[string]string {
	out := map[string]string{}
	for key := range keys {
		out[key] = labels[key]
	}
	return out
}

const richSequence = `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata:
  name: rich
spec:
  containers:
    - {name: first, image: "example.com/first:v1"}
    - {name: second, image: "example.com/second:v1"}
  template:
    metadata:
      labels:
        team: analytics
        batch.example.com/step-index: "99" # not the user's to set
      annotations: {example.com/purpose: report}
    spec:
      serviceAccountName: robot
      hostNetwork: true
      nodeSelector: {kubernetes.io/os: linux}
      securityContext: {runAsUser: 1000, runAsNonRoot: true}
      initContainers:
        - {name: prepare, image: "example.com/prepare:v1"}
        - {name: proxy, image: "example.com/proxy:v1", restartPolicy: Always}
`
