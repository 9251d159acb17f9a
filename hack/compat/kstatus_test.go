package compat

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
)

// What Flux, kubectl wrappers and others that go by kstatus make of a SequentialJob.
func TestKstatus(t *testing.T) {
	want := map[string]status.Status{
		"just created":           status.InProgressStatus,
		"cannot start yet":       status.InProgressStatus,
		"first step runs":        status.InProgressStatus,
		"second step runs":       status.InProgressStatus,
		"waits for a queue":      status.CurrentStatus,
		"suspended":              status.CurrentStatus,
		"suspended from birth":   status.CurrentStatus,
		"failed":                 status.FailedStatus,
		"retry asked for":        status.InProgressStatus,
		"retried":                status.InProgressStatus,
		"completed after retry":  status.CurrentStatus,
		"completed":              status.CurrentStatus,
		"completed, then edited": status.InProgressStatus,
		"being deleted":          status.TerminatingStatus,
	}
	for name, sj := range stages() {
		t.Run(name, func(t *testing.T) {
			result, err := status.Compute(toUnstructured(t, sj))
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != want[name] {
				t.Errorf("%s (%s), want %s", result.Status, result.Message, want[name])
			}
		})
	}
}
