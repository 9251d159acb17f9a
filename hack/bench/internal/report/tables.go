package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/example/sequential-job-operator/hack/bench/internal/stats"
)

const kibibytesPerMebibyte = 1024

func (r *Results) writeMemory(w io.Writer) {
	rows := [][]string{{"finished sequences", "steps each", "synced after s", "at rest after s", "RSS MiB", "peak MiB", "heap in use MiB",
		"writes at rest", "requests at rest", "CPU at rest"}}
	for i := range r.Memory {
		p := &r.Memory[i]
		rows = append(rows, []string{
			strconv.Itoa(p.Sequences), strconv.Itoa(p.Steps), fmt.Sprintf("%.1f", p.SyncedSeconds), fmt.Sprintf("%.1f", p.RestSeconds),
			strconv.FormatInt(p.Memory.RSS/kibibytesPerMebibyte, 10), strconv.FormatInt(p.Memory.Peak/kibibytesPerMebibyte, 10),
			fmt.Sprintf("%.0f", p.HeapInUseKiB/kibibytesPerMebibyte),
			strconv.Itoa(p.IdleAsked.Writes + p.IdleAsked.Events + p.IdleAsked.DryRuns), strconv.Itoa(p.IdleAsked.Reads),
			fmt.Sprintf("%.2f %%", 100*p.IdleCPUShare),
		})
	}
	table(w, rows)
	if rss, heap := r.kibibytesPerSequence(); len(r.Memory) > 1 {
		fmt.Fprintf(w, "Each sequence more costs %.1f KiB of RSS, %.1f KiB of them heap in use.\n\n", rss, heap)
	}
}

// kibibytesPerSequence is the slope between the sizes: what a process needs anyhow is not counted.
func (r *Results) kibibytesPerSequence() (rss, heap float64) {
	var sequences, rssAll, heapAll []float64
	for i := range r.Memory {
		p := &r.Memory[i]
		sequences = append(sequences, float64(p.Sequences))
		rssAll, heapAll = append(rssAll, float64(p.Memory.RSS)), append(heapAll, p.HeapInUseKiB)
	}
	return stats.Slope(sequences, rssAll), stats.Slope(sequences, heapAll)
}

func (r *Results) writeRecovery(w io.Writer) {
	rows := [][]string{{"killed (SIGKILL) during", "Jobs before", "next process ready after s", "next Job created after s", "violations"}}
	for i := range r.Recovery {
		c := &r.Recovery[i]
		rows = append(rows, []string{c.Shape, strconv.Itoa(c.JobsBefore), fmt.Sprintf("%.2f", c.ReadySeconds),
			fmt.Sprintf("%.2f", c.NextJobSeconds), strconv.Itoa(len(c.Violations))})
	}
	table(w, rows)
}

func (r *Results) writeDeletion(w io.Writer) {
	names := map[string]bool{}
	head := []string{"requests a deleted sequence"}
	for i := range r.Deletion {
		d := &r.Deletion[i]
		head = append(head, fmt.Sprintf("%d of %d steps", d.Sequences, d.Steps))
		for name := range d.PerSequence {
			names[name] = true
		}
	}
	rows := [][]string{head}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		row := []string{name}
		for i := range r.Deletion {
			row = append(row, fmt.Sprintf("%.3f", r.Deletion[i].PerSequence[name]))
		}
		rows = append(rows, row)
	}
	last := []string{"gone after s"}
	for i := range r.Deletion {
		last = append(last, fmt.Sprintf("%.1f", r.Deletion[i].Seconds))
	}
	table(w, append(rows, last))
}
