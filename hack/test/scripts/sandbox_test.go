// Package scripts_test checks Makefile and scripts of hack/ in copies of their own, with programs that stand for what they call.
package scripts_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// sandbox is a folder with a copy of some files of the project.
type sandbox struct {
	t   *testing.T
	dir string
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	return &sandbox{t: t, dir: t.TempDir()}
}

func (s *sandbox) path(name string) string { return filepath.Join(s.dir, name) }

// provide copies files of the project.
func (s *sandbox) provide(names ...string) {
	s.t.Helper()
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(framework.Root, name))
		if err != nil {
			s.t.Fatal(err)
		}
		s.write(name, string(content))
	}
}

// program provides a program in bin/, which is the first folder on the PATH.
func (s *sandbox) program(name, script string) {
	s.t.Helper()
	s.write(filepath.Join("bin", name), script)
}

func (s *sandbox) write(name, content string) {
	s.t.Helper()
	path := s.path(name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o700)); err != nil { //nolint:gosec // programs
		s.t.Fatal(err)
	}
}

// content returns what a file has; nothing if there is none.
func (s *sandbox) content(name string) string {
	content, err := os.ReadFile(s.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(content)
}

// run runs a program in the folder. The environment of the caller, which may itself be a make, does not matter.
func (s *sandbox) run(environment []string, name string, args ...string) (string, error) {
	s.t.Helper()
	process := exec.CommandContext(s.t.Context(), name, args...)
	process.Dir = s.dir
	process.Env = append([]string{"PATH=" + s.path("bin") + ":" + os.Getenv("PATH"), "HOME=" + s.dir}, environment...)
	out, err := process.CombinedOutput()
	return string(out), err
}
