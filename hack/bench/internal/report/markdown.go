package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/stats"
)

// WriteMarkdown writes all tables.
func (r *Results) WriteMarkdown(w io.Writer) {
	r.writeWhere(w)
	r.writeViolations(w)
	if len(r.Runs) > 0 {
		r.writeThroughput(w)
		r.writeRatios(w)
		r.writeRequests(w)
		r.writeCPU(w)
	}
	if len(r.Memory) > 0 {
		r.writeMemory(w)
	}
	if len(r.Recovery) > 0 {
		r.writeRecovery(w)
	}
	if len(r.Deletion) > 0 {
		r.writeDeletion(w)
	}
}

func (r *Results) writeWhere(w io.Writer) {
	modified := ""
	if r.Modified {
		modified = ", modified"
	}
	fmt.Fprintf(w, "Measured %s on %d cores (%s), %d MiB, Linux %s, load %s before; commit %s%s.",
		r.Started.Format("2006-01-02"), r.Machine.Cores, r.Machine.CPU, r.Machine.MemoryMiB, r.Machine.Kernel, r.Machine.Load, r.Commit, modified)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(w, " %s %s.", name, r.Versions[name])
	}
	fmt.Fprintf(w, "\n\n")
}

func (r *Results) writeViolations(w io.Writer) {
	const most = 50
	violations := r.Violations()
	if len(violations) == 0 {
		return
	}
	fmt.Fprintf(w, "FAILED: %d violations. A run that has any has no figures.\n\n", len(violations))
	for _, violation := range violations[:min(most, len(violations))] {
		fmt.Fprintf(w, "- %s\n", violation)
	}
	fmt.Fprintln(w)
}

// table writes rows, the first of which is the head. The first column is text, the others are numbers.
func table(w io.Writer, rows [][]string) {
	for i, row := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "| --- |%s\n", strings.Repeat(" ---: |", len(row)-1))
		}
	}
	fmt.Fprintln(w)
}

var contestants = []string{contest.IdealName, contest.ControllerName}

func (r *Results) writeThroughput(w io.Writer) {
	rows := [][]string{{"shape, contestant", "rounds", "steps/s", "Job gap p50 ms", "p99 ms", "pod gap p50 ms", "p99 ms",
		"first step p50 ms", "p99 ms", "RSS MiB", "others' CPU"}}
	for _, shape := range shapesOf(r.Runs) {
		for _, contestant := range contestants {
			all := figuresOf(r.Runs, shape, contestant)
			if len(all) == 0 {
				continue
			}
			median := func(digits int, value func(*contest.Figures) float64) string { return medianOf(all, digits, value) }
			rows = append(rows, []string{
				shape + ", " + contestant, strconv.Itoa(len(all)),
				median(1, func(f *contest.Figures) float64 { return f.StepsPerSecond }),
				median(1, func(f *contest.Figures) float64 { return f.JobGap.P50 }),
				median(1, func(f *contest.Figures) float64 { return f.JobGap.P99 }),
				median(1, func(f *contest.Figures) float64 { return f.PodGap.P50 }),
				median(1, func(f *contest.Figures) float64 { return f.PodGap.P99 }),
				median(1, func(f *contest.Figures) float64 { return f.FirstStep.P50 }),
				median(1, func(f *contest.Figures) float64 { return f.FirstStep.P99 }),
				median(0, func(f *contest.Figures) float64 { return float64(f.Memory.RSS) / 1024 }),
				median(0, func(f *contest.Figures) float64 { return 100 * f.OthersShare }) + " %",
			})
		}
	}
	table(w, rows)
}

func medianOf(all []*contest.Figures, digits int, value func(*contest.Figures) float64) string {
	var values []float64
	for _, f := range all {
		values = append(values, value(f))
	}
	return fmt.Sprintf("%.*f", digits, stats.Median(values))
}

func (r *Results) writeRatios(w io.Writer) {
	rows := [][]string{{"controller / ideal", "rounds", "steps/s", "Job gap p50", "p99", "pod gap p50", "p99", "API server CPU"}}
	for _, ratio := range r.Ratios {
		rows = append(rows, []string{ratio.Shape, strconv.Itoa(ratio.Rounds), ratio.StepsPerSecond.String(), ratio.JobGapP50.String(),
			ratio.JobGapP99.String(), ratio.PodGapP50.String(), ratio.PodGapP99.String(), ratio.APIServerCPU.String()})
	}
	table(w, rows)
}

func (s Spread) String() string {
	if s == (Spread{}) {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", s.Median, s.Min, s.Max)
}

// writeRequests tells what each contestant asks for a step.
func (r *Results) writeRequests(w io.Writer) {
	head, columns := r.columns("requests a step")
	rows := [][]string{head}
	for _, name := range namesOf(columns, func(f *contest.Figures) map[string]float64 { return f.PerStep }) {
		row := []string{name}
		for _, all := range columns {
			row = append(row, medianOf(all, 3, func(f *contest.Figures) float64 { return f.PerStep[name] }))
		}
		rows = append(rows, row)
	}
	for _, total := range []struct {
		name  string
		value func(*contest.Figures) int
	}{
		{"in all: answers 409", func(f *contest.Figures) int { return f.Asked.Conflicts }},
		{"in all: answers 429", func(f *contest.Figures) int { return f.Asked.TooMany }},
		{"in all: answers 5xx", func(f *contest.Figures) int { return f.Asked.Failures }},
	} {
		row := []string{total.name}
		for _, all := range columns {
			row = append(row, medianOf(all, 0, func(f *contest.Figures) float64 { return float64(total.value(f)) }))
		}
		rows = append(rows, row)
	}
	table(w, rows)
}

func (r *Results) writeCPU(w io.Writer) {
	head, columns := r.columns("CPU ms a step")
	rows := [][]string{head}
	for _, name := range namesOf(columns, func(f *contest.Figures) map[string]float64 { return f.CPU }) {
		row := []string{name}
		for _, all := range columns {
			row = append(row, medianOf(all, 2, func(f *contest.Figures) float64 { return f.CPU[name] }))
		}
		rows = append(rows, row)
	}
	table(w, rows)
}

// columns are one for each shape and contestant that has figures.
func (r *Results) columns(title string) (head []string, columns [][]*contest.Figures) {
	head = []string{title}
	for _, shape := range shapesOf(r.Runs) {
		for _, contestant := range contestants {
			if all := figuresOf(r.Runs, shape, contestant); len(all) > 0 {
				head = append(head, shape+" "+contestant)
				columns = append(columns, all)
			}
		}
	}
	return head, columns
}

func namesOf(columns [][]*contest.Figures, of func(*contest.Figures) map[string]float64) []string {
	names := map[string]bool{}
	for _, all := range columns {
		for _, f := range all {
			for name := range of(f) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
