package tool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestRunMain(t *testing.T) {
	tests := map[string]struct {
		args     []string
		err      error
		wantCode int
		wantLog  string
	}{
		"success leaves the termination log alone": {args: []string{"--source=a"}},
		"help is not an error":                     {args: []string{"--help"}},
		"bad input":                                {args: []string{"--source=a"}, err: BadInput("no file in %s", "a"), wantCode: 2, wantLog: "no file in a"},
		"wrapped bad input":                        {args: []string{"--source=a"}, err: errors.Join(BadInput("one"), errors.New("two")), wantCode: 2, wantLog: "one two"},
		"any other error":                          {args: []string{"--source=a"}, err: errors.New("disk full"), wantCode: 1, wantLog: "disk full"},
		"missing flag":                             {wantCode: 2, wantLog: "--source is required"},
		"unknown flag":                             {args: []string{"--sauce=a"}, wantCode: 2, wantLog: "flag provided but not defined: -sauce"},
		"stray argument":                           {args: []string{"--source=a", "b"}, wantCode: 2, wantLog: `unexpected argument "b"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "termination-log")
			if err := os.WriteFile(log, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			run := func(values map[string]string) error {
				if values["source"] != "a" {
					t.Errorf("source = %q, want a", values["source"])
				}
				return test.err
			}
			code := runMain(run, append([]string{"/bin/extract"}, test.args...), []string{"source"}, log)
			if code != test.wantCode {
				t.Errorf("exit code %d, want %d", code, test.wantCode)
			}
			got, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.wantLog {
				t.Errorf("termination message %q, want %q", got, test.wantLog)
			}
		})
	}
}

func TestNoTerminationLogIsMadeOutsideOfAContainer(t *testing.T) {
	log := filepath.Join(t.TempDir(), "termination-log")
	if code := report(errors.New("oops"), "extract", log); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if _, err := os.Stat(log); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat %s: %v, want that it does not exist", log, err)
	}
}

func TestWriteFileReplacesAndLeavesNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "file")
	for _, want := range []string{"first, which is longer", "second"} {
		if err := WriteFile(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("content %q, %v, want %q", got, err, want)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files in the directory, %v, want 1", len(entries), err)
	}
}
