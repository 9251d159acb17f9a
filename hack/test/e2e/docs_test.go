//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// fitDocs puts the image that the test's cluster has in the place of the one that anybody can pull.
var fitDocs = strings.NewReplacer("busybox:1.36", "data-tools/shell:v1", "--image=busybox", "--image=data-tools/shell:v1")

// aKubectl is what the commands of the docs call. What watches is ended after a while, as a user does it.
const aKubectl = `#!/bin/sh
for argument in "$@"; do
  if [ "$argument" = -w ]; then
    timeout 3 "$REAL_KUBECTL" "$@"
    [ $? -eq 124 ]
    exit
  fi
done
exec "$REAL_KUBECTL" "$@"
`

// shell returns what runs commands as a user types them, from the root of a copy of the manifests, with a kubectl whose current
// namespace is that of the test, and the plugin.
func (c *cluster) shell() func(commands string) (string, error) {
	c.T.Helper()
	dir := c.T.TempDir()
	kubectl, err := exec.LookPath(os.Getenv("KUBECTL"))
	framework.Must(c.T, err)
	kubectl, err = filepath.Abs(kubectl)
	framework.Must(c.T, err)
	bin := filepath.Join(dir, ".bin")
	framework.Must(c.T, os.Mkdir(bin, 0o700))
	framework.Must(c.T, os.WriteFile(filepath.Join(bin, "kubectl"), []byte(aKubectl), 0o700)) //nolint:gosec // a program
	config := filepath.Join(bin, "kubeconfig")
	framework.Must(c.T, os.WriteFile(config, []byte(c.kubectl("", "config", "view", "--raw")), 0o600))
	framework.Must(c.T, os.CopyFS(filepath.Join(dir, "manifests"), os.DirFS(filepath.Join(framework.Root, "manifests"))))
	path := strings.Join([]string{bin, c.installed(), filepath.Dir(kubectl), os.Getenv("PATH")}, ":")
	run := func(commands string) (string, error) {
		bash := exec.CommandContext(context.WithoutCancel(c.T.Context()), "bash", "-euo", "pipefail", "-c", commands)
		bash.Dir = dir
		bash.Env = append(os.Environ(), "HOME="+dir, "KUBECONFIG="+config, "REAL_KUBECTL="+kubectl, "PATH="+path)
		out, err := bash.CombinedOutput()
		return string(out), err
	}
	if out, err := run("mkdir -p ~/.local/bin && kubectl config set-context --current --namespace=" + c.Namespace); err != nil {
		c.T.Fatalf("%v: %s", err, out)
	}
	return run
}

// createFailed creates the sequence etl, whose second step fails, and waits for its end.
func (c *cluster) createFailed() {
	c.T.Helper()
	sj := shellSteps("etl", corev1.PodTemplateSpec{}, "echo one", "echo 'no such table' > /dev/termination-log; echo two; exit 2")
	sj.Spec.Retries = new(int32(0))
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "step-1", Suspend: new(false)}}
	sj.Spec.Finally = []corev1.Container{{Name: "notify", Image: sj.Spec.Containers[0].Image, Command: []string{"echo", "notified"}}}
	c.Create(sj)
	c.mustFail("etl")
}

// docsCase is what the commands of a page need and say.
type docsCase struct {
	// before makes what is there when the first command runs.
	before func(*cluster)
	// names are put in the place of those of the page.
	names *strings.Replacer
	// says are what the commands print, among other things.
	says []string
}

var docsCases = map[string]docsCase{
	"README.md": {says: []string{
		`container "count" exited with code 2: grep: /proc/cpuinf: No such file or directory`, "condition met", "/report] reporting\n",
	}},
	"docs/recipes.md": {before: func(c *cluster) {
		c.createFailed()
		c.createSteps("paused", "true", func(sj *v1alpha1.SequentialJob) { sj.Spec.Suspend = new(true) })
		c.WaitForPhase("paused", v1alpha1.SequentialJobSuspended)
	}, says: []string{
		"paused: Suspended by spec.suspend before job 0 (extract)\n",
		`Job 1 (step-1) failed: BackoffLimitExceeded: container "step-1" exited with code 2: no such table`,
		"== etl-0\none\n== etl-1\ntwo\n", "it failed", "Failed step-1 BackoffLimitExceeded\n", "notified\n", "step-1\tBackoffLimitExceeded", "JobFailed",
	}},
	"docs/troubleshooting.md": {before: (*cluster).createFailed, names: strings.NewReplacer("NAME", "etl", "INDEX", "1"), says: []string{
		"MESSAGE", "no such table", "two\n", "0 allowed, 0 used", "sequential-operator-controller-manager",
	}},
	"docs/operations.md": {
		names: strings.NewReplacer("registry.example.com/", "", "newTag: v1", "newTag: latest"),
		says:  []string{"customresourcedefinition.apiextensions.k8s.io/sequentialjobs.batch.example.com"},
	},
	"docs/usage.md": {
		before: func(c *cluster) {
			sj := shellSteps("etl", corev1.PodTemplateSpec{}, "echo one", "echo two")
			sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "step-1", Suspend: new(false)}}
			c.Create(sj)
			c.mustComplete("etl")
		},
		says: []string{"Completed", "All 2 steps completed successfully", "two\n", "condition met"},
	},
	"docs/from-job.md": {
		before: func(c *cluster) {
			c.Create(shellSteps("x", corev1.PodTemplateSpec{}, "echo one"))
			c.mustComplete("x")
		},
		says: []string{"/step-0] one\n"},
	},
	"docs/monitoring.md": {
		before: func(c *cluster) {
			left := func() {
				c.tryKubectl("", "delete", "--ignore-not-found", "clusterrolebinding/metrics-of-sequentialjob", "clusterrolebinding/sequential-operator-metrics-reader")
				c.tryKubectl("", "delete", "--ignore-not-found", "--namespace="+systemNamespace, "serviceaccount/metrics-reader")
			}
			left() // by a run that failed
			c.T.Cleanup(left)
		},
		says: []string{"sequentialjob_sequences"},
	},
}

// Every command of the documentation is run, but for those above which a comment says what else runs them.
func TestTheCommandsOfTheDocsWork(t *testing.T) {
	for _, page := range framework.Pages(t) {
		if page == "docs/cli.md" {
			continue // TestTheExamplesOfThePluginWork runs these
		}
		var blocks []framework.Block
		for _, block := range framework.Blocks(t, page) {
			if block.RunBy == "" && block.CoveredBy == "" {
				blocks = append(blocks, block)
			}
		}
		if len(blocks) > 0 {
			t.Run(page, func(t *testing.T) {
				if page != "docs/operations.md" { // that one deploys the controller
					t.Parallel()
				}
				runDocs(newCluster(t), docsCases[page], blocks)
			})
		}
	}
	for page := range docsCases {
		if len(framework.Blocks(t, page)) == 0 {
			t.Errorf("%s has no commands", page)
		}
	}
}

// What the table beside the commands promises of sequences that were stored at different moments.
func TestTheCommandsOfTheDocsRestoreABackup(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	run := c.shell()
	completedEtl(c)
	c.createSteps("failed", "exit 2")
	c.mustFail("failed")
	c.createSteps("waits", "echo transform", func(sj *v1alpha1.SequentialJob) { sj.Spec.Suspend = new(true) })
	c.WaitForPhase("waits", v1alpha1.SequentialJobSuspended)
	c.createSteps("runs", "trap 'exit 1' TERM; sleep 600 & wait")
	c.WaitForRunning("runs", 1)
	for i, block := range framework.BlocksRunBy(t, "TestTheCommandsOfTheDocsRestoreABackup") {
		if i == 1 {
			c.kubectl("", "delete", "sequentialjobs", "--all")
		}
		// Those of other tests are left alone.
		if out, err := run(strings.ReplaceAll(block.Commands, " -A", "")); err != nil {
			t.Fatalf("%s: %v\n%s", block.Commands, err, out)
		}
	}
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.mustFail("failed")
	c.mustFail("runs")
	if sj := c.Get("runs"); sj.Status.Progress.FailureReason != v1alpha1.ReasonJobDeleted {
		t.Errorf("progress %+v", sj.Status.Progress)
	}
	c.WaitForPhase("waits", v1alpha1.SequentialJobSuspended)
	if jobs := c.kubectl("", "get", "jobs", "-o", "name"); jobs != "" && !strings.Contains(jobs, "No resources") {
		t.Errorf("Jobs were created: %s", jobs)
	}
}

// The most common mistake is corrected while the step runs, and no step runs again.
func TestAWrongImageIsCorrectedByTheCommandsOfTheDocs(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	run := c.shell()
	c.createSteps("etl", "true", func(sj *v1alpha1.SequentialJob) { sj.Spec.Containers[1].Image = "registry.invalid/typo:v1" })
	c.WaitForRunning("etl", 1)
	names := strings.NewReplacer("NAME", "etl", "INDEX", "1")
	for _, block := range framework.BlocksRunBy(t, "TestAWrongImageIsCorrectedByTheCommandsOfTheDocs") {
		if out, err := run(fitDocs.Replace(names.Replace(block.Commands))); err != nil {
			t.Fatalf("%s: %v\n%s", block.Commands, err, out)
		}
	}
	c.mustComplete("etl")
	c.mustHaveJobs(3) // and the one that was deleted
}

func runDocs(c *cluster, docs docsCase, blocks []framework.Block) {
	c.T.Helper()
	if docs.before != nil {
		docs.before(c)
	}
	run := c.shell()
	var said strings.Builder
	for _, block := range blocks {
		commands := fitDocs.Replace(block.Commands)
		if docs.names != nil {
			commands = docs.names.Replace(commands)
		}
		out, err := run(commands)
		if err != nil {
			c.T.Fatalf("%s:%d: %s: %v\n%s", block.Page, block.Line, commands, err, out)
		}
		said.WriteString(out)
	}
	for _, want := range docs.says {
		if !strings.Contains(said.String(), want) {
			c.T.Errorf("nothing said %q:\n%s", want, said.String())
		}
	}
}

func TestTheSequencesOfTheDocsRunToTheirEnd(t *testing.T) {
	for _, page := range []string{"docs/usage.md", "docs/from-job.md"} {
		found := 0
		for _, block := range yamlBlock.FindAllStringSubmatch(fitDocs.Replace(readPage(t, page)), -1) {
			if !sequentialJobName.MatchString(block[1]) {
				continue
			}
			found++
			c := newCluster(t)
			c.providePipelineData()
			c.runExample(block[1])
		}
		if found == 0 {
			t.Errorf("no example in %s", page)
		}
	}
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(framework.Root, name))
	framework.Must(t, err)
	return string(content)
}
