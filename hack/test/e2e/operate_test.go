//go:build e2e

package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

const (
	deployment = "deployment/sequential-operator-controller-manager"
	lease      = "sequentialjob-controller"
)

// system is the namespace of the controller.
func (c *cluster) system(args ...string) string {
	c.T.Helper()
	return c.kubectl("", append([]string{"--namespace", systemNamespace}, args...)...)
}

// script runs a script of hack/ and returns what it prints.
func (c *cluster) script(environment []string, name string, args ...string) (string, error) {
	c.T.Helper()
	script := exec.Command(filepath.Join(framework.Root, "hack", name), args...)
	script.Env = append(os.Environ(), environment...)
	out, err := script.CombinedOutput()
	return string(out), err
}

func (c *cluster) deploy() {
	c.T.Helper()
	if out, err := c.script(nil, "deploy.sh", "sequential-job-operator:latest"); err != nil {
		c.T.Fatalf("deploy: %v\n%s", err, out)
	}
}

func (c *cluster) mustHaveJobs(want int) {
	c.T.Helper()
	if jobs, err := c.Kube.BatchV1().Jobs(c.Namespace).List(c.T.Context(), metav1.ListOptions{}); err != nil || len(jobs.Items) != want {
		c.T.Errorf("%d Jobs (%v), want %d", len(jobs.Items), err, want)
	}
}

// leader returns the name of the pod that holds the lease.
func (c *cluster) leader(ctx context.Context) string {
	held, err := c.Kube.CoordinationV1().Leases(systemNamespace).Get(ctx, lease, metav1.GetOptions{})
	if err != nil || held.Spec.HolderIdentity == nil {
		return ""
	}
	pod, _, _ := strings.Cut(*held.Spec.HolderIdentity, "_")
	return pod
}

// Everything is replaced while sequences run, one pod after the other, as an upgrade does.
func TestAnUpgradeWhileSequencesRunLosesNothing(t *testing.T) {
	c := newCluster(t)
	t.Cleanup(c.deploy)
	shell := c.shell()
	root, err := filepath.Abs(framework.Root)
	framework.Must(t, err)
	// Two names of one image, which the node has: Kubernetes replaces the pods anyway.
	images := strings.NewReplacer("registry.example.com/sequential-job-operator:v2", "docker.io/library/sequential-job-operator:latest",
		"registry.example.com/sequential-job-operator:v1", "sequential-job-operator:latest")
	for i, block := range framework.BlocksRunBy(t, "TestAnUpgradeWhileSequencesRunLosesNothing") {
		name := fmt.Sprintf("change-%d", i)
		sj := c.Create(shellSteps(name, corev1.PodTemplateSpec{}, "sleep 2", "sleep 2", "sleep 2", "sleep 2"))
		c.waitForRunningPod(sj.UID)
		before := c.leader(t.Context())
		if out, err := shell("cd " + root + " && " + images.Replace(block.Commands)); err != nil {
			t.Fatalf("%s: %v\n%s", block.Commands, err, out)
		}
		c.mustComplete(name)
		c.mustHaveJobsOf(name, 4)
		c.Eventually("another pod to lead", func(ctx context.Context) (bool, error) {
			after := c.leader(ctx)
			return after != "" && after != before, nil
		})
	}
}

// Health is for everybody. Metrics are for whom the API server allows.
func TestHealthAndMetrics(t *testing.T) {
	c := newCluster(t)
	c.Create(shellSteps("one", corev1.PodTemplateSpec{}, "true"))
	c.mustComplete("one")
	url := c.forward(c.leader(t.Context()))
	if status, got := get(t, url+"/readyz?verbose", ""); status != http.StatusOK || !strings.Contains(got, "[+]api-server ok") {
		t.Errorf("/readyz: %d %s", status, got)
	}
	c.kubectl("", "create", "serviceaccount", "prometheus")
	token := strings.TrimSpace(c.kubectl("", "create", "token", "prometheus"))
	for who, token := range map[string]string{"nobody": "", "somebody without permission": token} {
		if status, got := get(t, url+"/metrics", token); status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Errorf("/metrics to %s: %d %s", who, status, got)
		}
	}
	c.kubectl("", "create", "clusterrolebinding", c.Namespace, "--clusterrole=sequential-operator-metrics-reader",
		"--serviceaccount="+c.Namespace+":prometheus")
	t.Cleanup(func() { c.kubectl("", "delete", "clusterrolebinding", c.Namespace) })
	const completed = `sequentialjob_sequences_finished_total{reason="Completed",result="completed"} `
	c.Eventually("the metrics to be readable", func(context.Context) (bool, error) {
		status, got := get(t, url+"/metrics", token)
		return status == http.StatusOK && strings.Contains(got, completed), nil
	})
}

// forward makes the port of a controller's pod reachable and returns its URL.
func (c *cluster) forward(pod string) string {
	c.T.Helper()
	forward := exec.CommandContext(c.T.Context(), os.Getenv("KUBECTL"), "--namespace", systemNamespace, "port-forward", "pod/"+pod, ":8443")
	out, err := forward.StdoutPipe()
	if err = errors.Join(err, forward.Start()); err != nil {
		c.T.Fatal(err)
	}
	c.T.Cleanup(func() { _ = forward.Wait() }) // its context has ended it
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.T.Fatalf("port-forward: %v", err)
	}
	address, _, _ := strings.Cut(strings.TrimPrefix(line, "Forwarding from "), " ")
	return "https://" + address
}

// get returns the status and what is served. The certificate is one that nobody can verify.
func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestTheControllerIsAsPodSecurityWantsIt(t *testing.T) {
	c := newCluster(t)
	namespace, err := c.Kube.CoreV1().Namespaces().Get(t.Context(), systemNamespace, metav1.GetOptions{})
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
func TestNamespacedControllersStandSideBySide(t *testing.T) {
	a, b, neither := newCluster(t), newCluster(t), newCluster(t)
	a.system("scale", deployment, "--replicas=0")
	t.Cleanup(func() {
		a.system("scale", deployment, "--replicas=2")
		a.system("rollout", "status", deployment, "--timeout="+framework.Patience.String())
	})
	a.Eventually("the controller for all namespaces to be gone", func(ctx context.Context) (bool, error) {
		pods, err := a.Kube.CoreV1().Pods(systemNamespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(pods.Items) == 0, err
	})
	steps := shellSteps("etl", corev1.PodTemplateSpec{}, "true", "true")
	neither.Create(steps.DeepCopy())
	for _, c := range []*cluster{a, b} {
		install, remove := c.namespacedCommands()
		t.Cleanup(remove)
		install()
		c.Create(steps.DeepCopy())
	}
	for _, c := range []*cluster{a, b} {
		c.mustComplete("etl")
		c.mustHaveJobs(2)
	}
	if sj := neither.Get("etl"); sequence.Seen(&sj.Status) {
		t.Errorf("a controller for other namespaces worked on it: %+v", sj.Status)
	}
	neither.mustHaveJobs(0)
	neither.kubectl("", "delete", "sequentialjob", "etl")
}

// Removal refuses while something runs. Removed without asking, while something runs, nothing is stuck for good: to install it
// again is enough. And if no controller is to be had at all, there is FORCE=1.
func TestRemoval(t *testing.T) {
	c := newCluster(t)
	slow := shellSteps("slow", corev1.PodTemplateSpec{}, "sleep 600")
	c.waitForRunningPod(c.Create(slow.DeepCopy()).UID)
	for _, args := range [][]string{{}, {"crd"}} {
		out, err := c.script(nil, "undeploy.sh", args...)
		if err == nil || !strings.Contains(out, c.Namespace+" slow") || !strings.Contains(out, "FORCE=1") {
			t.Fatalf("undeploy.sh %q: %v\n%s", args, err, out)
		}
	}
	t.Cleanup(c.deploy)

	c.system("delete", "--wait=false", "-f", filepath.Join(framework.Root, "manifests/install.yaml"))
	c.Eventually("the namespace to be gone", func(ctx context.Context) (bool, error) {
		_, err := c.Kube.CoreV1().Namespaces().Get(ctx, systemNamespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	c.mustHaveJobs(1)
	c.deploy()
	if sjs, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).List(t.Context(), metav1.ListOptions{}); err != nil || len(sjs.Items) > 0 {
		t.Errorf("SequentialJobs are left (%v): %+v", err, sjs.Items)
	}
	c.mustHaveJobs(0)

	c.waitForRunningPod(c.Create(slow.DeepCopy()).UID)
	c.system("delete", deployment)
	if out, err := c.script([]string{"FORCE=1", "TIMEOUT=3s"}, "undeploy.sh"); err != nil {
		t.Fatalf("undeploy.sh: %v\n%s", err, out)
	}
	c.Eventually("the Job to be gone", func(ctx context.Context) (bool, error) {
		jobs, err := c.Kube.BatchV1().Jobs(c.Namespace).List(ctx, metav1.ListOptions{})
		return err == nil && len(jobs.Items) == 0, err
	})
	if sjs, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("SequentialJobs are still served: %+v, %v", sjs, err)
	}
}
