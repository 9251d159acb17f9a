//go:build e2e

package e2e_test

import (
	"os"
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
	run := c.shell()
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
