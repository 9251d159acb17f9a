package kubectl

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

// logScreen keeps apart what goes to the standard output and what goes to the standard error, and lines whole where both meet.
type logScreen struct {
	logs   *follow.Output
	buffer *bufio.Writer
	errOut io.Writer
	// hasPrefix says that each line begins with its step.
	hasPrefix bool
	isColored bool
	colors    map[string]int
	// isTerminal says that the standard output is one; isShared, that the standard error goes to the same place.
	isTerminal, isShared bool
}

func newLogScreen(t *Tool, hasPrefix bool, sj *v1alpha1.SequentialJob) *logScreen {
	buffer := bufio.NewWriter(t.Out)
	s := &logScreen{
		logs: follow.NewOutput(buffer), buffer: buffer, errOut: t.ErrOut, hasPrefix: hasPrefix, colors: map[string]int{},
		isTerminal: printers.IsTerminal(t.Out), isShared: isSameFile(t.Out, t.ErrOut),
	}
	s.isColored = s.isTerminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	for i := range sj.Spec.Containers {
		s.colors[sj.Spec.Containers[i].Name] = i
	}
	for i := range sj.Spec.Finally {
		s.colors[sj.Spec.Finally[i].Name] = len(sj.Spec.Containers) + i
	}
	return s
}

// prefix is what the lines of a step begin with.
func (s *logScreen) prefix(step string) string {
	switch {
	case !s.hasPrefix:
		return ""
	case !s.isColored:
		return "[" + step + "] "
	}
	const firstColor, colors = 31, 6
	return fmt.Sprintf("\x1b[%dm[%s]\x1b[0m ", firstColor+(s.colors[step]+1)%colors, step)
}

// note writes a line to the standard error. Some of it may be what a node says, or a container.
func (s *logScreen) note(text string) {
	s.startLine()
	fmt.Fprintln(s.errOut, view.Clean(text))
}

// startLine ends a last line that has no end of its own, where somebody would see it run into the next.
func (s *logScreen) startLine() {
	isOpen := s.logs.IsMidLine()
	// An error to write is met again by the next log.
	_ = s.logs.StartLine(s.isTerminal || s.hasPrefix)
	_ = s.flush()
	if isOpen && s.isShared && !s.isTerminal && !s.hasPrefix {
		fmt.Fprintln(s.errOut)
	}
}

func (s *logScreen) flush() error { return s.buffer.Flush() }

// isSameFile says whether two streams go to the same place, as with 2>&1.
func isSameFile(a, b io.Writer) bool {
	af, aOK := a.(*os.File)
	bf, bOK := b.(*os.File)
	if !aOK || !bOK {
		return false
	}
	ai, aErr := af.Stat()
	bi, bErr := bf.Stat()
	return aErr == nil && bErr == nil && os.SameFile(ai, bi)
}
