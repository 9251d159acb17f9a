//go:build e2e

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// namespacedCommands returns what runs the commands that manifests/namespaced/kustomization.yaml tells, for the namespace of the
// test and in a copy of the manifests: those that install a controller, and those that remove it.
func (c *cluster) namespacedCommands() (install, remove func()) {
	c.T.Helper()
	dir := c.T.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "manifests"), os.DirFS(filepath.Join(framework.Root, "manifests"))); err != nil {
		c.T.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "manifests/namespaced/kustomization.yaml"))
	if err != nil {
		c.T.Fatal(err)
	}
	var blocks []string
	for paragraph := range strings.SplitSeq(string(content), "\n#\n") {
		if commands, isBlock := strings.CutPrefix(paragraph, "#   "); isBlock {
			commands, _, _ = strings.Cut(commands, "\napiVersion")
			blocks = append(blocks, strings.ReplaceAll(commands, "\n#   ", "\n"))
		}
	}
	if len(blocks) != 2 {
		c.T.Fatalf("%d blocks of commands, want one that installs and one that removes: %q", len(blocks), blocks)
	}
	run := func(commands string) {
		c.T.Helper()
		commands = strings.NewReplacer("my-team", c.Namespace, "my-registry/sequential-job-operator", "sequential-job-operator",
			"newTag: v1", "newTag: latest").Replace(commands)
		bash := exec.Command("bash", "-euo", "pipefail", "-c", commands)
		bash.Dir = dir
		bash.Env = append(os.Environ(), "PATH="+filepath.Dir(os.Getenv("KUBECTL"))+":"+os.Getenv("PATH"))
		if out, err := bash.CombinedOutput(); err != nil {
			c.T.Errorf("%s: %v\n%s", commands, err, out)
		}
	}
	return func() { run(blocks[0]) }, func() { run(blocks[1]) }
}
