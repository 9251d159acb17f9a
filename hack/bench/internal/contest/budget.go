package contest

import "fmt"

// OverBudget says where the controller asked for more than design.md says that it does: two writes and one read a step. Unlike
// times, these figures are the same on every machine, so that they can be checked anywhere; but for one so slow that steps are looked into.
func (r *Run) OverBudget() []string {
	if r.Figures == nil || r.Contestant != ControllerName {
		return nil
	}
	asked, sequences, steps := r.Figures.Asked, r.Sequences, r.Sequences*r.Steps
	var out []string
	for _, limit := range []struct {
		what      string
		got, most int
	}{
		// In addition to two a step: the finalizer comes and goes, and the end is recorded.
		{"writes", asked.Writes, 2*steps + 3*sequences},
		// In addition to one a step: that there is no Job of a further step, at the end.
		{"reads", asked.Reads, steps + sequences},
		{"lists", asked.Lists, 0},
		{"dry runs", asked.DryRuns, sequences},
		{"events", asked.Events, 2*steps + sequences},
		{"answers 409", asked.Conflicts, 0},
		{"answers 429", asked.TooMany, 0},
		{"answers 5xx, or none", asked.Failures, 0},
	} {
		if limit.got > limit.most {
			out = append(out, fmt.Sprintf("%d %s, more than %d", limit.got, limit.what, limit.most))
		}
	}
	return out
}
