//go:build e2e

package e2e_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl"
)

// createSteps creates a sequence with the steps extract, transform and load, the second of which does something.
func (c *cluster) createSteps(name, transform string, changes ...func(*v1alpha1.SequentialJob)) {
	c.T.Helper()
	sj := shellSteps(name, corev1.PodTemplateSpec{}, "echo extract", transform, "echo load")
	for i, step := range []string{"extract", "transform", "load"} {
		sj.Spec.Containers[i].Name = step
	}
	for _, change := range changes {
		change(sj)
	}
	c.Create(sj)
}

func runningEtl(c *cluster) { c.createSteps("etl", "sleep 2; echo transform") }

func endlessEtl(c *cluster) {
	c.createSteps("etl", "trap 'exit 1' TERM; sleep 600 & wait")
	c.WaitForRunning("etl", 1)
}

func failedEtl(c *cluster) {
	c.createSteps("etl", "echo transform; exit 2")
	c.mustFail("etl")
}

func completedEtl(c *cluster) {
	runningEtl(c)
	c.mustComplete("etl")
}

func suspendedEtl(c *cluster) {
	c.createSteps("etl", "echo transform", func(sj *v1alpha1.SequentialJob) { sj.Spec.Suspend = new(true) })
	c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
}

func etlThatNeedsApproval(c *cluster) {
	c.createSteps("etl", "echo transform", func(sj *v1alpha1.SequentialJob) {
		sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "load", Suspend: new(true)}}
	})
	c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
}

// example is what a command of the plugin's help needs, and does.
type example struct {
	before func(*cluster)
	// files are commands that make the files which it reads.
	files string
	code  int
	says  string
}

const (
	createEtl = "kubectl sj create etl --image=busybox --step='extract=echo extract' --step='load=echo load'"
	etlYAML   = "kubectl sj create etl --image=busybox --step='extract=echo extract' --dry-run=client -o yaml >etl.yaml"
)

// examples have an entry for each command of the help.
var examples = map[string]example{
	"kubectl sj cancel etl":       {before: endlessEtl, code: kubectl.ExitError, says: "--yes"},
	"kubectl sj cancel etl --yes": {before: endlessEtl, says: "etl is cancelled"},
	"kubectl sj completion kubectl >~/.local/bin/kubectl_complete-sj && chmod +x ~/.local/bin/kubectl_complete-sj": {},
	"source <(kubectl sj completion bash)":  {},
	createEtl:                               {says: "etl created"},
	createEtl + " -f":                       {says: "load"},
	etlYAML:                                 {},
	"kubectl sj create etl-2 --from=sj/etl": {before: completedEtl, says: "etl-2 created"},
	"kubectl sj create etl-2 --from=sj/etl --from-step=load":       {before: completedEtl, says: "etl-2 created"},
	"kubectl sj lint -f etl.yaml":                                  {files: etlYAML},
	"kubectl sj lint -R -f manifests/":                             {files: "rm -r manifests; mkdir -p manifests/a; " + etlYAML + "; mv etl.yaml manifests/a"},
	"kubectl kustomize overlays/production | kubectl sj lint -f -": {files: "mkdir -p overlays/production; " + etlYAML + "; mv etl.yaml overlays/production; echo 'resources: [etl.yaml]' >overlays/production/kustomization.yaml"},
	"kubectl sj logs etl":                                          {before: completedEtl, says: "[transform] transform\n"},
	"kubectl sj logs etl -f":                                       {before: runningEtl, says: "[load] load\n"},
	"kubectl sj logs etl --failed":                                 {before: failedEtl, says: "transform\n"},
	"kubectl sj logs etl --step=transform --tail=20 --timestamps":  {before: completedEtl, says: "Z transform\n"},
	"kubectl sj resume etl":                                        {before: suspendedEtl, says: "etl is resumed"},
	"kubectl sj resume etl --step=load":                            {before: etlThatNeedsApproval, says: "load"},
	"kubectl sj retry etl":                                         {before: failedEtl, says: "transform"},
	"kubectl sj retry etl -f":                                      {before: failedEtl, code: kubectl.ExitFailed, says: "etl failed"},
	"kubectl sj status":                                            {before: runningEtl, says: "etl"},
	"kubectl sj status etl --watch":                                {before: runningEtl, says: "Completed"},
	"kubectl sj status --all-namespaces":                           {before: runningEtl, says: "etl"},
	"kubectl sj suspend etl":                                       {before: endlessEtl, says: "etl is suspended"},
	"kubectl sj version":                                           {says: "ontroller"},
	"kubectl sj version --client":                                  {says: "v"},
	"kubectl sj version -o json":                                   {says: "{"},
	"kubectl sj wait etl && echo done":                             {before: runningEtl, says: "done\n"},
	"kubectl sj wait etl report --timeout=1h": {before: func(c *cluster) {
		runningEtl(c)
		c.createSteps("report", "echo transform")
	}, says: "report"},
}

// The examples of the help, which docs/cli.md repeats, do what they say. A new one needs an entry above.
func TestTheExamplesOfThePluginWork(t *testing.T) {
	seen := map[string]bool{}
	for _, block := range framework.Blocks(t, "docs/cli.md") {
		for _, command := range commandsOf(block) {
			if seen[command] {
				continue
			}
			seen[command] = true
			t.Run(command, func(t *testing.T) {
				t.Parallel()
				tc, isKnown := examples[command]
				if !isKnown {
					t.Fatal("nothing is known of this example")
				}
				newCluster(t).runExampleOfThePlugin(command, tc)
			})
		}
	}
	for command := range examples {
		if !seen[command] {
			t.Errorf("%s is no example any more", command)
		}
	}
}

// commandsOf returns the commands of a block that has a comment above each.
func commandsOf(block framework.Block) []string {
	var commands []string
	for line := range strings.Lines(block.Commands) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			commands = append(commands, line)
		}
	}
	return commands
}

func (c *cluster) runExampleOfThePlugin(command string, tc example) {
	c.T.Helper()
	run := c.shell()
	if tc.before != nil {
		tc.before(c)
	}
	if out, err := run(fitDocs.Replace(tc.files)); err != nil {
		c.T.Fatalf("%s: %v: %s", tc.files, err, out)
	}
	out, err := run(fitDocs.Replace(command))
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if code != tc.code || !strings.Contains(out, tc.says) {
		c.T.Errorf("exit code %d, want %d, and %q in\n%s", code, tc.code, tc.says, out)
	}
}
