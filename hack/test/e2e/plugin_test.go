//go:build e2e

package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// builtPlugin is the plugin, built once, under the name by which kubectl finds it as `kubectl sj`.
var builtPlugin = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "plugin-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kubectl-sj")
	build := exec.Command("go", "build", "-o", path, "./cmd/kubectl-sequentialjob")
	build.Dir = framework.Root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the plugin: %w: %s", err, out)
	}
	return path, nil
})

// said is what a command of the plugin wrote, and its exit code.
type said struct {
	out, err string
	code     int
}

// plugin returns a command of the plugin that works in the test's namespace.
func (c *cluster) plugin(args ...string) *exec.Cmd {
	c.T.Helper()
	path, err := builtPlugin()
	framework.Must(c.T, err)
	return exec.CommandContext(c.T.Context(), path, append([]string{"--namespace", c.Namespace}, args...)...)
}

// sj runs a command of the plugin to its end.
func (c *cluster) sj(args ...string) said {
	c.T.Helper()
	return runPlugin(c.T, c.plugin(args...))
}

func runPlugin(t *testing.T, cmd *exec.Cmd) said {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return said{out: out.String(), err: errOut.String(), code: cmd.ProcessState.ExitCode()}
}
