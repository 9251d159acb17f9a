package deletion

import (
	"testing"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
)

func result(sequences, steps, requests int) Result {
	return Result{Sequences: sequences, Steps: steps, Asked: audit.Count{Writes: requests}}
}

func TestWhatIsNotLinearIsAViolation(t *testing.T) {
	for name, tc := range map[string]struct {
		results []Result
		want    int
	}{
		"nothing was measured":                {nil, 0},
		"the same for each":                   {[]Result{result(250, 1, 1000), result(250, 10, 1000), result(1000, 10, 4000)}, 0},
		"more for each of more sequences":     {[]Result{result(250, 1, 1000), result(250, 10, 1000), result(1000, 10, 6000)}, 1},
		"more for steps that have not begun":  {[]Result{result(250, 1, 1000), result(250, 10, 2500), result(1000, 10, 10000)}, 2},
		"a few more, as when a try is needed": {[]Result{result(250, 1, 1000), result(250, 10, 1050), result(1000, 10, 4100)}, 0},
	} {
		if got := Violations(tc.results); len(got) != tc.want {
			t.Errorf("%s: violations %q, want %d", name, got, tc.want)
		}
	}
}
