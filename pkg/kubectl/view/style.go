package view

import "strings"

// Style says what the output can show.
type Style struct {
	// Width is that of the terminal in columns; 0 is no limit.
	Width int
	// Height is how many lines there may be; 0 is no limit.
	Height int
	// Color says that it shows colours.
	Color bool
	// Unicode says that it shows more than ASCII.
	Unicode bool
}

// minWidth is how narrow a terminal may be for what is shown to make sense.
const minWidth = 20

// bounded returns the style with a width that something can be shown in.
func (s Style) bounded() Style {
	if s.Width > 0 {
		s.Width = max(s.Width, minWidth)
	}
	return s
}

type color string

const (
	plain  color = ""
	bold   color = "1"
	faint  color = "2"
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	cyan   color = "36"
)

// glyphs are the signs of a tree.
type glyphs struct {
	states                    map[state]string
	branch, last, through     string
	past, present, head       string
	ellipsis, warning, bullet string
}

var (
	unicodeGlyphs = glyphs{
		states: map[state]string{notStarted: "○", waiting: "⏸", running: "⟳", completed: "✔", failed: "✖"},
		branch: "├─ ", last: "└─ ", through: "│  ",
		past: "▒", present: "█", head: "▶", ellipsis: "…", warning: "⚠", bullet: "…",
	}
	asciiGlyphs = glyphs{
		states: map[state]string{notStarted: "o", waiting: "!", running: ">", completed: "+", failed: "x"},
		branch: "|- ", last: "`- ", through: "|  ",
		past: "-", present: "=", head: ">", ellipsis: "...", warning: "!", bullet: "...",
	}
)

func (s Style) glyphs() *glyphs {
	if s.Unicode {
		return &unicodeGlyphs
	}
	return &asciiGlyphs
}

var stateColors = map[state]color{notStarted: faint, waiting: yellow, running: cyan, completed: green, failed: red}

// span is a text in one colour.
type span struct {
	text  string
	color color
}

// line is what stands in one line.
type line []span

// render returns a line as it is written: cut to the width, without spaces at its end.
func (s Style) render(l line) string {
	var out strings.Builder
	left, total := s.Width, 0
	for _, part := range l {
		total += Columns(part.text)
	}
	isCut := s.Width > 0 && total > s.Width
	for i, part := range l {
		text := part.text
		if i == len(l)-1 && !isCut {
			text = strings.TrimRight(text, " ")
		}
		if isCut && Columns(text) >= left {
			text = s.cut(text+" ", left)
			s.paint(&out, text, part.color)
			break
		}
		left -= Columns(text)
		s.paint(&out, text, part.color)
	}
	return strings.TrimRight(out.String(), " ")
}

func (s Style) paint(out *strings.Builder, text string, c color) {
	if c == plain || !s.Color || strings.TrimSpace(text) == "" {
		out.WriteString(text)
		return
	}
	out.WriteString("\x1b[" + string(c) + "m" + text + "\x1b[0m")
}
