package framework

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// BuildController returns the controller's binary, which is built once for all tests.
func BuildController(t *testing.T) string {
	t.Helper()
	name, err := controllerBinary()
	Must(t, err)
	return name
}

// controllerDir is where the binary is, once a test has asked for it. It is removed after the last test.
var controllerDir string

var controllerBinary = sync.OnceValues(func() (name string, err error) {
	if controllerDir, err = os.MkdirTemp("", "controller-"); err != nil {
		return "", err
	}
	name = filepath.Join(controllerDir, "sequentialjob-controller")
	build := exec.Command("go", "build", "-race", "-o", name, "./cmd/sequentialjob-controller")
	build.Dir = Root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return name, nil
})
