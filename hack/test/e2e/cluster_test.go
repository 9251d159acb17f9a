//go:build e2e

// Package e2e_test needs a cluster with a real node, on which the controller runs as deployed from manifests/ and which has the
// images of hack/demo. KUBECONFIG names it, KUBECTL the kubectl to use.
package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const systemNamespace = "sequential-operator-system"

// cluster adds to the framework's what only these tests need.
type cluster struct{ *framework.Cluster }

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return &cluster{framework.NewNamespace(t, nil)}
}

func (c *cluster) tryKubectl(stdin string, args ...string) string {
	kubectl := os.Getenv("KUBECTL")
	if kubectl == "" {
		kubectl = "kubectl"
	}
	cmd := exec.Command(kubectl, append([]string{"--namespace", c.Namespace}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s\n%v", out, err)
	}
	return string(out)
}

func (c *cluster) kubectl(stdin string, args ...string) string {
	c.T.Helper()
	out := c.tryKubectl(stdin, args...)
	if strings.Contains(out, "exit status") {
		c.T.Fatalf("kubectl %s: %s", strings.Join(args, " "), out)
	}
	return out
}

func (c *cluster) waitForEnd(name string) *v1alpha1.SequentialJob {
	c.T.Helper()
	c.kubectl("", "wait", "sequentialjob/"+name, "--for=jsonpath={.status.completionTime}", "--timeout="+framework.Patience.String())
	return c.Get(name)
}

func (c *cluster) mustComplete(name string) {
	c.T.Helper()
	sj := c.waitForEnd(name)
	if sj.Status.Phase != v1alpha1.SequentialJobCompleted {
		c.T.Fatalf("%s is %s, want Completed:\n%s", name, sj.Status.Phase, c.kubectl("", "describe", "sequentialjob", name))
	}
	c.mustBeOrdered(sj)
}

// mustBeOrdered checks in the pods, which know best, that no step ran before the one before it had ended.
func (c *cluster) mustBeOrdered(sj *v1alpha1.SequentialJob) {
	c.T.Helper()
	var ended time.Time
	for i, step := range sj.Status.Steps {
		pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(c.T.Context(),
			metav1.ListOptions{LabelSelector: batchv1.ControllerUidLabel + "=" + string(step.JobUID)})
		if err != nil || len(pods.Items) == 0 {
			c.T.Fatalf("step %d has no pods (%v)", i, err)
		}
		before := ended
		for _, pod := range pods.Items {
			if pod.CreationTimestamp.Time.Before(before) {
				c.T.Errorf("step %d started at %s, before step %d ended at %s", i, pod.CreationTimestamp, i-1, before)
			}
			for _, status := range pod.Status.ContainerStatuses {
				if end := status.State.Terminated; end != nil && end.FinishedAt.After(ended) {
					ended = end.FinishedAt.Time
				}
			}
		}
	}
}
