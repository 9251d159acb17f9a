package kubectl

import (
	"context"
	"errors"
	"fmt"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Exit codes.
const (
	// ExitFailed is for a sequence that failed or was cancelled, and for a spec that is refused.
	ExitFailed = 1
	// ExitError is for wrong usage, and for an answer of the API server that leaves it open how the sequence ended.
	ExitError = 2
	// ExitTimeout is for a sequence that has not ended in time, as timeout(1) has it.
	ExitTimeout = 124
	// ExitInterrupted is for Ctrl-C.
	ExitInterrupted = 130
)

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error // nil if everything has been said
}

func (e exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// exitWith returns an error that ends the command with a code, and prints nothing.
func exitWith(code int) error { return exitError{code: code} }

var errGone = errors.New("was deleted before it ended")

// usageError is about what was typed.
func usageError(format string, args ...any) error {
	return exitError{code: ExitError, err: fmt.Errorf(format, args...)} //nolint:err113 // the text is all that there is
}

// ExitCode returns the exit code for what a command returned.
func ExitCode(err error) int {
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitError
}

// outcome is what a command that waited for the end of a sequence returns: nil if it is complete.
func outcome(sj *v1alpha1.SequentialJob) error {
	if sequence.Finished(&sj.Status) && sj.Status.Phase == v1alpha1.SequentialJobFailed {
		return exitWith(ExitFailed)
	}
	return nil
}
