package view

import (
	"cmp"
	"time"

	kubectlduration "k8s.io/apimachinery/pkg/util/duration"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Titles are the titles of a table of sequences.
func Titles(withNamespace bool) []string {
	titles := []string{"NAME", "STATUS", "COMPLETIONS", "STEP", "AGE", "MESSAGE"}
	if withNamespace {
		return append([]string{"NAMESPACE"}, titles...)
	}
	return titles
}

// Row is one sequence in a table: what `kubectl get` shows, and why it has failed or makes no progress.
func (s Style) Row(sj *v1alpha1.SequentialJob, withNamespace bool, now time.Time) []string {
	progress := cmp.Or(sj.Status.Progress, &v1alpha1.JobProgress{})
	message := sequence.RootCause(sj)
	if !sequence.Seen(&sj.Status) {
		message = "not seen by a controller yet"
	}
	cells := []string{
		sj.Name, string(sj.Status.Phase), progress.Completions, progress.CurrentStep,
		kubectlduration.HumanDuration(max(0, now.Sub(sj.CreationTimestamp.Time))), message,
	}
	if withNamespace {
		cells = append([]string{sj.Namespace}, cells...)
	}
	for i := range cells {
		cells[i] = s.clean(cells[i])
	}
	return cells
}

// CutLine shortens a line to the width of the terminal.
func (s Style) CutLine(text string) string {
	if s.Width <= 0 {
		return text
	}
	return s.cut(text, s.Width)
}

// Note is a remark of one line about what is shown.
func (s Style) Note(text string) string {
	return s.render(line{{s.clean(text), yellow}})
}
