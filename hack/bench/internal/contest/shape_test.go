package contest

import (
	"slices"
	"testing"
	"time"
)

func TestParseShape(t *testing.T) {
	for text, want := range map[string]Shape{
		"1x20": {1, 20, 0}, "200x5@15s": {200, 5, 15 * time.Second}, "2000x3@1m30s": {2000, 3, 90 * time.Second},
	} {
		if got, err := ParseShape(text); err != nil || got != want {
			t.Errorf("%q: %+v, error %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "5", "5x", "0x5", "5x0", "-1x5", "5x5@", "5x5@soon", "5x5 ", "5x5x5"} {
		if got, err := ParseShape(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}

func TestNames(t *testing.T) {
	got := Shape{Sequences: 2, Steps: 2}.Names()
	want := [][]string{{"sequence-00000-0", "sequence-00000-1"}, {"sequence-00001-0", "sequence-00001-1"}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%q, want %q", got, want)
	}
}
