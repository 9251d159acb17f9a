// Package tool is what the data tools share: how they start, fail and write files.
package tool

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Exit codes. A podFailurePolicy can tell input that will never become good from trouble that a retry may cure.
const (
	exitFailure  = 1
	exitBadInput = 2
)

// terminationLog is where Kubernetes looks for the reason why a container ended.
const terminationLog = "/dev/termination-log"

// InputError is a fault of the input or of the command line: trying again will not help.
type InputError struct{ reason string }

func (e InputError) Error() string { return e.reason }

// BadInput returns an InputError. Its text is the one line that a user gets to see.
func BadInput(format string, args ...any) error {
	return InputError{reason: fmt.Sprintf(format, args...)}
}

// Main parses the required flags, which are all texts, hands their values to run, and ends the process.
func Main(run func(values map[string]string) error, flags ...string) {
	os.Exit(runMain(run, os.Args, flags, terminationLog))
}

func runMain(run func(map[string]string) error, args, flags []string, log string) int {
	values, err := parse(args[1:], flags)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Printf("usage: %s --%s=VALUE\n", filepath.Base(args[0]), strings.Join(flags, "=VALUE --"))
		return 0
	}
	if err == nil {
		err = run(values)
	}
	if err == nil {
		return 0
	}
	return report(err, filepath.Base(args[0]), log)
}

func parse(args, flags []string) (map[string]string, error) {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(&bytes.Buffer{})
	set.Usage = func() {}
	pointers := map[string]*string{}
	for _, name := range flags {
		pointers[name] = set.String(name, "", "required")
	}
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, BadInput("%v", err)
	}
	if set.NArg() > 0 {
		return nil, BadInput("unexpected argument %q", set.Arg(0))
	}
	values := map[string]string{}
	for _, name := range flags {
		if *pointers[name] == "" {
			return nil, BadInput("--%s is required", name)
		}
		values[name] = *pointers[name]
	}
	return values, nil
}

// report tells the reason in one line to whoever reads the log and to Kubernetes, and returns the exit code.
func report(err error, program, log string) int {
	reason := strings.Join(strings.Fields(err.Error()), " ")
	fmt.Fprintf(os.Stderr, "%s: %s\n", program, reason)
	// Without O_CREATE: outside a container there is no such file, and nobody wants one.
	if file, openErr := os.OpenFile(log, os.O_WRONLY|os.O_TRUNC, 0); openErr == nil {
		if _, err := file.WriteString(reason); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		}
		file.Close()
	}
	if _, bad := errors.AsType[InputError](err); bad {
		return exitBadInput
	}
	return exitFailure
}

// WriteFile writes a file that is either there with its whole content or not there at all, and makes its directory.
// A step may be killed at any time, and the next one must not read half of a file.
func WriteFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o775); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".partial-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // Nothing is left of it once it was renamed.
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(0o664), file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// WriteCSV writes records, the header first, as WriteFile does.
func WriteCSV(path string, records [][]string) error {
	var content bytes.Buffer
	if err := csv.NewWriter(&content).WriteAll(records); err != nil {
		return err
	}
	return WriteFile(path, content.Bytes())
}
