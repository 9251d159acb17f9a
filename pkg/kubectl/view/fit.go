package view

import (
	"slices"
	"strings"
)

// whole is everything that there is to show.
func (t *tree) whole() []line {
	out := []line{t.header()}
	for i := range t.entries {
		out = append(out, t.branch(i))
		out = append(out, t.leaves(i, false)...)
	}
	return append(out, t.tail(t.causeLines(), t.adviceLines(), t.missingLines())...)
}

// tail puts paragraphs below the tree.
func (t *tree) tail(paragraphs ...[]line) []line {
	var out []line
	for _, paragraph := range paragraphs {
		if len(paragraph) > 0 {
			out = append(append(out, line{}), paragraph...)
		}
	}
	return out
}

// fit is as much as fits into so many lines. What is done, and what is still to come, goes first; the current step and the cause last.
func (t *tree) fit(height int) []line {
	if out := t.whole(); len(out) <= height {
		return out
	}
	const briefCause = 3
	cause := t.causeLines()
	shortCause := t.shorten(cause, min(briefCause, height/3))
	for _, tail := range [][]line{
		t.tail(cause, t.adviceLines(), t.missingLines()),
		t.tail(cause, t.adviceLines()),
		t.tail(cause),
		t.tail(shortCause),
		nil,
	} {
		const fewest = 4 // the current entry, one below it, and what is left out before and after
		if room := height - 1 - len(tail); room >= min(fewest, len(t.entries)) || tail == nil {
			out := append([]line{t.header()}, t.around(room)...)
			out = append(out, tail...)
			return out[:min(len(out), max(height, 1))]
		}
	}
	return nil
}

// shorten keeps the first lines of a paragraph, and shows that there are more.
func (t *tree) shorten(paragraph []line, height int) []line {
	if len(paragraph) <= height {
		return paragraph
	}
	if height <= 0 {
		return nil
	}
	out := slices.Clone(paragraph[:height])
	last := slices.Clone(out[height-1])
	last[0].text = t.style.cut(last[0].text+" "+strings.Repeat(".", t.style.Width), t.style.Width)
	out[height-1] = last
	return out
}

// around is the part of the tree around the current entry that fits into so many lines.
func (t *tree) around(room int) []line {
	current := t.current()
	blocks := make([][]line, len(t.entries))
	for i := range t.entries {
		blocks[i] = []line{t.branch(i)}
		if i == current {
			blocks[i] = append(blocks[i], t.leaves(i, true)...)
		}
	}
	first, end := t.window(blocks, current, room)
	var out []line
	if first > 0 {
		out = append(out, t.leftOut(0, first, t.signs.through))
	}
	for _, block := range blocks[first:end] {
		out = append(out, block...)
	}
	if end < len(blocks) {
		out = append(out, t.leftOut(end, len(blocks), strings.Repeat(" ", Columns(t.signs.through))))
	}
	if len(out) > room && len(blocks) > 0 {
		return blocks[current][:min(max(room, 0), len(blocks[current]))]
	}
	return out
}

// window returns which entries fit, the current one among them: first as many as were over before as are to come.
func (*tree) window(blocks [][]line, current, room int) (first, end int) {
	if len(blocks) == 0 {
		return 0, 0
	}
	fits := func(first, end int) bool {
		if first < 0 || end > len(blocks) {
			return false
		}
		n := min(first, 1) + min(len(blocks)-end, 1)
		for _, block := range blocks[first:end] {
			n += len(block)
		}
		return n <= room
	}
	first, end = current, current+1
	for {
		isLater, isEarlier := fits(first, end+1), fits(first-1, end)
		switch {
		case isLater && (!isEarlier || end-current <= current-first+1):
			end++
		case isEarlier:
			first--
		default:
			return first, end
		}
	}
}

// current is the entry that matters most: what runs or waits, else what failed, else what starts next, else the last one.
func (t *tree) current() int {
	for _, s := range []state{running, waiting, failed, notStarted} {
		if at := slices.IndexFunc(t.entries, func(e entry) bool { return e.state == s }); at >= 0 {
			return at
		}
	}
	return max(0, len(t.entries)-1)
}

// leftOut says what entries are not shown.
func (t *tree) leftOut(first, end int, connect string) line {
	counts := map[state]int{}
	for i := first; i < end; i++ {
		counts[t.entries[i].state]++
	}
	var parts []string
	for _, s := range []state{completed, failed, running, waiting, notStarted} {
		if counts[s] > 0 {
			parts = append(parts, plural(counts[s], stateNames[s], stateNames[s]))
		}
	}
	return line{{connect, faint}, {t.signs.bullet + " " + strings.Join(parts, ", "), faint}}
}

var stateNames = map[state]string{notStarted: "not started", waiting: "waiting", running: "running", completed: "completed", failed: "failed"}
