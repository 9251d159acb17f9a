package view

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

const (
	variationSelectors = "\ufe0e\ufe0f" // they change how wide the character before them is
	lastPlain          = '~'
)

// Clean returns a text as one line that is safe to show: without control characters, and without what is invisible.
func Clean(text string) string { return Style{Unicode: true}.clean(text) }

// clean leaves of a text what a terminal shows as it is: no control characters, and nothing invisible that could hide or reorder text.
// Where the terminal has no Unicode, other characters become question marks.
func (s Style) clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), strings.ContainsRune(variationSelectors, r):
			return -1
		case !s.Unicode && r > lastPlain:
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.TrimSpace(text)
}

// Columns is how many columns of a terminal a text takes.
func Columns(text string) int {
	n := 0
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// split divides a text after as much as fits into so many columns; at least one character, so that it comes to an end.
func split(text string, limit int) (head, tail string) {
	n := 0
	for at, r := range text {
		n += runeColumns(r)
		if n > limit && at > 0 {
			return text[:at], text[at:]
		}
	}
	return text, ""
}

// cut shortens a text to so many columns, and shows that it did.
func (s Style) cut(text string, limit int) string {
	if Columns(text) <= limit {
		return text
	}
	mark := s.glyphs().ellipsis
	if limit <= Columns(mark) {
		return mark[:len(mark)*max(0, limit)/Columns(mark)]
	}
	head, _ := split(text, limit-Columns(mark))
	return head + mark
}

// pad fills a text up with spaces.
func pad(text string, limit int) string {
	return text + strings.Repeat(" ", max(0, limit-Columns(text)))
}

// wrap divides a text into lines of so many columns, between words where it can. Nothing is left out. 0 is no limit.
func wrap(text string, limit int) []string {
	if limit <= 0 {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && Columns(line)+1+Columns(word) <= limit {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for line = word; Columns(line) > limit; {
			head, tail := split(line, limit)
			if tail == "" {
				break
			}
			lines, line = append(lines, head), tail
		}
	}
	return append(lines, line)
}
