package view_test

import (
	"testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// A limit that was passed by far, and retries that were lowered since: what is suggested makes the sequence go on nevertheless.
func TestSuggestedLimitIsEnough(t *testing.T) {
	sj := &v1alpha1.SequentialJob{}
	sj.Name = "etl"
	sj.Spec.ActiveDeadlineSeconds, sj.Spec.Retries = new(int64(2)), new(int32(0))
	sj.Status.ActiveSeconds, sj.Status.Progress = 30, &v1alpha1.JobProgress{Retries: 3}
	got := view.Commands{Tool: "kubectl sj"}.For(sj, sequence.Advice{Remedy: sequence.RemedyExtend})
	want := `kubectl patch sj etl --type=merge --patch '{"spec":{"activeDeadlineSeconds":60,"retries":4}}'`
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
