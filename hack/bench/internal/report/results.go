// Package report is what the benchmark tells: results as JSON, tables and plots.
package report

import (
	"encoding/json"
	"os"
	"time"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/deletion"
	"github.com/example/sequential-job-operator/hack/bench/internal/memory"
	"github.com/example/sequential-job-operator/hack/bench/internal/proc"
	"github.com/example/sequential-job-operator/hack/bench/internal/recovery"
)

// Results are all that was measured, and where.
type Results struct {
	Started  time.Time         `json:"started"`
	Machine  proc.Machine      `json:"machine"`
	Versions map[string]string `json:"versions"`
	// Commit is the source that was built; Modified says whether it had been edited since.
	Commit   string            `json:"commit"`
	Modified bool              `json:"modified"`
	Flags    []string          `json:"flags"`
	Runs     []contest.Run     `json:"runs,omitempty"`
	Ratios   []Ratio           `json:"ratios,omitempty"`
	Memory   []memory.Point    `json:"memory,omitempty"`
	Recovery []recovery.Result `json:"recovery,omitempty"`
	Deletion []deletion.Result `json:"deletion,omitempty"`
}

// Violations are what a benchmark must not pass over.
func (r *Results) Violations() []string {
	var out []string
	for i := range r.Runs {
		out = append(out, r.Runs[i].Problems()...)
	}
	for i := range r.Memory {
		out = append(out, r.Memory[i].Violations()...)
	}
	for i := range r.Recovery {
		out = append(out, r.Recovery[i].Problems()...)
	}
	return append(out, deletion.Violations(r.Deletion)...)
}

// Write writes the results to a file.
func (r *Results) Write(file string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}

// Read reads results that were written before.
func Read(file string) (*Results, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &Results{}
	return r, json.Unmarshal(raw, r)
}
