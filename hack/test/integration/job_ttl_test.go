//go:build integration

package integration_test

import (
	"fmt"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// A policy gives each Job a TTL of 0: it is gone the moment it is complete. What the watch last showed of it counts.
func TestAJobThatItsTTLRemovesAtOnceCountsAsComplete(t *testing.T) {
	c := newCluster(t)
	c.MutateJobs("Object{spec: Object.spec{ttlSecondsAfterFinished: 0}}", func(job *batchv1.Job) bool { return job.Spec.TTLSecondsAfterFinished != nil })
	c.StartController()
	const sequences = 20
	for i := range sequences {
		c.Create(framework.NewSequence(fmt.Sprintf("etl-%d", i), "a", "b", "c"))
	}
	for i := range sequences {
		sj := c.WaitFor(fmt.Sprintf("etl-%d", i), "the end", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.CompletionTime != nil })
		if sj.Status.Phase != v1alpha1.SequentialJobCompleted {
			t.Errorf("%s is %s: %+v", sj.Name, sj.Status.Phase, sj.Status.Steps)
		}
	}
	names := c.Jobs.Names()
	slices.Sort(names)
	if want := 3 * sequences; len(names) != want || len(slices.Compact(names)) != want {
		t.Errorf("Jobs created: %q, want %d, each once", names, want)
	}
}
