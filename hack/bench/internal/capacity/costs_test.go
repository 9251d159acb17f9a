package capacity

import (
	"errors"
	"testing"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/memory"
	"github.com/example/sequential-job-operator/hack/bench/internal/proc"
	"github.com/example/sequential-job-operator/hack/bench/internal/report"
)

// run is one that asks for what the controller is known to ask for.
func run(shape string, sequences, steps int, apiServerCPU float64) contest.Run {
	all := sequences * steps
	return contest.Run{
		Contestant: contest.ControllerName, Shape: shape, Sequences: sequences, Steps: steps,
		Figures: &contest.Figures{
			Asked: audit.Count{Writes: 2*all + 3*sequences, Reads: all + sequences, DryRuns: sequences, Events: 2*all + sequences},
			CPU:   map[string]float64{apiServer: apiServerCPU, etcd: 8, manager: 9, scheduler: 3, controller: 4},
		},
	}
}

func TestFromResults(t *testing.T) {
	ideal := run("200x5", 200, 5, 1)
	ideal.Contestant = contest.IdealName
	failed := run("2000x3", 2000, 3, 1)
	failed.Figures = nil
	costs, err := FromResults(&report.Results{
		Runs: []contest.Run{run("1x20", 1, 20, 90), ideal, failed, run("200x5", 200, 5, 30), run("200x5", 200, 5, 26), run("200x5", 200, 5, 28)},
		Memory: []memory.Point{
			{Sequences: 1000, Steps: 3, Memory: proc.Memory{RSS: 60 * kibi}}, {Sequences: 2000, Steps: 3, Memory: proc.Memory{RSS: 70 * kibi}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"CPU: the median of the largest shape", costs.CPU[apiServer], 0.028},
		{"requests a step", costs.Requests.Step, 3},
		{"requests a sequence", costs.Requests.Sequence, 5},
		{"writes a step", costs.Writes.Step, 2},
		{"events a sequence", costs.Events.Sequence, 1},
		{"memory a sequence", costs.MemoryEach, 0.01},
		{"memory at least", costs.MemoryBase, 50},
	} {
		if !near(tc.got, tc.want) {
			t.Errorf("%s: %g, want %g", tc.name, tc.got, tc.want)
		}
	}
}

// Then what a sequence costs in addition to its steps is taken for what it is known to be.
func TestSequencesOfOneLengthOnly(t *testing.T) {
	costs, err := FromResults(&report.Results{Runs: []contest.Run{run("200x5", 200, 5, 30)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := costs.Requests; !near(got.Sequence, 5) || !near(got.Step, 3) {
		t.Errorf("%+v", got)
	}
	if provisional := Provisional(); costs.MemoryEach != provisional.MemoryEach {
		t.Errorf("memory %g was not measured", costs.MemoryEach)
	}
}

func TestResultsWithoutARun(t *testing.T) {
	if _, err := FromResults(&report.Results{}); !errors.Is(err, errNoRuns) {
		t.Errorf("error %v", err)
	}
}
