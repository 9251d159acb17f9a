package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/memory"
)

// A page of the documentation comes of results alone, so that it can be drawn again without a cluster.
func TestWriteDocs(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "performance")
	r := &Results{
		Runs:   []contest.Run{run(contest.IdealName, 1, 100, 10), run(contest.ControllerName, 1, 80, -1)},
		Memory: []memory.Point{{Sequences: 1000, Seen: 1000, Steps: 3}, {Sequences: 10000, Seen: 10000, Steps: 3}},
	}
	r.Ratios = Ratios(r.Runs)
	if err := r.WriteDocs(folder); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if want := []string{"job-gaps.svg", "memory.svg", "pod-gaps.svg", "ratios.svg", "results.json", "results.md"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	page, err := os.ReadFile(filepath.Join(folder, "results.md"))
	if err != nil || !strings.Contains(string(page), "![ratios.svg](ratios.svg)") || strings.Contains(string(page), "FAILED") {
		t.Errorf("error %v, page:\n%s", err, page)
	}
	again, err := Read(filepath.Join(folder, "results.json"))
	if err != nil || len(again.Runs) != 2 || len(again.Memory) != 2 {
		t.Errorf("error %v, read again: %+v", err, again)
	}
}

func TestAFailureIsOnThePage(t *testing.T) {
	var page strings.Builder
	r := &Results{Memory: []memory.Point{{Sequences: 5, Seen: 4}}}
	r.WriteMarkdown(&page)
	if !strings.Contains(page.String(), "FAILED: 1 violations") {
		t.Errorf("page:\n%s", page.String())
	}
}
