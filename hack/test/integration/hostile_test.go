//go:build integration

package integration_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// withVariables gives each step so many variables of 1 KiB.
func withVariables(steps, variables int) *v1alpha1.SequentialJob {
	sj := framework.NewSequence("large")
	for i := range steps {
		container := corev1.Container{Name: fmt.Sprintf("step-%d", i), Image: "example.com/step:v1"}
		for j := range variables {
			container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprintf("V%d", j), Value: strings.Repeat("x", 1024)})
		}
		sj.Spec.Containers = append(sj.Spec.Containers, container)
	}
	return sj
}

// 100 steps with 50 variables of 1 KiB each are 5 MiB, more than the API server takes; it says so at once.
func TestWhatIsTooLargeForTheAPIServerIsRefusedAtOnce(t *testing.T) {
	c := newCluster(t)
	_, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Create(t.Context(), withVariables(100, 50), metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("5 MiB: %v, want that it is too large", err)
	}
}

// Whatever looks like a format, a template, a flag or a script is passed on as it is.
func TestWhatLooksLikeCodeIsData(t *testing.T) {
	const code = "--help %s%n {{.Values}} ${HOME} `id` '; DROP TABLE jobs; -- \u202e\x1b[2J\n"
	c := newByHandCluster(t)
	c.StartController()
	sj := framework.NewSequence("etl", "xn--nxasmq6b", "null")
	sj.Spec.Template.Annotations = map[string]string{"example.com/code": code}
	for i := range sj.Spec.Containers {
		sj.Spec.Containers[i].Image = "example.com/%s:{{v}}"
		sj.Spec.Containers[i].Args = []string{code}
		sj.Spec.Containers[i].Env = []corev1.EnvVar{{Name: "CODE", Value: code}}
	}
	c.Create(sj)
	job := c.WaitForRunning("etl", 0)
	container := job.Spec.Template.Spec.Containers[0]
	if container.Image != sj.Spec.Containers[0].Image || container.Args[0] != code || container.Env[0].Value != code ||
		job.Spec.Template.Annotations["example.com/code"] != code {
		t.Errorf("it was changed on the way: %+v", container)
	}
	c.EndJob("etl-0", batchv1.JobComplete, "")
	job = c.WaitForRunning("etl", 1)
	c.createFailedPod(job, "null", 3, strings.Repeat(code, 200)+"\xff\xfe")
	c.EndJob("etl-1", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	failed := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	messages := []string{failed.Status.Steps[1].Message}
	for _, condition := range failed.Status.Conditions {
		messages = append(messages, condition.Message)
	}
	events, err := c.Kube.CoreV1().Events(c.Namespace).List(t.Context(), metav1.ListOptions{})
	framework.Must(t, err)
	for i := range events.Items {
		messages = append(messages, events.Items[i].Message)
	}
	const longest = 1200 // 1 KiB of what the container said, and a line around it
	for _, message := range messages {
		if len(message) > longest || strings.ContainsFunc(message, unicode.IsControl) {
			t.Errorf("%d bytes: %q", len(message), message)
		}
	}
	if !strings.Contains(messages[0], "--help %s%n {{.Values}} ${HOME}") {
		t.Errorf("the container's own words are not told: %q", messages[0])
	}
}

// The log, even at a level that nobody uses every day, has no commands, variables or other parts of a spec.
func TestTheLogTellsNothingOfASpec(t *testing.T) {
	const secret = "swordfish"
	c := newByHandCluster(t)
	log := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(log)
	framework.Must(t, err)
	process := exec.Command(framework.BuildController(t), "--v=4", "--namespace="+c.Namespace)
	process.Stdout, process.Stderr = file, file
	framework.Must(t, process.Start())
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })

	sj := framework.NewSequence("etl", "extract", "load")
	for i := range sj.Spec.Containers {
		sj.Spec.Containers[i].Command = []string{"login", "--password", secret}
		sj.Spec.Containers[i].Env = []corev1.EnvVar{{Name: "PASSWORD", Value: secret}}
	}
	sj.Spec.Template.Annotations = map[string]string{"example.com/password": secret}
	c.Create(sj)
	c.WaitForRunning("etl", 0)
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 1)
	c.EndJob("etl-1", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	invalid := framework.NewSequence("invalid", "extract")
	invalid.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "not=valid", Value: secret}}
	c.Create(invalid)
	c.WaitForPhase("invalid", v1alpha1.SequentialJobFailed)
	content, err := os.ReadFile(log)
	framework.Must(t, err)
	if !strings.Contains(string(content), "etl-1") || strings.Contains(string(content), secret) {
		t.Errorf("the log tells too much or nothing:\n%s", content)
	}
}
