package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var errTimeout = errors.New("timed out")

func newWaitCommand(t *Tool) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait NAME...",
		Short: "Wait until SequentialJobs have ended, and tell how by the exit code",
		Long: strings.TrimSpace(`
Wait until SequentialJobs have ended, by success or by failure. Each that ends is printed in a line.

The exit code is the first of these that is true:
  2    it is not known how one of them ends: wrong usage, an error of the API server, or one was deleted before it ended
  124  the timeout is over, and one of them has not ended
  1    one of them has failed or was cancelled
  0    all are complete`),
		Example: indent(t, `
# Continue in a script only after success
%[1]s wait etl && echo done

# Wait for two of them, an hour at most
%[1]s wait etl report --timeout=1h`),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("wait needs the NAME of at least one SequentialJob; see `%s --help`", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := sequenceNames(args)
			switch {
			case err != nil:
				return err
			case timeout < 0:
				return usageError("--timeout must not be negative; 0 means no limit")
			}
			c, err := t.Clients()
			if err != nil {
				return err
			}
			return t.wait(cmd.Context(), c, names, timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "How long to wait, such as 90s or 1h. 0 means no limit.")
	return cmd
}

// sequenceNames returns the names that arguments mean, each once.
func sequenceNames(args []string) ([]string, error) {
	var names []string
	for _, arg := range args {
		name, err := sequenceName(arg)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// wait waits for all sequences at once.
func (t *Tool) wait(ctx context.Context, c Clients, names []string, timeout time.Duration) error {
	if timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, timeout, errTimeout)
		defer stop()
	}
	// What is not there ends it at once: that is a slip, and nothing to wait for.
	sequences := make([]*v1alpha1.SequentialJob, len(names))
	for i, name := range names {
		sj, err := t.find(ctx, c, name)
		switch {
		case err != nil && errors.Is(context.Cause(ctx), errTimeout):
			return exitError{code: ExitTimeout, err: fmt.Errorf("%w after %s: the API server does not answer", errTimeout, timeout)}
		case err != nil:
			return err
		}
		sequences[i] = sj
	}
	// Several sequences are watched at once, and each tells if the API server is gone.
	shared := *t
	shared.ErrOut = &sharedWriter{out: t.ErrOut}
	outcomes := make([]error, len(sequences))
	var all sync.WaitGroup
	var printing sync.Mutex
	for i, sj := range sequences {
		all.Go(func() {
			ended, err := shared.awaitEnd(ctx, c, sj)
			printing.Lock()
			defer printing.Unlock()
			outcomes[i] = shared.reportWait(ended, err, timeout)
		})
	}
	all.Wait()
	return worst(outcomes)
}

// reportWait says how one sequence ended, or where it stands, and returns what that means for the exit code.
func (t *Tool) reportWait(sj *v1alpha1.SequentialJob, err error, timeout time.Duration) error {
	switch {
	case err == nil:
		fmt.Fprintln(t.Out, ending(sj))
		t.tellAdvice(sj)
		return outcome(sj)
	case errors.Is(err, errTimeout):
		fmt.Fprintf(t.ErrOut, "%s has not ended after %s: %s\n", sj.Name, timeout, standing(sj, time.Now()))
		return exitWith(ExitTimeout)
	case errors.Is(err, context.Canceled):
		return err
	}
	fmt.Fprintf(t.ErrOut, "error: %v\n", err)
	return exitWith(ExitError)
}

// standing says in one line where a sequence stands that has not ended.
func standing(sj *v1alpha1.SequentialJob, now time.Time) string {
	running := runningStep(sj)
	complete := ""
	if p := sj.Status.Progress; p != nil {
		complete = ", " + p.Completions + " complete"
	}
	switch cause := sequence.RootCause(sj); {
	case cause != "":
		return cause
	case running != nil:
		return fmt.Sprintf("%s (%s)%s", stepTitle(&sj.Spec, running.Name), runningFor(running, now), complete)
	case !sequence.Seen(&sj.Status):
		return "no controller has seen it yet"
	}
	return strings.ToLower(string(sj.Status.Phase)) + complete
}

// worst returns the error that counts most: what leaves an end open counts more than a failure.
func worst(outcomes []error) error {
	var result error
	for _, rank := range []int{ExitFailed, ExitTimeout, ExitError, ExitInterrupted} {
		for _, err := range outcomes {
			if err != nil && ExitCode(err) == rank {
				result = err
				break
			}
		}
	}
	return result
}

// sharedWriter lets several write to one place, each line once in a row.
type sharedWriter struct {
	mutex sync.Mutex
	out   io.Writer
	last  string
}

func (w *sharedWriter) Write(text []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if string(text) == w.last {
		return len(text), nil
	}
	w.last = string(text)
	return w.out.Write(text)
}
