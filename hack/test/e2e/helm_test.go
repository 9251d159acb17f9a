//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const release = "sequentialjob"

// helm runs the real helm in the namespace of the controller, without any settings of the user's own.
func (c *cluster) helm(args ...string) string {
	c.T.Helper()
	out, err := c.tryHelm(args...)
	if err != nil {
		c.T.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) tryHelm(args ...string) (string, error) {
	c.T.Helper()
	home := c.T.TempDir()
	helm := exec.Command(filepath.Join(framework.Root, "bin/tools/helm"), append([]string{"--namespace", systemNamespace}, args...)...)
	helm.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := helm.CombinedOutput()
	return string(out), err
}

// whileOneRuns does something while a sequence runs its first step, and sees the sequence to its end: nothing is lost or run twice.
func (c *cluster) whileOneRuns(name string, do func()) {
	c.T.Helper()
	c.waitForRunningPod(c.Create(shellSteps(name, corev1.PodTemplateSpec{}, "sleep 5", "true")).UID)
	do()
	c.mustComplete(name)
	c.mustHaveJobsOf(name, 2)
}

func (c *cluster) mustHaveJobsOf(name string, want int) {
	c.T.Helper()
	jobs, err := c.Kube.BatchV1().Jobs(c.Namespace).List(c.T.Context(), metav1.ListOptions{LabelSelector: v1alpha1.SequentialJobNameLabel + "=" + name})
	if err != nil || len(jobs.Items) != want {
		c.T.Errorf("%s has %d Jobs (%v), want %d", name, len(jobs.Items), err, want)
	}
}

// mustRun checks how many replicas the Deployment has, and whether its pods have a flag.
func (c *cluster) mustRun(replicas, flag string, wantFlag bool) {
	c.T.Helper()
	if got := c.system("get", deployment, "-o", "jsonpath={.spec.replicas} {.status.readyReplicas}"); got != replicas+" "+replicas {
		c.T.Errorf("replicas wanted and ready: %s, want %s of each", got, replicas)
	}
	if got := c.system("get", deployment, "-o", "jsonpath={.spec.template.spec.containers[0].args}"); strings.Contains(got, flag) != wantFlag {
		c.T.Errorf("flags: %s; %s among them is not %t", got, flag, wantFlag)
	}
}

// The whole life of a release, with a sequence under way at every change. It begins with what "kubectl apply" has installed.
func TestTheChartIsInstalledUpgradedRolledBackAndRemovedWhileSequencesRun(t *testing.T) {
	c := newCluster(t)
	t.Cleanup(c.deploy) // the tests after this one need what "make deploy" makes
	chart := filepath.Join(framework.Root, "manifests/chart")
	wait := []string{"--wait", "--timeout", framework.Patience.String()}
	helm := func(args ...string) { c.T.Helper(); c.helm(append(args, wait...)...) }
	t.Cleanup(func() {
		if out, err := c.tryHelm("uninstall", release, "--ignore-not-found", "--wait", "--timeout", framework.Patience.String()); err != nil {
			t.Errorf("uninstall: %v\n%s", err, out)
		}
	})

	if out, err := c.tryHelm("install", release, chart); err == nil || !strings.Contains(out, "invalid ownership metadata") {
		t.Errorf("Helm takes over without being told to: %v\n%s", err, out)
	}
	c.whileOneRuns("taken-over", func() {
		helm("upgrade", "--install", release, chart, "--take-ownership", "--force-conflicts")
		c.mustRun("2", "--v=4", false)
	})
	c.whileOneRuns("upgraded", func() {
		helm("upgrade", release, chart, "--force-conflicts", "--set", "replicas=1,args={--v=4}")
		c.mustRun("1", "--v=4", true)
	})
	c.whileOneRuns("rolled-back", func() {
		helm("rollback", release, "0")
		c.mustRun("2", "--v=4", false)
	})
	c.whileOneRuns("removed", func() {
		helm("uninstall", release)
		c.Eventually("the controller to be gone", func(ctx context.Context) (bool, error) {
			pods, err := c.Kube.CoreV1().Pods(systemNamespace).List(ctx, metav1.ListOptions{})
			return err == nil && len(pods.Items) == 0, err
		})
		if got := c.Get("removed"); got.DeletionTimestamp != nil {
			t.Errorf("the SequentialJob is deleted with the release: %v", got.ObjectMeta)
		}
		helm("install", release, chart) // with the CRD that was kept
		c.mustRun("2", "--v=4", false)
	})
}
