// Package stats has the few statistics that the benchmark reports.
package stats

import (
	"math"
	"slices"
	"time"
)

// Quantile returns the smallest value that at least the share q of all values does not exceed; NaN if there are none. It is always a
// value that was measured: nothing is interpolated.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Median returns the value in the middle, or the mean of the two there; NaN if there are none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Slope returns by how much y grows per x, by least squares; NaN for less than two different x.
func Slope(x, y []float64) float64 {
	var meanX, meanY, above, below float64
	for i := range x {
		meanX += x[i] / float64(len(x))
		meanY += y[i] / float64(len(y))
	}
	for i := range x {
		above += (x[i] - meanX) * (y[i] - meanY)
		below += (x[i] - meanX) * (x[i] - meanX)
	}
	if below == 0 {
		return math.NaN()
	}
	return above / below
}

// Summary says how long something took, in milliseconds.
type Summary struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// Summarize returns the summary of durations. All of it is 0 if there are none.
func Summarize(durations []time.Duration) Summary {
	if len(durations) == 0 {
		return Summary{}
	}
	values := make([]float64, len(durations))
	for i, d := range durations {
		values[i] = float64(d) / float64(time.Millisecond)
	}
	return Summary{Count: len(values), P50: Quantile(values, 0.5), P99: Quantile(values, 0.99), Max: Quantile(values, 1)}
}
