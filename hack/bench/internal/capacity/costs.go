package capacity

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/report"
	"github.com/example/sequential-job-operator/hack/bench/internal/stats"
)

// PerStep is a cost that has a share for each step and one for each sequence.
type PerStep struct{ Step, Sequence float64 }

// Each returns what a step costs, with its share of the sequence's.
func (p PerStep) Each(steps int) float64 { return p.Step + p.Sequence/float64(steps) }

// Costs are what was measured.
type Costs struct {
	// Source says where they come from.
	Source string
	// CPU is in seconds a step, by component.
	CPU map[string]float64
	// Requests are what the controller asks, without events; Writes are those of them that are stored.
	Requests, Writes, Events PerStep
	// The memory of the controller: a base, and so much for each SequentialJob of so many steps, in MiB.
	MemoryBase, MemoryEach float64
	MemorySteps            int
}

// The components, as results.json names them.
const (
	apiServer  = "kube-apiserver"
	etcd       = "etcd"
	manager    = "kube-controller-manager"
	scheduler  = "kube-scheduler"
	controller = "contestant"
)

// Provisional are costs that were measured on a busy machine, until there is a results.json of a quiet one. The requests are those that
// "make bench-smoke" holds the controller to.
func Provisional() *Costs {
	return &Costs{
		Source:   "provisional figures (internal/capacity/costs.go): a few runs on a busy machine of 2 cores",
		CPU:      map[string]float64{apiServer: 0.028, etcd: 0.008, manager: 0.009, scheduler: 0.0027, controller: 0.0035},
		Requests: PerStep{Step: 3, Sequence: 5}, Writes: PerStep{Step: 2, Sequence: 3}, Events: PerStep{Step: 2, Sequence: 1},
		MemoryBase: 55, MemoryEach: 15. / kibi, MemorySteps: 3,
	}
}

const kibi = 1024

var errNoRuns = errors.New("the results have no run of the controller that went well")

// FromResults takes the costs from what the benchmark wrote. What it did not measure stays provisional, and Source says so.
func FromResults(r *report.Results) (*Costs, error) {
	runs := slices.DeleteFunc(slices.Clone(r.Runs), func(run contest.Run) bool {
		return run.Contestant != contest.ControllerName || run.Figures == nil
	})
	if len(runs) == 0 {
		return nil, errNoRuns
	}
	costs := Provisional()
	shape := largest(runs)
	costs.Source = fmt.Sprintf("measured %s, commit %s, on %d cores; CPU of the shape %s", r.Started.Format("2006-01-02"), r.Commit, r.Machine.Cores, shape)
	costs.Requests = fit(runs, costs.Requests, func(f *contest.Figures) int { return f.Asked.Writes + f.Asked.DryRuns + f.Asked.Reads })
	costs.Writes = fit(runs, costs.Writes, func(f *contest.Figures) int { return f.Asked.Writes })
	costs.Events = fit(runs, costs.Events, func(f *contest.Figures) int { return f.Asked.Events })
	for name := range costs.CPU {
		costs.CPU[name] = medianCPU(runs, shape, name)
	}
	costs.readMemory(r)
	return costs, nil
}

// largest is the shape with the most steps: there the share of what a cluster uses at rest is the least.
func largest(runs []contest.Run) string {
	most := slices.MaxFunc(runs, func(a, b contest.Run) int { return a.Sequences*a.Steps - b.Sequences*b.Steps })
	return most.Shape
}

func medianCPU(runs []contest.Run, shape, name string) float64 {
	var values []float64
	for i := range runs {
		if runs[i].Shape == shape {
			values = append(values, runs[i].Figures.CPU[name]/1000)
		}
	}
	return stats.Median(values)
}

// fit splits what was counted into the share of steps and that of sequences. That needs sequences of different lengths; without, the
// share of sequences is taken for what it is known to be.
func fit(runs []contest.Run, known PerStep, count func(*contest.Figures) int) PerStep {
	var x, y []float64
	var meanX, meanY float64
	for i := range runs {
		x = append(x, 1/float64(runs[i].Steps))
		y = append(y, float64(count(runs[i].Figures))/float64(runs[i].Sequences*runs[i].Steps))
		meanX += x[i] / float64(len(runs))
		meanY += y[i] / float64(len(runs))
	}
	slope := stats.Slope(x, y)
	if math.IsNaN(slope) || slope < 0 || slope*meanX > meanY {
		slope = min(known.Sequence, meanY/meanX)
	}
	return PerStep{Step: meanY - slope*meanX, Sequence: slope}
}

// readMemory takes the growth between the sizes; what a process needs anyhow is the base.
func (c *Costs) readMemory(r *report.Results) {
	var sequences, rss []float64
	for i := range r.Memory {
		sequences = append(sequences, float64(r.Memory[i].Sequences))
		rss = append(rss, float64(r.Memory[i].Memory.RSS)/kibi)
	}
	each := stats.Slope(sequences, rss)
	if math.IsNaN(each) || each <= 0 {
		c.Source += "; memory provisional, because it was not measured for two sizes"
		return
	}
	c.MemoryEach, c.MemorySteps = each, r.Memory[0].Steps
	c.MemoryBase = max(rss[0]-each*sequences[0], 0)
}

// Memory is what the controller needs for so many SequentialJobs of so many steps, in MiB. Each is one object, and a Job for each step.
func (c *Costs) Memory(sequences float64, steps int) float64 {
	return c.memoryOf(sequences * float64(1+steps))
}

func (c *Costs) memoryOf(objects float64) float64 {
	return c.MemoryBase + objects*c.MemoryEach/float64(1+c.MemorySteps)
}
