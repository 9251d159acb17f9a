//go:build integration

package faults_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// faultsFull has every fault injected everywhere; otherwise a spread part of them is, the same each time.
var faultsFull = flag.Bool("faults.full", false, "inject every fault everywhere, which takes many minutes")

// bounded returns one of two numbers: how many of something to try in full, and how many otherwise.
func bounded(full, otherwise int) int {
	if *faultsFull {
		return full
	}
	return otherwise
}

// report counts what was injected into the runs of one test, by fault.
type report struct {
	mu   sync.Mutex
	rows []*reportRow
}

// reportRow is a line of FAULTS_REPORT, the file that hack/test.sh makes its table of.
type reportRow struct {
	Fault      string `json:"fault"`
	Injected   int    `json:"injected"`
	Sequences  int    `json:"sequences"`
	Violations int    `json:"violations"`
}

// startReport returns a report that is written when the test and its subtests are over.
func startReport(t *testing.T) *report {
	r := &report{}
	t.Cleanup(func() { r.write(t) })
	return r
}

func (r *report) add(fault string, injected, sequences, violations int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.rows, func(row *reportRow) bool { return row.Fault == fault })
	if i < 0 {
		r.rows = append(r.rows, &reportRow{Fault: fault})
		i = len(r.rows) - 1
	}
	row := r.rows[i]
	row.Injected, row.Sequences, row.Violations = row.Injected+injected, row.Sequences+sequences, row.Violations+violations
}

// write logs the table and appends it to the file that FAULTS_REPORT names. A fault that never happened proves nothing.
func (r *report) write(t *testing.T) {
	var table, lines strings.Builder
	fmt.Fprintf(&table, "\n| %-48s | %8s | %9s | %10s |\n", "fault", "injected", "sequences", "violations")
	slices.SortStableFunc(r.rows, func(a, b *reportRow) int { return strings.Compare(a.Fault, b.Fault) })
	for _, row := range r.rows {
		fmt.Fprintf(&table, "| %-48s | %8d | %9d | %10d |\n", row.Fault, row.Injected, row.Sequences, row.Violations)
		if row.Injected == 0 {
			t.Errorf("the fault %q was never injected", row.Fault)
		}
		line, err := json.Marshal(row)
		if err != nil {
			t.Error(err)
			return
		}
		lines.Write(append(line, '\n'))
	}
	t.Log(table.String())
	path := os.Getenv("FAULTS_REPORT")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	if _, err := file.WriteString(lines.String()); err != nil {
		t.Error(err)
	}
}
