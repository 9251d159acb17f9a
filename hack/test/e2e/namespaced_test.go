//go:build e2e

package e2e_test

import (
	"strings"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// namespacedCommands returns what runs the commands of docs/operations.md for the namespace of the test: those that install a
// controller for it, and those that remove that one.
func (c *cluster) namespacedCommands() (install, remove func()) {
	c.T.Helper()
	blocks := framework.BlocksRunBy(c.T, "TestNamespacedControllersStandSideBySide")
	if len(blocks) != 2 {
		c.T.Fatalf("%d blocks of commands, want one that installs and one that removes: %+v", len(blocks), blocks)
	}
	shell := c.shell()
	names := strings.NewReplacer("my-team", c.Namespace, "registry.example.com/", "", "newTag: v1", "newTag: latest")
	run := func(block framework.Block) {
		c.T.Helper()
		if out, err := shell(names.Replace(block.Commands)); err != nil {
			c.T.Errorf("%s: %v\n%s", block.Commands, err, out)
		}
	}
	return func() { run(blocks[0]) }, func() { run(blocks[1]) }
}
