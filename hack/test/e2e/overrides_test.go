//go:build e2e

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const forOneStep = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: trainer}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: e2e-urgent}
value: 1000
---
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: e2e-devices}
spec: {selectors: [{cel: {expression: "device.driver == 'devices.example.com'"}}]}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: one-device}
spec: {spec: {devices: {requests: [{name: device, exactly: {deviceClassName: e2e-devices}}]}}}
`

// startDevice starts a driver that gives the node a device.
func (c *cluster) startDevice() {
	c.T.Helper()
	binary := filepath.Join(c.T.TempDir(), "dra")
	build := exec.Command("go", "-C", filepath.Join(framework.Root, "hack", "dra"), "build", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		c.T.Fatalf("build the driver: %v\n%s", err, out)
	}
	kubeconfig, err := filepath.Abs(os.Getenv("KUBECONFIG"))
	framework.Must(c.T, err)
	node := strings.TrimPrefix(strings.TrimSpace(c.kubectl("", "get", "nodes", "-o", "name")), "node/")
	// Where hack/cluster/node.sh has the node's files.
	driver := exec.Command(binary, "--kubeconfig", kubeconfig, "--node", node,
		"--kubelet-dir", filepath.Join(filepath.Dir(kubeconfig), "node", "kubelet"))
	driver.Stderr = c.T.Output()
	framework.Must(c.T, driver.Start())
	c.T.Cleanup(func() {
		_ = driver.Process.Signal(syscall.SIGTERM)
		_ = driver.Wait() // it ends as it was told to
	})
}

// What a step has of its own is there in its pod, on a node, and in no other step's: account, priority, volume, an init
// container, labels and a device.
func TestOneStepHasSettingsOfItsOwn(t *testing.T) {
	c := newCluster(t)
	c.kubectl(forOneStep, "apply", "-f", "-")
	t.Cleanup(func() {
		c.tryKubectl("", "delete", "priorityclass/e2e-urgent", "deviceclass/e2e-devices")
	})
	c.startDevice()
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsUser: new(int64(10001)), FSGroup: new(int64(10001))},
	}}
	sj := shellSteps("etl", template, "ls /shared 2>&1; id -u", "cat /shared/prepared; id -u")
	train := &sj.Spec.Containers[1]
	train.VolumeMounts = []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}}
	train.Resources.Claims = []corev1.ResourceClaim{{Name: "device"}}
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: train.Name, Template: &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"team": "ml"}},
		Spec: corev1.PodSpec{
			ServiceAccountName: "trainer", PriorityClassName: "e2e-urgent",
			NodeSelector:   map[string]string{corev1.LabelOSStable: "linux"},
			Tolerations:    []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}},
			Volumes:        []corev1.Volume{{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
			ResourceClaims: []corev1.PodResourceClaim{{Name: "device", ResourceClaimTemplateName: new("one-device")}},
			InitContainers: []corev1.Container{{
				Name: "prepare", Image: train.Image, Command: []string{"sh", "-c", "echo prepared > /shared/prepared"},
				VolumeMounts: train.VolumeMounts,
			}},
		},
	}}}
	c.Create(sj)
	c.mustComplete("etl")
	if first, second := c.kubectl("", "logs", "job/etl-0"), c.kubectl("", "logs", "job/etl-1", "-c", train.Name); strings.Contains(first, "prepared") ||
		!strings.Contains(first, "10001") || second != "prepared\n10001\n" {
		t.Errorf("the steps said %q and %q", first, second)
	}
	const settings = `-o=jsonpath={.items[0].spec.serviceAccountName} {.items[0].spec.priority} {.items[0].metadata.labels.team} ` +
		`{.items[0].spec.tolerations[?(@.key=="gpu")].key} {.items[0].status.resourceClaimStatuses[*].name}`
	for job, want := range map[string]string{"etl-0": "default 0", "etl-1": "trainer 1000 ml gpu device"} {
		if got := strings.TrimSpace(c.kubectl("", "get", "pods", "-l", "job-name="+job, settings)); got != want {
			t.Errorf("the pod of %s has %q, want %q", job, got, want)
		}
	}
}
