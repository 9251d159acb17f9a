package view

import (
	"strings"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// causeLines are why the sequence has failed or makes no progress, in full.
func (t *tree) causeLines() []line {
	if t.cause == "" {
		return nil
	}
	c := yellow
	if t.sj.Status.Phase == v1alpha1.SequentialJobFailed {
		c = red
	}
	return t.paragraph(t.cause, c)
}

// adviceLines are what to do next.
func (t *tree) adviceLines() []line {
	advice := sequence.Advise(t.sj)
	if t.in.Gone || advice.Text == "" {
		return nil
	}
	out := t.paragraph(t.style.clean(advice.Text), plain)
	for _, command := range t.in.Commands.For(t.sj, advice) {
		for _, part := range wrapCommand(t.style.clean(command), t.style.Width) {
			out = append(out, line{{part, bold}})
		}
	}
	return out
}

// missingLines are what could not be read.
func (t *tree) missingLines() []line {
	if len(t.in.Missing) == 0 {
		return nil
	}
	return t.paragraph(t.signs.warning+" Not everything is shown: "+t.style.clean(strings.Join(t.in.Missing, "; ")), yellow)
}

// paragraph is a text over the whole width.
func (t *tree) paragraph(text string, c color) []line {
	var out []line
	for _, part := range wrap(text, t.style.Width) {
		out = append(out, line{{part, c}})
	}
	return out
}

// wrapCommand indents a command, and divides it into lines that a shell reads as one. 0 is no limit.
func wrapCommand(command string, limit int) []string {
	const goOn, indent = ` \`, "  "
	if limit <= 0 || len(indent)+Columns(command) <= limit {
		return []string{indent + command}
	}
	var lines []string
	line := ""
	for _, word := range splitCommand(command) {
		switch {
		case line == "":
			line = indent + word
		case Columns(line)+1+Columns(word)+len(goOn) <= limit:
			line += " " + word
		default:
			lines = append(lines, line+goOn)
			line = indent + indent + word
		}
		for Columns(line)+len(goOn) > limit {
			head, tail, ok := splitWord(line, limit)
			if !ok {
				break
			}
			lines, line = append(lines, head), tail // no indent: that would divide the word
		}
	}
	return append(lines, line)
}

// splitCommand divides a command into its words. A space within quotes divides nothing.
func splitCommand(command string) []string {
	var words []string
	word, isQuoted := "", false
	for _, part := range strings.Split(command, " ") {
		if word != "" {
			word += " "
		}
		word += part
		if isQuoted = isQuoted != (quotes(part)%2 == 1); !isQuoted {
			words, word = append(words, word), ""
		}
	}
	if word != "" {
		words = append(words, word)
	}
	return words
}

// quotes counts those that begin or end a quotation.
func quotes(text string) int { return strings.Count(strings.ReplaceAll(text, `\'`, ""), "'") }

// splitWord divides a line of a command within a word, so that the head, with what says that it goes on, fits the limit.
func splitWord(line string, limit int) (head, tail string, ok bool) {
	const goOn = `\`
	isQuoted, isEscape, n := false, false, 0
	for at, r := range line {
		if n+len("'"+goOn) > limit {
			break
		}
		switch {
		case at == 0, isEscape:
		case isQuoted:
			head, tail, ok = line[:at]+"'"+goOn, "'"+line[at:], true
		default:
			head, tail, ok = line[:at]+goOn, line[at:], true
		}
		switch {
		case isEscape:
			isEscape = false
		case r == '\'':
			isQuoted = !isQuoted
		case r == '\\' && !isQuoted:
			isEscape = true
		}
		n += runeColumns(r)
	}
	return head, tail, ok
}
