package kubectl

import (
	"context"
	"fmt"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// hasEnded says whether a sequence has ended, and no edit since then may make it go on.
func hasEnded(sj *v1alpha1.SequentialJob) bool {
	isSeen := sj.Status.ObservedGeneration >= sj.Generation
	return sj.Status.Phase == v1alpha1.SequentialJobCompleted || sj.Status.Phase == v1alpha1.SequentialJobFailed && isSeen
}

// awaitEnd waits until a sequence has ended, and returns it as it is then.
func (t *Tool) awaitEnd(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob) (*v1alpha1.SequentialJob, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	o, err := t.observe(ctx, c, sj, false)
	if err != nil {
		return sj, err
	}
	for {
		s, err := o.Snapshot()
		switch {
		case err != nil:
			return s.SequentialJob, err
		case hasEnded(s.SequentialJob):
			return s.SequentialJob, nil
		case s.Gone:
			return s.SequentialJob, goneError(sj)
		}
		select {
		case <-ctx.Done():
			return s.SequentialJob, context.Cause(ctx)
		case <-o.Changed:
		}
	}
}

// tellEnd says on the standard error how a sequence ended, why, and what to do next.
func (t *Tool) tellEnd(sj *v1alpha1.SequentialJob) {
	fmt.Fprintln(t.ErrOut, ending(sj))
	t.tellAdvice(sj)
}

// tellAdvice says on the standard error what can be done next about a sequence.
func (t *Tool) tellAdvice(sj *v1alpha1.SequentialJob) {
	advice := sequence.Advise(sj)
	if advice.Text != "" {
		fmt.Fprintln(t.ErrOut, advice.Text)
	}
	for _, command := range t.commands().For(sj, advice) {
		fmt.Fprintln(t.ErrOut, "  "+command)
	}
}

// ending says how a sequence ended, in one line.
func ending(sj *v1alpha1.SequentialJob) string {
	cause := sequence.RootCause(sj)
	if p := sj.Status.Progress; p != nil && p.FailureReason == v1alpha1.ReasonCancelled {
		return fmt.Sprintf("%s: %s", sj.Name, cause)
	}
	if cause != "" {
		return fmt.Sprintf("%s failed: %s", sj.Name, cause)
	}
	return sj.Name + " completed"
}

// goneError is for a sequence that was deleted while it was waited for.
func goneError(sj *v1alpha1.SequentialJob) error {
	return exitError{code: ExitError, err: fmt.Errorf("%s %w", sj.Name, errGone)}
}
