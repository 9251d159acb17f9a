package memory

import (
	"strings"
	"testing"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
)

func TestACopyDiffersInNamesAndUIDsOnly(t *testing.T) {
	const uid, job = "8e4b6a1c-1111-4000-8000-000000000001", "8e4b6a1c-2222-4000-8000-000000000002"
	p := &pattern{
		name: nameOf(0), uids: []string{uid, job},
		keys:   []string{sequencesKey + nameOf(0), jobsKey + nameOf(0) + "-0"},
		values: []string{`{"name":"` + nameOf(0) + `","uid":"` + uid + `","jobUID":"` + job + `"}`, "k8s\x00" + nameOf(0) + "-0" + uid + job},
	}
	first, second := p.copyOf(1), p.copyOf(2)
	for i := range p.keys {
		value := string(first[i].ValueBytes())
		if len(value) != len(p.values[i]) {
			t.Errorf("a copy of %d bytes, want %d: protobuf has the lengths in it", len(value), len(p.values[i]))
		}
		for _, old := range []string{nameOf(0), uid, job} {
			if strings.Contains(value, old) {
				t.Errorf("%q still has %s", value, old)
			}
		}
		if value == string(second[i].ValueBytes()) || string(first[i].KeyBytes()) == string(second[i].KeyBytes()) {
			t.Errorf("two copies are the same: %q", value)
		}
	}
}

func TestOneThatWritesAtRestIsAViolation(t *testing.T) {
	for name, tc := range map[string]struct {
		point Point
		want  int
	}{
		"nothing happens":              {Point{Sequences: 5, Seen: 5}, 0},
		"it reads":                     {Point{Sequences: 5, Seen: 5, IdleAsked: audit.Count{Reads: 1}}, 0},
		"it writes":                    {Point{Sequences: 5, Seen: 5, IdleAsked: audit.Count{Writes: 1}}, 1},
		"it publishes events":          {Point{Sequences: 5, Seen: 5, IdleAsked: audit.Count{Events: 1}}, 1},
		"it does not hold all of them": {Point{Sequences: 5, Seen: 4}, 1},
	} {
		if got := tc.point.Violations(); len(got) != tc.want {
			t.Errorf("%s: violations %q, want %d", name, got, tc.want)
		}
	}
}
