package kubectl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

// tellAfter is how long it is waited before it is told why. Most that is waited for comes sooner.
const tellAfter = 2 * time.Second

var errIncomplete = errors.New("not all logs could be read, see above")

// logReader shows the logs of one sequence.
type logReader struct {
	tool    *Tool
	source  logSource
	options logOptions
	walk    *follow.Walk
	only    follow.Options
	screen  *logScreen
	// existing are the pods that were there at the beginning.
	existing map[types.UID]bool
	began    time.Time
	filters  map[string]*follow.Filter
	// told is the kind of the reason that was told last.
	told string
	// stallAfter is how long a stream may be silent that has everything to bring already.
	stallAfter time.Duration
	// isIncomplete says that a log was given up.
	isIncomplete bool
}

// showLogs shows the logs of a sequence, until its end if they are followed.
func (t *Tool) showLogs(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob, o logOptions) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	only := o.walkOptions()
	if o.failed {
		failed := failedJob(sj)
		switch {
		case failed == nil && hasEnded(sj) && outcome(sj) != nil:
			fmt.Fprintln(t.ErrOut, "There is no log of a step that failed:")
			t.tellEnd(sj)
			return nil
		case failed == nil:
			fmt.Fprintf(t.ErrOut, "No step of %s has failed\n", sj.Name)
			return nil
		case failed.JobUID == "":
			fmt.Fprintf(t.ErrOut, "%s has no log: it never started. %s\n", failed.Name, failed.Message)
			return nil
		}
		only.Job = failed.JobUID
	}
	source, err := t.logSourceOf(ctx, c, sj, o.follow)
	if err != nil {
		return err
	}
	return t.newLogReader(source, sj, o, only).run(ctx)
}

func (t *Tool) newLogReader(source logSource, sj *v1alpha1.SequentialJob, o logOptions, only follow.Options) *logReader {
	return &logReader{
		tool: t, source: source, options: o, only: only, walk: follow.NewWalk(only),
		screen: newLogScreen(t, !o.isOneStep(sj), sj), filters: map[string]*follow.Filter{}, began: time.Now(),
		stallAfter: maxSilence,
	}
}

// run shows one log after another.
func (l *logReader) run(ctx context.Context) error {
	s, err := l.start()
	if err != nil {
		return err
	}
	isFresh := !l.options.follow
	for {
		next := l.walk.Next(l.state(s, isFresh))
		for _, note := range next.Notes {
			l.screen.note(note)
		}
		isFresh = !l.options.follow
		switch {
		case next.Open != nil:
			err = l.show(ctx, *next.Open)
		case next.Refresh:
			if s, err = l.refresh(ctx); err != nil {
				return err
			}
			isFresh = true
			continue
		case next.End:
			return l.end(s)
		default:
			err = l.wait(ctx, next.Reason)
		}
		if err == nil {
			s, err = l.source.Snapshot()
		}
		if err != nil {
			return err
		}
	}
}

// start looks at what is there at the beginning.
func (l *logReader) start() (Snapshot, error) {
	s, err := l.source.Snapshot()
	if err != nil {
		return s, err
	}
	if len(s.Missing) > 0 {
		return s, fmt.Errorf("the logs cannot be found: %s", strings.Join(s.Missing, "; "))
	}
	l.existing = map[types.UID]bool{}
	for i := range s.Pods {
		l.existing[s.Pods[i].UID] = true
	}
	if l.options.newOnly {
		l.walk.SkipEnded(l.state(s, true))
	}
	return s, nil
}

func (l *logReader) state(s Snapshot, isFresh bool) *follow.State {
	return &follow.State{
		SequentialJob: s.SequentialJob, Jobs: s.Jobs, Pods: s.Pods, Ended: hasEnded(s.SequentialJob), Gone: s.Gone, Fresh: isFresh,
	}
}

// refresh reads what there is again, however long the API server is away.
func (l *logReader) refresh(ctx context.Context) (Snapshot, error) {
	for {
		s, err := l.source.Fresh(ctx)
		switch {
		case ctx.Err() != nil:
			return s, context.Cause(ctx)
		case err == nil:
			return s, nil
		case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
			return s, l.tool.explain(err, access{verb: "list", resource: resourcePods, namespace: s.SequentialJob.Namespace})
		}
		if err := l.pause(ctx, time.Second); err != nil {
			return s, err
		}
	}
}

// wait waits until something changes, and tells why if that takes its time.
func (l *logReader) wait(ctx context.Context, reason follow.Reason) error {
	var late <-chan time.Time
	if reason.Kind != "" && reason.Kind != l.told {
		timer := time.NewTimer(tellAfter)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.source.Changed():
			return nil
		case <-late:
			l.told, late = reason.Kind, nil
			l.screen.note("Waiting: " + reason.Text)
		}
	}
}

// pause waits until something changes, but not longer than it is told to.
func (l *logReader) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.source.Changed():
	case <-timer.C:
	}
	return nil
}

// end says how the sequence ended, if that was waited for.
func (l *logReader) end(s Snapshot) error {
	l.screen.startLine()
	switch {
	case l.isIncomplete && !l.options.follow:
		return errIncomplete
	case !l.options.follow:
		return nil
	case hasEnded(s.SequentialJob):
		l.tool.tellEnd(s.SequentialJob)
		return outcome(s.SequentialJob)
	case s.Replaced:
		return exitError{code: ExitError, err: fmt.Errorf("%s %w, and created again: the new one is not followed", s.SequentialJob.Name, errGone)}
	}
	return exitError{code: ExitError, err: fmt.Errorf("%s %w", s.SequentialJob.Name, errGone)}
}

// filterOf returns the filter for a container: all its runs have one, because the next may have begun by the time that the log of the
// last is asked for.
func (l *logReader) filterOf(stream follow.Stream) *follow.Filter {
	name := string(stream.Pod) + "/" + stream.Container
	if l.filters[name] == nil {
		l.filters[name] = follow.NewFilter(l.screen.logs, l.screen.prefix(stream.Step), l.options.timestamps)
		l.filters[name].IsExcerpt = l.first(stream) != follow.Request{}
		l.filters[name].OnGap = func() { l.screen.note(stream.GapNote()) }
	}
	return l.filters[name]
}

// first is what the user wants of a log that was there already.
func (l *logReader) first(stream follow.Stream) follow.Request {
	request := follow.Request{}
	if !l.existing[stream.Pod] {
		return request
	}
	if l.options.since > 0 {
		request.SinceSeconds = new(int64((l.options.since + time.Since(l.began)).Round(time.Second) / time.Second))
	}
	if l.options.tail >= 0 {
		request.TailLines = &l.options.tail
	}
	return request
}

// show shows the log of one run of a container.
func (l *logReader) show(ctx context.Context, stream follow.Stream) error {
	l.screen.note(stream.Heading)
	l.told = ""
	filter, session := l.filterOf(stream), follow.NewSession(stream, l.only)
	filter.Restart()
	defer l.walk.Done(stream.Key)
	for {
		s, err := l.source.Snapshot()
		if err != nil {
			return err
		}
		request := session.Request(follow.StandOf(s.Pods, stream.Key), filter.Since(), l.first(stream))
		got, stand, err := l.read(ctx, stream, request, filter)
		if err != nil {
			return err
		}
		verdict := session.Judge(got, stand)
		if verdict.Note != "" {
			l.screen.note(verdict.Note)
		}
		if !verdict.Again {
			l.isIncomplete = l.isIncomplete || session.HasFailed()
			return nil
		}
		if verdict.Delay > 0 {
			if err := l.pause(ctx, verdict.Delay); err != nil {
				return err
			}
		}
	}
}

// read shows what one stream brings, and returns how it ended and where the container stands by then. What the user has to know ends
// everything.
func (l *logReader) read(ctx context.Context, stream follow.Stream, request follow.Request, filter *follow.Filter) (follow.Outcome, follow.Stand, error) {
	broke, fatal := l.copy(ctx, stream, request, filter)
	got := follow.Outcome{Received: filter.End(), Failure: plainly(broke)}
	switch {
	case fatal != nil:
		return got, follow.Gone, fatal
	case ctx.Err() != nil:
		return got, follow.Gone, context.Cause(ctx)
	case isPodGone(broke):
		return got, follow.Gone, nil
	case apierrors.IsForbidden(broke), apierrors.IsUnauthorized(broke):
		return got, follow.Gone, l.tool.explain(broke, access{verb: "get", resource: resourceLogs, namespace: stream.Namespace})
	}
	got.Waits = isPodWaiting(broke)
	s, err := l.source.Snapshot()
	return got, follow.StandOf(s.Pods, stream.Key), err
}
