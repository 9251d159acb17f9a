package report

import (
	"math"
	"testing"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/stats"
)

func run(contestant string, round int, stepsPerSecond, gap float64) contest.Run {
	return contest.Run{Contestant: contestant, Shape: "50x5", Round: round, Figures: &contest.Figures{
		StepsPerSecond: stepsPerSecond, JobGap: stats.Summary{P50: gap, P99: gap}, CPU: map[string]float64{"kube-apiserver": 1},
	}}
}

func TestARatioIsTakenWithinItsRound(t *testing.T) {
	got := Ratios([]contest.Run{
		// The machine was half as fast in the second round, for both.
		run(contest.IdealName, 1, 100, 10), run(contest.ControllerName, 1, 80, 20),
		run(contest.IdealName, 2, 50, 20), run(contest.ControllerName, 2, 40, 40),
	})
	if len(got) != 1 || got[0].Rounds != 2 {
		t.Fatalf("%+v, want one ratio of two rounds", got)
	}
	if want := (Spread{Median: 0.8, Min: 0.8, Max: 0.8}); got[0].StepsPerSecond != want {
		t.Errorf("steps/s %+v, want %+v", got[0].StepsPerSecond, want)
	}
	if want := (Spread{Median: 2, Min: 2, Max: 2}); got[0].JobGapP50 != want {
		t.Errorf("gap %+v, want %+v", got[0].JobGapP50, want)
	}
}

func TestARoundThatLacksARunCountsForNothing(t *testing.T) {
	failed := run(contest.ControllerName, 1, 80, 20)
	failed.Figures, failed.Violations = nil, []string{"twice"}
	if got := Ratios([]contest.Run{run(contest.IdealName, 1, 100, 10), failed, run(contest.IdealName, 2, 100, 10)}); len(got) != 0 {
		t.Errorf("%+v, want none", got)
	}
	results := Results{Runs: []contest.Run{failed}}
	if got := results.Violations(); len(got) != 1 {
		t.Errorf("violations %q, want one", got)
	}
}

func TestWhatIsNoNumberIsNoRatio(t *testing.T) {
	if got := spreadOf([]float64{math.NaN(), 2, math.Inf(1), 4}); got != (Spread{Median: 3, Min: 2, Max: 4}) {
		t.Errorf("%+v", got)
	}
	if got := spreadOf([]float64{math.NaN()}); got != (Spread{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestANegativeGapIsNoRatio(t *testing.T) {
	got := Ratios([]contest.Run{run(contest.IdealName, 1, 100, 10), run(contest.ControllerName, 1, 80, -20)})
	if len(got) != 1 || got[0].JobGapP50.String() != "-" || got[0].StepsPerSecond.Median != 0.8 {
		t.Errorf("%+v, want no ratio of the gaps", got)
	}
}
