// Package view makes the lines that are shown to users out of what the API server has. It is pure: time and terminal are arguments.
package view

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Tree shows a sequence: its steps and their attempts, why it has failed or makes no progress, and what to do next. No line is wider than
// the style allows. With a height, it is the part around the current step, with as much else as there is room for.
func Tree(in Input, s Style) []string {
	s = s.bounded()
	t := newTree(&in, s)
	if s.Height <= 0 {
		return s.renderAll(t.whole())
	}
	return s.renderAll(t.fit(s.Height))
}

func (s Style) renderAll(lines []line) []string {
	out := make([]string, len(lines))
	for i := range lines {
		out[i] = s.render(lines[i])
	}
	return out
}

// tree is what a tree is made of, and where its columns are.
type tree struct {
	in      *Input
	sj      *v1alpha1.SequentialJob
	style   Style
	signs   *glyphs
	entries []entry
	cause   string
	axis    axis

	nameWidth, durationWidth int
}

const (
	gap           = 2
	prefixWidth   = 5  // the branch and the state
	minBar        = 8  // narrower ones tell nothing
	maxBar        = 32 // wider ones do not tell more
	unlimitedName = 63
)

func newTree(in *Input, s Style) *tree {
	t := &tree{in: in, sj: in.SequentialJob, style: s, signs: s.glyphs(), entries: newReader(in).entries()}
	t.cause = s.clean(sequence.RootCause(t.sj))
	for i := range t.entries {
		t.clean(&t.entries[i])
	}
	t.axis = axisOf(t.entries, t.sj, in.Now)
	t.arrange()
	return t
}

// clean makes everything fit to be shown that others have written.
func (t *tree) clean(e *entry) {
	for _, text := range []*string{&e.name, &e.cause} {
		*text = t.style.clean(*text)
	}
	for i := range e.notes {
		e.notes[i] = t.style.clean(e.notes[i])
	}
	attempts := make([]*attempt, 0, len(e.earlier)+1)
	for i := range e.earlier {
		attempts = append(attempts, &e.earlier[i])
	}
	if e.current != nil {
		attempts = append(attempts, e.current)
	}
	for _, a := range attempts {
		a.job, a.node, a.message = t.style.clean(a.job), t.style.clean(a.node), t.style.clean(a.message)
	}
}

// arrange shares the width among names, durations, bars and details.
func (t *tree) arrange() {
	detailWidth, isBarred := 0, false
	for i := range t.entries {
		e := &t.entries[i]
		t.nameWidth = max(t.nameWidth, Columns(e.name))
		t.durationWidth = max(t.durationWidth, len(t.durationOf(e)))
		detailWidth = max(detailWidth, Columns(details(e)))
		isBarred = isBarred || len(e.attempts()) > 0
	}
	width := t.style.Width
	nameLimit := unlimitedName
	if width > 0 {
		nameLimit = max(width/3, minWidth-prefixWidth-gap-t.durationWidth)
	}
	t.nameWidth = min(t.nameWidth, nameLimit)
	left := maxBar
	if width > 0 {
		left = width - prefixWidth - t.nameWidth - t.durationWidth - 3*gap - detailWidth
	}
	if left = min(left, maxBar); left < minBar {
		left = 0
		if width >= 4*minWidth {
			left = minBar // there, details may be cut: names of nodes are long
		}
	}
	if isBarred {
		t.axis.cells = left
	}
}

func (t *tree) durationOf(e *entry) string {
	if e.current == nil {
		return ""
	}
	return e.current.duration(t.in.Now)
}

// details are what is said of an entry behind its bar.
func details(e *entry) string {
	var parts []string
	if e.isFinally {
		parts = append(parts, "finally")
	}
	if a := e.current; a != nil {
		job := a.job
		if a.number > 1 && !e.isFinally {
			job = fmt.Sprintf("attempt %d (%s)", a.number, a.job)
		}
		if a.node != "" {
			job += " on " + a.node
		}
		parts = append(parts, job)
	}
	for _, note := range e.notes {
		if note != "" {
			parts = append(parts, note)
		}
	}
	return strings.Join(parts, ", ")
}

// header is the line about the sequence as a whole.
func (t *tree) header() line {
	status := &t.sj.Status
	phase := cmp.Or(string(status.Phase), string(v1alpha1.SequentialJobPending))
	out := line{{t.style.clean(t.sj.Name), bold}, {strings.Repeat(" ", gap), plain}, {t.style.clean(phase), phaseColors[status.Phase]}}
	words := []string{fmt.Sprintf("0/%d", len(t.sj.Spec.Containers))}
	if status.Progress != nil && status.Progress.Completions != "" {
		words[0] = status.Progress.Completions
	}
	if status.StartTime != nil {
		words = append(words, duration(t.axis.end.Sub(status.StartTime.Time)))
	}
	var used int32
	if status.Progress != nil {
		used = status.Progress.Retries
	}
	if allowed := ptr.Deref(t.sj.Spec.Retries, 0); allowed > 0 || used > 0 {
		words = append(words, fmt.Sprintf("retries %d of %d", used, allowed))
	}
	for _, word := range words {
		out = append(out, span{strings.Repeat(" ", gap) + t.style.clean(word), plain})
	}
	if note := t.underWay(); note != "" {
		out = append(out, span{strings.Repeat(" ", gap) + note, yellow})
	}
	return out
}

var phaseColors = map[v1alpha1.SequentialJobPhase]color{
	v1alpha1.SequentialJobRunning: cyan, v1alpha1.SequentialJobSuspended: yellow,
	v1alpha1.SequentialJobCompleted: green, v1alpha1.SequentialJobFailed: red,
}

// underWay says what is about to happen to the sequence that its phase does not tell.
func (t *tree) underWay() string {
	isFinished := sequence.Finished(&t.sj.Status)
	switch {
	case t.in.Gone:
		return "deleted"
	case !t.sj.DeletionTimestamp.IsZero():
		return "being deleted"
	case !sequence.Seen(&t.sj.Status):
		return "not seen by a controller yet"
	case t.sj.Status.ObservedGeneration < t.sj.Generation:
		return "its latest change has not been seen yet"
	case !isFinished && ptr.Deref(t.sj.Spec.Cancel, false) && t.sj.Status.Result == nil:
		return "being cancelled"
	case !isFinished && t.sj.Status.Result != nil:
		return "running finally"
	}
	return ""
}

// branch is the line of an entry.
func (t *tree) branch(i int) line {
	e := &t.entries[i]
	c := stateColors[e.state]
	connect := t.signs.branch
	if i == len(t.entries)-1 {
		connect = t.signs.last
	}
	nameColor := plain
	if e.state == notStarted {
		nameColor = faint
	}
	out := line{
		{connect, faint}, {t.signs.states[e.state] + " ", c}, {pad(t.style.cut(e.name, t.nameWidth), t.nameWidth), nameColor},
		{strings.Repeat(" ", gap) + fmt.Sprintf("%*s", t.durationWidth, t.durationOf(e)), plain},
	}
	if t.axis.cells > 0 {
		out = append(append(out, span{strings.Repeat(" ", gap), plain}), t.axis.bar(e, t.signs)...)
	}
	detailColor := plain
	if e.state == completed || e.state == notStarted {
		detailColor = faint
	}
	if text := details(e); text != "" {
		out = append(out, span{strings.Repeat(" ", gap) + text, detailColor})
	}
	return out
}

// leaves are the lines below that of an entry: earlier attempts, and what keeps the current one from getting on.
func (t *tree) leaves(i int, isBrief bool) []line {
	e := &t.entries[i]
	var out []line
	add := func(sign string, c color, text string) {
		out = append(out, t.leaf(i, sign, c, text, isBrief)...)
	}
	earlier := e.earlier
	if hidden := len(earlier) - maxAttempts; hidden > 0 {
		add(t.signs.bullet, faint, plural(hidden, "earlier attempt", "earlier attempts"))
		earlier = earlier[hidden:]
	}
	for n := range earlier {
		add(t.signs.states[earlier[n].state], stateColors[earlier[n].state], t.describeEarlier(e, &earlier[n]))
	}
	if e.cause != "" && !strings.Contains(t.cause, e.cause) {
		add(t.signs.warning, yellow, e.cause)
	}
	if e.current != nil && e.current.message != "" && !strings.Contains(t.cause, e.current.message) {
		add(t.signs.states[failed], red, e.current.message)
	}
	return out
}

// describeEarlier says what became of an earlier attempt.
func (t *tree) describeEarlier(e *entry, a *attempt) string {
	number := fmt.Sprintf("attempt %d", a.number)
	if e.isFinally {
		number = fmt.Sprintf("run %d", a.number)
	}
	about := a.job
	if took := a.duration(t.in.Now); took != "" {
		about += ", " + took
	}
	return fmt.Sprintf("%s (%s): %s", number, about, cmp.Or(a.message, "failed"))
}

// leaf is a text below an entry: one line if it is to be brief.
func (t *tree) leaf(i int, sign string, c color, text string, isBrief bool) []line {
	connect := t.signs.through
	if i == len(t.entries)-1 {
		connect = strings.Repeat(" ", Columns(connect))
	}
	connect += strings.Repeat(" ", gap)
	indent := Columns(connect) + Columns(sign) + 1
	texts := []string{text}
	if !isBrief && t.style.Width > 0 {
		texts = wrap(text, t.style.Width-indent)
	}
	var out []line
	for n, part := range texts {
		first := span{sign + " ", c}
		if n > 0 {
			first = span{strings.Repeat(" ", Columns(sign)+1), plain}
		}
		out = append(out, line{{connect, faint}, first, {part, plain}})
	}
	return out
}
