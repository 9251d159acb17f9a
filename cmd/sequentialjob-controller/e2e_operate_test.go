//go:build e2e

package main_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	deployment = "deployment/sequential-operator-controller-manager"
	lease      = "sequentialjob-controller"
)

// system is the namespace of the controller.
func (c *cluster) system(args ...string) string {
	c.t.Helper()
	return c.kubectl("", append([]string{"--namespace", systemNamespace}, args...)...)
}

// script runs a script of hack/ and returns what it prints.
func (c *cluster) script(environment []string, name string, args ...string) (string, error) {
	c.t.Helper()
	script := exec.Command(filepath.Join(root, "hack", name), args...)
	script.Env = append(os.Environ(), environment...)
	out, err := script.CombinedOutput()
	return string(out), err
}

func (c *cluster) deploy() {
	c.t.Helper()
	if out, err := c.script(nil, "deploy.sh", "sequential-job-operator:latest"); err != nil {
		c.t.Fatalf("deploy: %v\n%s", err, out)
	}
}

func (c *cluster) mustHaveJobs(want int) {
	c.t.Helper()
	if jobs, err := c.kube.BatchV1().Jobs(c.namespace).List(c.t.Context(), metav1.ListOptions{}); err != nil || len(jobs.Items) != want {
		c.t.Errorf("%d Jobs (%v), want %d", len(jobs.Items), err, want)
	}
}

// leader returns the name of the pod that holds the lease.
func (c *cluster) leader(ctx context.Context) string {
	held, err := c.kube.CoordinationV1().Leases(systemNamespace).Get(ctx, lease, metav1.GetOptions{})
	if err != nil || held.Spec.HolderIdentity == nil {
		return ""
	}
	pod, _, _ := strings.Cut(*held.Spec.HolderIdentity, "_")
	return pod
}

// Everything is replaced in mid-run, one pod after the other, as an upgrade does.
func TestE2EAnUpgradeInMidRunLosesNothing(t *testing.T) {
	c := newCluster(t)
	sj := c.create(shellSteps("upgrade", corev1.PodTemplateSpec{}, "sleep 2", "sleep 2", "sleep 2", "sleep 2"))
	c.waitForRunningPod(sj.UID)
	before := c.leader(t.Context())
	c.system("rollout", "restart", deployment)
	c.system("rollout", "status", deployment, "--timeout="+patience.String())
	c.mustComplete("upgrade")
	c.mustHaveJobs(4)
	c.eventually("another pod to lead", func(ctx context.Context) (bool, error) {
		after := c.leader(ctx)
		return after != "" && after != before, nil
	})
}

// Health is for everybody. Metrics are for whom the API server allows.
func TestE2EHealthAndMetrics(t *testing.T) {
	c := newCluster(t)
	c.create(shellSteps("one", corev1.PodTemplateSpec{}, "true"))
	c.mustComplete("one")
	leader := c.leader(t.Context())
	path := func(path string) string {
		return "/api/v1/namespaces/" + systemNamespace + "/pods/https:" + leader + ":8443/proxy" + path
	}
	if got := c.system("get", "--raw", path("/readyz?verbose")); !strings.Contains(got, "[+]caches ok") || !strings.Contains(got, "[+]api-server ok") {
		t.Errorf("/readyz says %q", got)
	}
	// The API server does not pass on who asks, so this is somebody unknown.
	if got := c.tryKubectl("", "get", "--raw", path("/metrics")); !strings.Contains(got, "a bearer token that the API server knows is needed") {
		t.Errorf("/metrics says %q to somebody unknown", got)
	}
	c.kubectl("", "create", "serviceaccount", "prometheus")
	c.kubectl("", "create", "clusterrolebinding", c.namespace, "--clusterrole=sequential-operator-metrics-reader",
		"--serviceaccount="+c.namespace+":prometheus")
	t.Cleanup(func() { c.kubectl("", "delete", "clusterrolebinding", c.namespace) })
	// wget from a pod, as Prometheus would. The token of the service account is mounted there.
	pod, err := c.kube.CoreV1().Pods(systemNamespace).Get(t.Context(), leader, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scrape := shellSteps("scrape", corev1.PodTemplateSpec{Spec: corev1.PodSpec{ServiceAccountName: "prometheus"}},
		`wget -q -O - --no-check-certificate --header "Authorization: Bearer $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)" \
			https://`+pod.Status.PodIP+`:8443/metrics | grep '^sequentialjob_s.*completed'`)
	c.create(scrape)
	c.mustComplete("scrape")
	if got := c.kubectl("", "logs", "job/scrape-0"); !strings.Contains(got, `sequentialjob_sequences_finished_total{reason="Completed",result="completed"}`) {
		t.Errorf("the metrics are %q", got)
	}
}

func TestE2ETheControllerIsAsPodSecurityWantsIt(t *testing.T) {
	c := newCluster(t)
	namespace, err := c.kube.CoreV1().Namespaces().Get(t.Context(), systemNamespace, metav1.GetOptions{})
	if err != nil || namespace.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Errorf("the namespace does not enforce it (%v): %v", err, namespace.Labels)
	}
	// What is enforced refuses pods only; a Deployment with a bad template would be warned of here.
	template := c.system("get", deployment, "-o", "yaml")
	if got := c.kubectl(template, "apply", "--dry-run=server", "--namespace", systemNamespace, "-f", "-"); strings.Contains(got, "Warning") {
		t.Error(got)
	}
}

// Two controllers, each for a namespace of its own, side by side. A third namespace has none.
func TestE2ENamespacedControllersStandSideBySide(t *testing.T) {
	a, b, neither := newCluster(t), newCluster(t), newCluster(t)
	a.system("scale", deployment, "--replicas=0")
	t.Cleanup(func() {
		a.system("scale", deployment, "--replicas=2")
		a.system("rollout", "status", deployment, "--timeout="+patience.String())
	})
	a.eventually("the controller for all namespaces to be gone", func(ctx context.Context) (bool, error) {
		pods, err := a.kube.CoreV1().Pods(systemNamespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(pods.Items) == 0, err
	})
	steps := shellSteps("etl", corev1.PodTemplateSpec{}, "true", "true")
	neither.create(steps.DeepCopy())
	for _, c := range []*cluster{a, b} {
		manifests := strings.ReplaceAll(c.kubectl("", "kustomize", filepath.Join(root, "manifests/namespaced")), "team-a", c.namespace)
		// By a file: kubectl apply -f - would put what names no namespace into that of the test.
		c.kubectl(manifests, "apply", "-f", "-")
		t.Cleanup(func() { c.kubectl(manifests, "delete", "--ignore-not-found", "-f", "-") })
		c.create(steps.DeepCopy())
	}
	for _, c := range []*cluster{a, b} {
		c.mustComplete("etl")
		c.mustHaveJobs(2)
	}
	if sj := neither.get("etl"); sj.Status.Phase != "" {
		t.Errorf("a controller for other namespaces worked on it: %+v", sj.Status)
	}
	neither.mustHaveJobs(0)
	neither.kubectl("", "delete", "sequentialjob", "etl")
}

// Removal refuses while something runs. Removed without asking, while something runs, nothing is stuck for good: to install it
// again is enough. And if no controller is to be had at all, there is FORCE=1.
func TestE2ERemoval(t *testing.T) {
	c := newCluster(t)
	slow := shellSteps("slow", corev1.PodTemplateSpec{}, "sleep 600")
	c.waitForRunningPod(c.create(slow.DeepCopy()).UID)
	for _, args := range [][]string{{}, {"crd"}} {
		out, err := c.script(nil, "undeploy.sh", args...)
		if err == nil || !strings.Contains(out, c.namespace+" slow") || !strings.Contains(out, "FORCE=1") {
			t.Fatalf("undeploy.sh %q: %v\n%s", args, err, out)
		}
	}
	t.Cleanup(c.deploy)

	c.system("delete", "--wait=false", "-f", filepath.Join(root, "manifests/install.yaml"))
	c.eventually("the namespace to be gone", func(ctx context.Context) (bool, error) {
		_, err := c.kube.CoreV1().Namespaces().Get(ctx, systemNamespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	c.mustHaveJobs(1)
	// The CRD cannot be established anew before the old one is gone, which takes a controller; hence the second time.
	_, _ = c.script(nil, "deploy.sh", "sequential-job-operator:latest")
	c.eventually("the SequentialJob and its CRD to be gone", func(ctx context.Context) (bool, error) {
		_, err := c.client.BatchV1alpha1().SequentialJobs(c.namespace).Get(ctx, "slow", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	c.mustHaveJobs(0)
	c.deploy()

	c.waitForRunningPod(c.create(slow.DeepCopy()).UID)
	c.system("delete", deployment)
	if out, err := c.script([]string{"FORCE=1", "TIMEOUT=3s"}, "undeploy.sh"); err != nil {
		t.Fatalf("undeploy.sh: %v\n%s", err, out)
	}
	c.eventually("the Job to be gone", func(ctx context.Context) (bool, error) {
		jobs, err := c.kube.BatchV1().Jobs(c.namespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(jobs.Items) == 0, err
	})
	if got := c.tryKubectl("", "get", "sequentialjobs"); !strings.Contains(got, http.StatusText(http.StatusNotFound)) &&
		!strings.Contains(got, "doesn't have a resource type") {
		t.Errorf("SequentialJobs are still served: %s", got)
	}
}
