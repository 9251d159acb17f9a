//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// registry starts a registry beside the node, which is stopped after the test, and returns its name.
func (c *cluster) registry() string {
	c.T.Helper()
	command := exec.Command(filepath.Join(framework.Root, "hack/cluster/cluster.sh"), "registry")
	command.Stderr = os.Stderr
	c.T.Cleanup(func() {
		if out, err := c.script(nil, "cluster/cluster.sh", "registry-stop"); err != nil {
			c.T.Errorf("registry-stop: %v\n%s", err, out)
		}
	})
	name, err := command.Output()
	if err != nil {
		c.T.Fatalf("registry: %v", err)
	}
	return strings.TrimSpace(string(name))
}

// push builds the image of the controller and pushes it, as a user does.
func (c *cluster) push(image string) {
	c.T.Helper()
	ctx, cancel := context.WithTimeout(c.T.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "make", "docker-build", "docker-push", "IMG="+image, "CONTAINER_TOOL=buildah")
	command.Dir = framework.Root
	kubeconfig, err := filepath.Abs(os.Getenv("KUBECONFIG"))
	if err != nil {
		c.T.Fatal(err)
	}
	// The registry has no TLS.
	command.Env = append(os.Environ(), "CONTAINERS_REGISTRIES_CONF="+filepath.Join(filepath.Dir(kubeconfig), "registry/registries.conf"))
	if out, err := command.CombinedOutput(); err != nil {
		c.T.Fatalf("push: %v\n%s", err, out)
	}
}

// mustBePulled checks that what runs is what the registry gave, and not what the node had anyway.
func (c *cluster) mustBePulled(namespace, image string) {
	c.T.Helper()
	repository, _, _ := strings.Cut(image, ":pushed")
	pods, err := c.Kube.CoreV1().Pods(namespace).List(c.T.Context(), metav1.ListOptions{})
	if err != nil {
		c.T.Fatal(err)
	}
	pulled := 0
	for i := range pods.Items {
		for _, status := range pods.Items[i].Status.ContainerStatuses {
			if strings.HasPrefix(status.ImageID, repository+"@sha256:") {
				pulled++
			}
		}
	}
	if pulled == 0 {
		c.T.Errorf("no pod in %s runs an image of %s:\n%s", namespace, repository, c.kubectl("", "get", "pods", "-n", namespace, "-o", "yaml"))
	}
}

// The way of a user who has a registry: build, push, deploy from there; and a step whose image is pulled every time.
func TestWhatIsPushedIsPulledByTheNode(t *testing.T) {
	c := newCluster(t)
	image := c.registry() + "/sequential-job-operator:pushed"
	c.push(image)
	t.Cleanup(c.deploy)
	if out, err := c.script(nil, "deploy.sh", image); err != nil {
		t.Fatalf("deploy: %v\n%s", err, out)
	}
	c.mustBePulled(systemNamespace, image)

	sj := shellSteps("pulled", corev1.PodTemplateSpec{}, "true", "")
	sj.Spec.Containers[1] = corev1.Container{
		Name: "step-1", Image: image, ImagePullPolicy: corev1.PullAlways, Command: []string{"/sequentialjob-controller", "--version"},
	}
	c.Create(sj)
	c.mustComplete("pulled")
	c.mustBePulled(c.Namespace, image)
}
