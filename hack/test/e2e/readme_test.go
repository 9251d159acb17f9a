//go:build e2e

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

var (
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	bashBlock = regexp.MustCompile("(?s)```bash\n(.*?)```")
)

// readPage returns a page of the docs. The image that anybody can pull is replaced by the one that the test's cluster has.
func readPage(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(framework.Root, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(content), "busybox:1.36", "data-tools/shell:v1")
}

// shell returns what runs commands as a user types them, with a kubectl whose current namespace is that of the test.
func (c *cluster) shell() func(commands string) (string, error) {
	c.T.Helper()
	bin := c.T.TempDir()
	kubectl, err := exec.LookPath(os.Getenv("KUBECTL"))
	if err != nil {
		c.T.Fatal(err)
	}
	script := "#!/bin/sh\nexec " + kubectl + " --kubeconfig " + filepath.Join(bin, "kubeconfig") + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		c.T.Fatal(err)
	}
	config := c.kubectl("", "config", "view", "--raw")
	if err := os.WriteFile(filepath.Join(bin, "kubeconfig"), []byte(config), 0o600); err != nil {
		c.T.Fatal(err)
	}
	run := func(commands string) (string, error) {
		bash := exec.Command("bash", "-euo", "pipefail", "-c", commands)
		bash.Dir = bin
		bash.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := bash.CombinedOutput()
		return string(out), err
	}
	if out, err := run("kubectl config set-context --current --namespace=" + c.Namespace); err != nil {
		c.T.Fatalf("%v: %s", err, out)
	}
	return run
}

func TestTheSequencesOfTheDocsRunToTheirEnd(t *testing.T) {
	for _, page := range []string{"docs/usage.md", "docs/from-job.md"} {
		found := 0
		for _, block := range yamlBlock.FindAllStringSubmatch(readPage(t, page), -1) {
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

// The sequence that a newcomer begins with fails, says why, is fixed and completes, by the commands of the README.
func TestTheFirstSequenceOfTheReadmeFailsAndIsFixed(t *testing.T) {
	c := newCluster(t)
	run := c.shell()
	_, section, found := strings.Cut(readPage(t, "README.md"), "## A first sequence\n")
	if !found {
		t.Fatal("README.md has no first sequence")
	}
	var said strings.Builder
	for _, block := range bashBlock.FindAllStringSubmatch(section, -1) {
		out, err := run(block[1])
		if err != nil {
			t.Fatalf("%s: %v\n%s", block[1], err, out)
		}
		said.WriteString(out)
	}
	for _, want := range []string{
		`container "count" exited with code 2: grep: /proc/cpuinf: No such file or directory`, "/report] reporting\n",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nothing said %q:\n%s", want, said.String())
		}
	}
}
