//go:build e2e

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Every command of docs/recipes.md is run, on a sequence whose second step has failed.
func TestTheCommandsOfTheRecipesWork(t *testing.T) {
	c := newCluster(t)
	sj := shellSteps("etl", corev1.PodTemplateSpec{}, "echo one", "echo 'no such table' > /dev/termination-log; echo two; exit 2")
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "step-1", Suspend: new(false)}}
	sj.Spec.Finally = []corev1.Container{{Name: "notify", Image: sj.Spec.Containers[0].Image, Command: []string{"echo", "notified"}}}
	c.Create(sj)
	c.waitForEnd("etl")
	content, err := os.ReadFile(filepath.Join(framework.Root, "docs/recipes.md"))
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	kubectl, err := exec.LookPath(os.Getenv("KUBECTL"))
	if err != nil {
		t.Fatal(err)
	}
	// A kubectl whose current namespace is that of the test.
	script := "#!/bin/sh\nexec " + kubectl + " --kubeconfig " + filepath.Join(bin, "kubeconfig") + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	config := c.kubectl("", "config", "view", "--raw")
	if err := os.WriteFile(filepath.Join(bin, "kubeconfig"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(commands string) (string, error) {
		bash := exec.Command("bash", "-euo", "pipefail", "-c", commands)
		bash.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := bash.CombinedOutput()
		return string(out), err
	}
	if out, err := run("kubectl config set-context --current --namespace=" + c.Namespace); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var said strings.Builder
	blocks := strings.Split(string(content), "```bash\n")[1:]
	for _, block := range blocks {
		commands, _, _ := strings.Cut(block, "```")
		out, err := run(commands)
		if err != nil {
			t.Errorf("%s: %v\n%s", commands, err, out)
		}
		said.WriteString(out)
	}
	for _, want := range []string{
		`Job 1 (step-1) failed: BackoffLimitExceeded: container "step-1" exited with code 2: no such table`,
		"== etl-0\none\n== etl-1\ntwo\n", "it failed", "Failed step-1 BackoffLimitExceeded\n", "notified\n", "step-1\tBackoffLimitExceeded", "JobFailed",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nothing said %q:\n%s", want, said.String())
		}
	}
	if len(blocks) < 10 {
		t.Errorf("only %d blocks were found", len(blocks))
	}
}
