package kubectl

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

// watchStatus shows a sequence until it ends.
func (t *Tool) watchStatus(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if terminalOf(t.Out).canRedraw() {
		return t.redraw(ctx, c, sj)
	}
	return t.printTransitions(ctx, c, sj)
}

// redraw keeps the tree up to date in place, and leaves it whole at the end.
func (t *Tool) redraw(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob) error {
	terminal, quiet := terminalOf(t.Out), *t
	if terminalOf(t.ErrOut).file != nil {
		quiet.ErrOut = io.Discard // it would be written into the tree, which says the same
	}
	o, err := quiet.observe(ctx, c, sj, true)
	if err != nil {
		return err
	}
	// How large the terminal is has to be asked; not all systems tell of a change.
	const look, refresh = 200 * time.Millisecond, time.Second
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	display := screen{out: t.Out}
	for {
		s, err := o.Snapshot()
		if isOver, result := ended(s); isOver {
			return t.drawLast(&display, terminal, s, result)
		}
		if err != nil {
			return err
		}
		width, height := terminal.size()
		if err := display.draw(t.frame(s, terminal.style(), height), width); err != nil {
			return err
		}
		for drawn, isDue := time.Now(), false; !isDue; {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-o.Changed:
				isDue = true
			case <-ticker.C:
				w, h := terminal.size()
				isDue = w != width || h != height || time.Since(drawn) >= refresh
			}
		}
	}
}

// frame is what fits on a terminal of that height.
func (t *Tool) frame(s Snapshot, style view.Style, height int) []string {
	style.Height = max(1, height-1) // the cursor stands below
	if s.Waiting == "" || style.Height < 3 {
		return view.Tree(t.inputOf(s), style)
	}
	style.Height--
	return append(view.Tree(t.inputOf(s), style), style.Note(s.Waiting))
}

// drawLast shows the whole tree in the place of the frame before.
func (t *Tool) drawLast(display *screen, terminal terminal, s Snapshot, result error) error {
	width, _ := terminal.size()
	if err := display.draw(view.Tree(t.inputOf(s), terminal.style()), width); err != nil {
		return err
	}
	return result
}

// printTransitions prints one line each time that something changes, and in the end what to do next.
func (t *Tool) printTransitions(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob) error {
	o, err := t.observe(ctx, c, sj, false)
	if err != nil {
		return err
	}
	style := terminalOf(t.Out).style()
	var before *v1alpha1.SequentialJob
	for {
		s, err := o.Snapshot()
		for _, line := range style.Transitions(before, s.SequentialJob) {
			fmt.Fprintln(t.Out, line)
		}
		before = s.SequentialJob
		if isOver, result := ended(s); isOver {
			if hasEnded(s.SequentialJob) {
				t.tellAdvice(s.SequentialJob)
			}
			return result
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-o.Changed:
		}
	}
}
