//go:build integration

package integration_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// writesOfThreeSteps is what a controller writes for three steps: finalizer on, dry run, three times Job and status,
// last status, finalizer off.
const writesOfThreeSteps = 10

// The same where the next step starts on the success of a pod, of which the simulated nodes make one.
func TestAKilledControllerThatAdvancesOnPodsLosesAndRepeatsNothing(t *testing.T) {
	binary := framework.BuildController(t)
	for _, moment := range []string{"before", "after"} {
		for write := 4; write < writesOfThreeSteps-1; write++ {
			t.Run(fmt.Sprintf("%s write %d", moment, write), func(t *testing.T) {
				c := newCluster(t)
				killer := framework.StartKiller(c.Cluster, framework.NthWrite(write), moment == "after")
				killer.StartVictim(binary)
				sj := framework.NewSequence("etl", "extract", "transform", "load")
				sj.Spec.AdvanceOn = new(v1alpha1.AdvanceOnPodSucceeded)
				c.Create(sj)
				killer.WaitForKill()
				c.WaitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
					return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
				})
				if jobs := c.Jobs.Names(); !slices.Equal(jobs, []string{"etl-0", "etl-1", "etl-2"}) {
					t.Errorf("Jobs created: %q", jobs)
				}
			})
		}
	}
}

// Wherever between two requests the controller is killed: started again, it loses nothing and repeats nothing.
func TestAKilledControllerLosesAndRepeatsNothing(t *testing.T) {
	binary := framework.BuildController(t)
	for _, moment := range []string{"before", "after"} {
		for write := 1; write <= writesOfThreeSteps; write++ {
			t.Run(fmt.Sprintf("%s write %d", moment, write), func(t *testing.T) {
				c := newByHandCluster(t)
				c.Jobs.CompleteAll()
				killer := framework.StartKiller(c.Cluster, framework.NthWrite(write), moment == "after")
				killer.StartVictim(binary)
				c.Create(framework.NewSequence("etl", "extract", "transform", "load"))
				killer.WaitForKill()
				sj := c.WaitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
					return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
				})
				c.Jobs.Want("etl-0", "etl-1", "etl-2")
				for i, step := range sj.Status.Steps {
					if job := c.Job(fmt.Sprintf("etl-%d", i)); step.JobUID != job.UID || step.State != v1alpha1.StepCompleted {
						t.Errorf("step %+v, Job %s", step, job.UID)
					}
				}
			})
		}
	}
}
