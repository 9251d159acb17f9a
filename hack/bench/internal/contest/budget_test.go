package contest

import (
	"testing"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
)

func TestOverBudget(t *testing.T) {
	within := audit.Count{Writes: 2*20 + 3*2, Reads: 22, DryRuns: 2, Events: 2*20 + 2}
	for name, tc := range map[string]struct {
		spend func(*audit.Count)
		want  int
	}{
		"within":               {func(*audit.Count) {}, 0},
		"one write more":       {func(c *audit.Count) { c.Writes++ }, 1},
		"one read more":        {func(c *audit.Count) { c.Reads++ }, 1},
		"a list":               {func(c *audit.Count) { c.Lists++ }, 1},
		"one event more":       {func(c *audit.Count) { c.Events++ }, 1},
		"a conflict":           {func(c *audit.Count) { c.Conflicts++ }, 1},
		"refused as too many":  {func(c *audit.Count) { c.TooMany++ }, 1},
		"a failure, a dry run": {func(c *audit.Count) { c.Failures++; c.DryRuns++ }, 2},
	} {
		asked := within
		tc.spend(&asked)
		run := Run{Contestant: ControllerName, Sequences: 2, Steps: 10, Figures: &Figures{Asked: asked}}
		if got := run.OverBudget(); len(got) != tc.want {
			t.Errorf("%s: %q, want %d", name, got, tc.want)
		}
	}
}
