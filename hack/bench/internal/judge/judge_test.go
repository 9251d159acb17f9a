package judge

import (
	"maps"
	"strings"
	"testing"
)

var sequences = [][]string{{"a-0", "a-1", "a-2"}, {"b-0", "b-1"}}

// good is a run without a fault. The two sequences overlap, which they may.
func good() History {
	return History{
		Stored: map[string]int{"a-0": 1, "a-1": 1, "a-2": 1, "b-0": 1, "b-1": 1},
		Seen: map[string]Job{
			"a-0": {Created: 1, Ended: 3, UIDs: []string{"u0"}},
			"b-0": {Created: 2, Ended: 6, UIDs: []string{"v0"}},
			"a-1": {Created: 4, Ended: 7, UIDs: []string{"u1"}},
			"b-1": {Created: 8, Ended: 9, UIDs: []string{"v1"}},
			"a-2": {Created: 10, Ended: 11, UIDs: []string{"u2"}},
		},
	}
}

func (h History) change(name string, change func(*Job)) {
	job := h.Seen[name]
	change(&job)
	h.Seen[name] = job
}

// A judge that never complains proves nothing: this one has to see each rule broken.
func TestTheJudgeSeesEveryRuleBroken(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(History)
		want  []string
	}{
		"a run without a fault": {func(History) {}, nil},
		"twice, by the audit log": {
			func(h History) { h.Stored["a-1"] = 2 },
			[]string{"Job a-1 was created 2 times, by the audit log"},
		},
		"twice, by the watch alone": {
			func(h History) { h.change("a-1", func(j *Job) { j.UIDs = append(j.UIDs, "other") }) },
			[]string{"Job a-1 was created 2 times, by the watch"},
		},
		"early, by one revision": {
			func(h History) { h.change("a-0", func(j *Job) { j.Ended = 5 }) },
			[]string{"Job a-1 was created early: in revision 4, and a-0 ended in revision 5"},
		},
		"after one that never ended": {
			func(h History) { h.change("b-0", func(j *Job) { j.Ended = 0 }) },
			[]string{"Job b-0 never ended", "Job b-1 was created early: b-0 never ended"},
		},
		"the last one never ended": {
			func(h History) { h.change("a-2", func(j *Job) { j.Ended = 0 }) },
			[]string{"Job a-2 never ended"},
		},
		"missing at the end": {
			func(h History) { delete(h.Stored, "b-1"); delete(h.Seen, "b-1") },
			[]string{"Job b-1 is missing: it never was created"},
		},
		"missing in between, the next one is early": {
			func(h History) { delete(h.Stored, "a-1"); delete(h.Seen, "a-1") },
			[]string{"Job a-1 is missing: it never was created", "Job a-2 was created early: a-1 never ended"},
		},
		"seen, and not in the audit log": {
			func(h History) { delete(h.Stored, "a-1") },
			[]string{"Job a-1 is missing in the audit log"},
		},
		"in the audit log, and not seen": {
			func(h History) { delete(h.Seen, "a-2") },
			[]string{"Job a-2 is in the audit log, and no watch has seen it"},
		},
		"one that nobody asked for": {
			func(h History) { h.Stored["a-1-r1"] = 1 },
			[]string{"Job a-1-r1 was created, and nobody asked for it"},
		},
		"nothing at all": {
			func(h History) { clear(h.Stored); clear(h.Seen) },
			[]string{"a-0 is missing", "a-1 is missing", "a-2 is missing", "b-0 is missing", "b-1 is missing"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := good()
			tc.spoil(h)
			check(t, h.Violations(sequences), tc.want)
		})
	}
}

// After a crash the log may lack an answer that nobody got. That excuses nothing else.
func TestALogWithGapsExcusesOnlyWhatTheWatchHasSeen(t *testing.T) {
	h := good()
	h.LogHasGaps = true
	delete(h.Stored, "a-1")
	check(t, h.Violations(sequences), nil)

	h.change("a-1", func(j *Job) { j.UIDs = append(j.UIDs, "other") })
	check(t, h.Violations(sequences), []string{"Job a-1 was created 2 times, by the watch"})

	delete(h.Seen, "b-1")
	delete(h.Stored, "b-1")
	check(t, h.Violations(sequences), []string{"Job a-1 was created 2 times", "Job b-1 is missing"})
}

func TestTheJudgeChangesNothing(t *testing.T) {
	h := good()
	h.Violations(sequences)
	if !maps.Equal(h.Stored, good().Stored) {
		t.Errorf("stored %v", h.Stored)
	}
}

func check(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("violations:\n%s\nwant %d", strings.Join(got, "\n"), len(want))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("violation %q, want %q", got[i], want[i])
		}
	}
}
