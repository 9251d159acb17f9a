package hack_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fakeGo is a go command that downloads something, prints its arguments and fails.
const fakeGo = `#!/bin/sh
echo "go: downloading example.com/a v1.0.0" >&2
echo "go: downloading example.com/b v1.0.0" >&2
echo "an error" >&2
echo "output: $*"
exit 3
`

func TestGoPassesOnEverythingButDownloads(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "go"), []byte(fakeGo), 0o700); err != nil { //nolint:gosec // it has to be executable
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ script, errors string }{
		"as a command": {"./go.sh build 'a b'", "  downloading Go modules ...\nan error\n"},
		"as a library": {"set -euo pipefail; source ./go.sh; go build 'a b'", "an error\n"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "bash", "-c", tc.script)
			cmd.Env = append(os.Environ(), "PATH="+folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
			var out, errOut strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errOut
			var exit *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
				t.Errorf("ended with %v, want exit code 3", err)
			}
			if out.String() != "output: build a b\n" || errOut.String() != tc.errors {
				t.Errorf("output %q, errors %q", out.String(), errOut.String())
			}
		})
	}
}

// What is announced, and each error, is seen while the command still runs: this one ends only once both have been read.
func TestGoPassesOnErrorsAtOnce(t *testing.T) {
	folder := t.TempDir()
	const waitingGo = "#!/bin/sh\necho 'go: downloading example.com/a v1.0.0' >&2\necho 'an error' >&2\nread -r word\n"
	if err := os.WriteFile(filepath.Join(folder, "go"), []byte(waitingGo), 0o700); err != nil { //nolint:gosec // it has to be executable
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "./go.sh", "build")
	cmd.Env = append(os.Environ(), "PATH="+folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	errOut, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(errOut)
	for _, want := range []string{"  downloading Go modules ...", "an error"} {
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("got %q, want %q", lines.Text(), want)
		}
	}
	if _, err := io.WriteString(in, "end\n"); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// usesGo finds what downloads modules. What is not downloaded by go itself, such as by a pinned tool, is not seen.
var usesGo = regexp.MustCompile(`(?m)^[^#\n]*(?:^|[\s(;&])go (?:-C \S+ )?(?:build|run|test|vet|install|mod) `)

func TestEveryScriptThatBuildsHidesDownloads(t *testing.T) {
	scripts, err := filepath.Glob("*/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Glob("*.sh")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, script := range append(scripts, top...) {
		raw, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if !usesGo.Match(raw) || script == "go.sh" || script == filepath.Join("cluster", "node.sh") { // a part of cluster.sh
			continue
		}
		seen++
		if !strings.Contains(string(raw), `go.sh"`+"\n") {
			t.Errorf("hack/%s runs go, and does not source hack/go.sh", script)
		}
	}
	if seen < 5 {
		t.Errorf("only %d scripts that run go were found", seen)
	}
}
