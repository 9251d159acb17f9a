//go:build integration

package faults_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// scenario is what users and Jobs do in a run that is repeated with every fault.
type scenario struct {
	// name comes before that of a fault in the report.
	name string
	// play does it. It waits for what the controller has to do, looks at nothing else, and returns how the sequences ended.
	// between is called whenever the controller has done what it had to and the next thing has not happened yet.
	play func(c *cluster, between func()) []ending
	// jobs are the Jobs that a run creates, each once, in this order.
	jobs []string
	// sequences is how many it creates, and stages how often it calls between before it deletes one of them.
	sequences, stages int
	// every has one of so many calls meet a fault if not all do.
	every int
}

var (
	scenarioOfSteps = &scenario{
		play: (*cluster).playScenario, jobs: []string{"etl-0", "etl-1", "etl-1-r1", "etl-2", "doomed-0", "doomed-1"}, sequences: 2, stages: 9, every: 1,
	}
	scenarioOfFinally = &scenario{
		name: "finally: ", play: playFinally(v1alpha1.AdvanceOnJobComplete), jobs: jobsOfFinally, sequences: 2, stages: math.MaxInt, every: 3,
	}
	scenarioOfFinallyByPods = &scenario{
		name: "finally, by pods: ", play: playFinally(v1alpha1.AdvanceOnPodSucceeded), jobs: jobsOfFinally, sequences: 2, stages: math.MaxInt, every: 9,
	}
	scenarios = []*scenario{scenarioOfSteps, scenarioOfFinally, scenarioOfFinallyByPods}
)

// forEachScenario runs a test for each scenario, beside each other.
func forEachScenario(t *testing.T, test func(*testing.T, *scenario)) {
	for _, s := range scenarios {
		t.Run("scenario "+s.name, func(t *testing.T) { test(t, s) })
	}
}

// playScenario is a sequence whose second step fails once, is retried, is suspended while it is and resumed; and another one that is
// deleted while it runs.
func (c *cluster) playScenario(between func()) []ending {
	c.T.Helper()
	end := c.ender(between)
	sj := framework.NewSequence("etl", "extract", "transform", "load")
	sj.Spec.Retries = ptr.To[int32](1)
	c.Create(sj)
	end("etl", "etl-0", batchv1.JobComplete)
	end("etl", "etl-1", batchv1.JobFailed)

	c.waitForJob("etl", "etl-1-r1")
	between()
	c.Patch("etl", `{"spec":{"suspend":true}}`)
	c.waitForSuspension("etl", "etl-1-r1", true)
	between()
	c.Patch("etl", `{"spec":{"suspend":false}}`)
	c.waitForSuspension("etl", "etl-1-r1", false)
	end("etl", "etl-1-r1", batchv1.JobComplete)
	end("etl", "etl-2", batchv1.JobComplete)
	ended := endingOf(c.waitForEnd("etl"))
	between()

	doomed := c.Create(framework.NewSequence("doomed", "extract", "transform", "load"))
	end("doomed", "doomed-0", batchv1.JobComplete)
	c.waitForJob("doomed", "doomed-1")
	between()
	c.Delete("doomed", metav1.DeletePropagationBackground)
	c.WaitUntilGone(doomed)
	between()
	return []ending{ended}
}

// ender returns what waits until a Job is recorded as running, and ends it.
func (c *cluster) ender(between func()) func(name, job string, how batchv1.JobConditionType) {
	return func(name, job string, how batchv1.JobConditionType) {
		c.T.Helper()
		c.waitForJob(name, job)
		between()
		reason := map[batchv1.JobConditionType]string{batchv1.JobFailed: batchv1.JobReasonBackoffLimitExceeded}[how]
		c.endNow(job, how, reason)
	}
}

// endNow ends a Job that a controller which has just woken may change at the same time.
func (c *cluster) endNow(job string, how batchv1.JobConditionType, reason string) {
	c.T.Helper()
	c.Eventually("Job "+job+" to end", func(ctx context.Context) (bool, error) {
		err := c.TryEndJob(ctx, job, how, reason)
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
}

func nothing() {}

// waitForJob waits until a Job is recorded as running.
func (c *cluster) waitForJob(name, job string) {
	c.T.Helper()
	c.WaitForJob(name, job)
}

// waitForSuspension waits until Job and status both say so.
func (c *cluster) waitForSuspension(name, job string, suspended bool) {
	c.T.Helper()
	c.Eventually(fmt.Sprintf("Job %s to have suspend=%t", job, suspended), func(ctx context.Context) (bool, error) {
		j, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(ctx, job, metav1.GetOptions{})
		return err == nil && ptr.Deref(j.Spec.Suspend, false) == suspended, err
	})
	c.WaitFor(name, fmt.Sprintf("suspended to be %t", suspended), func(sj *v1alpha1.SequentialJob) bool {
		return (sj.Status.Phase == v1alpha1.SequentialJobSuspended) == suspended
	})
}

// waitForEnd waits until a sequence has ended, nothing holds the object any more, and what its pods could not be asked at once is known.
func (c *cluster) waitForEnd(name string) *v1alpha1.SequentialJob {
	c.T.Helper()
	return c.WaitFor(name, "SequentialJob "+name+" to end", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.CompletionTime != nil && len(sj.Finalizers) == 0 && !strings.Contains(fmt.Sprint(sj.Status), "could not be asked yet")
	})
}

// ending is all of a finished sequence that does not differ from run to run.
type ending struct {
	Phase      v1alpha1.SequentialJobPhase
	State      *v1alpha1.ExecutionState
	Progress   *v1alpha1.JobProgress
	Steps      []v1alpha1.StepStatus
	Result     *v1alpha1.StepsResult
	Finally    []v1alpha1.StepStatus
	Conditions []metav1.Condition
}

func endingOf(sj *v1alpha1.SequentialJob) ending {
	status := sj.Status.DeepCopy()
	for _, list := range [][]v1alpha1.StepStatus{status.Steps, status.Finally} {
		for i := range list {
			list[i].JobUID, list[i].StartTime, list[i].CompletionTime = "", nil, nil
		}
	}
	if status.Result != nil {
		status.Result.Time = metav1.Time{}
	}
	for i := range status.Conditions {
		status.Conditions[i].LastTransitionTime = metav1.Time{}
	}
	return ending{
		Phase: status.Phase, State: status.State, Progress: status.Progress, Steps: status.Steps,
		Result: status.Result, Finally: status.Finally, Conditions: status.Conditions,
	}
}
