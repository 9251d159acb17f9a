package stats

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, tc := range []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"the only one", []float64{7}, 0.99, 7},
		{"the lower of two in the middle", []float64{2, 1}, 0.5, 1},
		{"half of a hundred", hundred, 0.5, 50},
		{"99 of a hundred", hundred, 0.99, 99},
		{"the largest", hundred, 1, 100},
		{"the smallest", hundred, 0, 1},
		{"one slow of ten is no rare exception", []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 900}, 0.99, 900},
	} {
		if got := Quantile(tc.values, tc.q); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	if got := Quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("of nothing: %v, want NaN", got)
	}
}

func TestQuantileLeavesTheValuesInTheirOrder(t *testing.T) {
	values := []float64{3, 1, 2}
	Quantile(values, 0.5)
	Median(values)
	if want := []float64{3, 1, 2}; !slices.Equal(values, want) {
		t.Errorf("%v, want %v", values, want)
	}
}

func TestMedian(t *testing.T) {
	if got := Median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("of three: %v, want 5", got)
	}
	if got := Median([]float64{9, 1, 5, 6}); got != 5.5 {
		t.Errorf("of four: %v, want 5.5", got)
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("of nothing: %v, want NaN", got)
	}
}

func TestSlopeLeavesOutWhatIsThereAnyhow(t *testing.T) {
	if got := Slope([]float64{1000, 10000, 50000}, []float64{60000, 150000, 550000}); math.Abs(got-10) > 1e-9 {
		t.Errorf("%v, want 10", got)
	}
	if got := Slope([]float64{1000}, []float64{1}); !math.IsNaN(got) {
		t.Errorf("of one point: %v, want NaN", got)
	}
}

func TestSummarize(t *testing.T) {
	got := Summarize([]time.Duration{3 * time.Millisecond, -time.Millisecond, 2 * time.Millisecond})
	if want := (Summary{Count: 3, P50: 2, P99: 3, Max: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := Summarize(nil); got != (Summary{}) {
		t.Errorf("of nothing: %+v", got)
	}
}
