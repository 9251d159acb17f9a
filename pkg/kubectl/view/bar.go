package view

import (
	"fmt"
	"math"
	"time"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// axis is the time that all bars share.
type axis struct {
	start, end time.Time
	cells      int
}

// axisOf reaches from the start of the first attempt to the end of the sequence, or till now.
func axisOf(entries []entry, sj *v1alpha1.SequentialJob, now time.Time) axis {
	a := axis{end: now}
	if ended := sj.Status.CompletionTime; ended != nil {
		a.end = ended.Time
	}
	if started := sj.Status.StartTime; started != nil {
		a.start = started.Time
	}
	for i := range entries {
		for _, t := range entries[i].attempts() {
			if !t.start.IsZero() && (a.start.IsZero() || t.start.Before(a.start)) {
				a.start = t.start
			}
		}
	}
	return a
}

// attempts are all attempts, the latest last.
func (e *entry) attempts() []attempt {
	if e.current == nil {
		return e.earlier
	}
	return append(e.earlier[:len(e.earlier):len(e.earlier)], *e.current)
}

// cell is what is at one place of a bar.
type cell int

const (
	nothing cell = iota
	past
	present
	head
)

// bar shows when the attempts of an entry ran. What ran at all has a cell.
func (a axis) bar(e *entry, g *glyphs) []span {
	cells := make([]cell, a.cells)
	for _, t := range e.attempts() {
		if t.start.IsZero() || a.cells == 0 {
			continue
		}
		end := t.end
		if end.IsZero() {
			end = a.end
		}
		from := min(a.place(t.start), a.cells-1)
		to := max(from+1, a.place(end))
		for i := from; i < min(to, a.cells); i++ {
			cells[i] = past
			if e.current != nil && t.job == e.current.job {
				cells[i] = present
			}
		}
		if e.current != nil && e.state == running && t.job == e.current.job {
			cells[min(to, a.cells)-1] = head
		}
	}
	text := [...]string{nothing: " ", past: g.past, present: g.present, head: g.head}
	colors := [...]color{nothing: plain, past: red, present: stateColors[e.state], head: stateColors[e.state]}
	var out []span
	for _, c := range cells {
		if n := len(out); n > 0 && out[n-1].color == colors[c] {
			out[n-1].text += text[c]
			continue
		}
		out = append(out, span{text[c], colors[c]})
	}
	return out
}

// place is the cell that a time is in.
func (a axis) place(t time.Time) int {
	total := a.end.Sub(a.start)
	if total <= 0 {
		return 0
	}
	share := float64(t.Sub(a.start)) / float64(total)
	return int(math.Round(max(0, min(1, share)) * float64(a.cells)))
}

// duration is for how long an attempt ran, or has run; "" if that is not known.
func (t *attempt) duration(now time.Time) string {
	if t.start.IsZero() {
		return ""
	}
	if t.end.IsZero() && t.state != running {
		return ""
	}
	if !t.end.IsZero() {
		now = t.end
	}
	return duration(now.Sub(t.start))
}

// duration says how long something takes, in the two largest units.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(0, d).Truncate(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}
