package report

import (
	"math"
	"slices"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/stats"
)

// Ratio is the controller's figures divided by the ideal loop's, of the same round: what disturbed the one has most likely
// disturbed the other.
type Ratio struct {
	Shape  string `json:"shape"`
	Rounds int    `json:"rounds"`
	// Each has one entry a round. Of StepsPerSecond more is better, of the others less.
	StepsPerSecond Spread `json:"stepsPerSecond"`
	JobGapP50      Spread `json:"jobGapP50"`
	JobGapP99      Spread `json:"jobGapP99"`
	PodGapP50      Spread `json:"podGapP50"`
	PodGapP99      Spread `json:"podGapP99"`
	APIServerCPU   Spread `json:"apiServerCPU"`
}

// Spread is the median of some values, and how far they are apart.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf leaves out what is no number: without an ideal figure there is no ratio.
func spreadOf(values []float64) Spread {
	values = slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(values) == 0 {
		return Spread{}
	}
	return Spread{Median: stats.Median(values), Min: slices.Min(values), Max: slices.Max(values)}
}

// ratioOf is NaN where a ratio says nothing: a step that goes by its pod may begin before the Job of the one before is Complete.
func ratioOf(ours, ideal float64) float64 {
	if ours <= 0 || ideal <= 0 {
		return math.NaN()
	}
	return ours / ideal
}

type pair struct{ ours, ideal *contest.Figures }

// Ratios compares the runs of each shape and round. A round that lacks one of the two counts for nothing.
func Ratios(runs []contest.Run) []Ratio {
	var out []Ratio
	for _, shape := range shapesOf(runs) {
		pairs := pairsOf(runs, shape)
		if len(pairs) == 0 {
			continue
		}
		each := func(value func(*contest.Figures) float64) Spread {
			var ratios []float64
			for _, p := range pairs {
				ratios = append(ratios, ratioOf(value(p.ours), value(p.ideal)))
			}
			return spreadOf(ratios)
		}
		out = append(out, Ratio{
			Shape: shape, Rounds: len(pairs),
			StepsPerSecond: each(func(f *contest.Figures) float64 { return f.StepsPerSecond }),
			JobGapP50:      each(func(f *contest.Figures) float64 { return f.JobGap.P50 }),
			JobGapP99:      each(func(f *contest.Figures) float64 { return f.JobGap.P99 }),
			PodGapP50:      each(func(f *contest.Figures) float64 { return f.PodGap.P50 }),
			PodGapP99:      each(func(f *contest.Figures) float64 { return f.PodGap.P99 }),
			APIServerCPU:   each(func(f *contest.Figures) float64 { return f.CPU["kube-apiserver"] }),
		})
	}
	return out
}

func shapesOf(runs []contest.Run) []string {
	var out []string
	for i := range runs {
		if !slices.Contains(out, runs[i].Shape) {
			out = append(out, runs[i].Shape)
		}
	}
	return out
}

func pairsOf(runs []contest.Run, shape string) []pair {
	byRound := map[int]pair{}
	for i := range runs {
		if run := &runs[i]; run.Shape == shape {
			p := byRound[run.Round]
			if run.Contestant == contest.ControllerName {
				p.ours = run.Figures
			} else {
				p.ideal = run.Figures
			}
			byRound[run.Round] = p
		}
	}
	var out []pair
	for _, p := range byRound {
		if p.ours != nil && p.ideal != nil {
			out = append(out, p)
		}
	}
	return out
}

// figuresOf returns the figures of a contestant's runs of a shape.
func figuresOf(runs []contest.Run, shape, contestant string) []*contest.Figures {
	var out []*contest.Figures
	for i := range runs {
		if run := &runs[i]; run.Shape == shape && run.Contestant == contestant && run.Figures != nil {
			out = append(out, run.Figures)
		}
	}
	return out
}
