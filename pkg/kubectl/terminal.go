package kubectl

import (
	"cmp"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

// terminal is what is known of where output goes.
type terminal struct {
	file *os.File // nil if it is no terminal
	env  func(string) string
}

func terminalOf(out io.Writer) terminal {
	t := terminal{env: os.Getenv}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		t.file = file
	}
	return t
}

// isDumb says whether it cannot do more than print one line after another.
func (t terminal) isDumb() bool { return t.env("TERM") == "dumb" }

// canRedraw says whether what was shown can be replaced in place.
func (t terminal) canRedraw() bool { return t.file != nil && !t.isDumb() }

// size returns columns and rows; 0 if there is no terminal, or none that tells.
func (t terminal) size() (width, height int) {
	if t.file == nil {
		return 0, 0
	}
	width, height, err := term.GetSize(int(t.file.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// style says what can be shown, with a height only if that matters.
func (t terminal) style() view.Style {
	width, _ := t.size()
	return view.Style{
		Width:   width,
		Color:   t.canRedraw() && t.env("NO_COLOR") == "",
		Unicode: !t.isDumb() && isUTF8(cmp.Or(t.env("LC_ALL"), t.env("LC_CTYPE"), t.env("LANG"))),
	}
}

func isUTF8(locale string) bool {
	locale = strings.ToLower(locale)
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}
