package kubectl

import (
	"io"
	"regexp"
	"strings"

	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

// screen shows one frame in the place of the one before. Between two writes the terminal is as the shell left it, however this ends.
type screen struct {
	out io.Writer
	// shown are the columns that each line of the frame before took.
	shown []int
}

const (
	hideCursor, showCursor = "\x1b[?25l", "\x1b[?25h"
	stopWrap, startWrap    = "\x1b[?7l", "\x1b[?7h"
	clearBelow, clearLine  = "\x1b[J", "\x1b[2K"
)

// draw replaces what is shown, on a terminal of that width by now.
func (s *screen) draw(lines []string, width int) error {
	var out strings.Builder
	out.WriteString(hideCursor + stopWrap + s.back(width))
	s.shown = s.shown[:0]
	for _, line := range lines {
		out.WriteString(clearLine + line + "\r\n")
		columns := view.Columns(escapes.ReplaceAllString(line, ""))
		if width > 0 {
			columns = min(columns, width) // the terminal does not wrap it
		}
		s.shown = append(s.shown, columns)
	}
	out.WriteString(clearBelow + startWrap + showCursor)
	_, err := io.WriteString(s.out, out.String())
	return err
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[a-zA-Z]")

// back moves the cursor to where the frame before began. A terminal that has become narrower has wrapped its lines.
func (s *screen) back(width int) string {
	rows := 0
	for _, columns := range s.shown {
		rows++
		if width > 0 && columns > width {
			rows += (columns - 1) / width
		}
	}
	return "\r" + strings.Repeat("\x1b[A", rows)
}
