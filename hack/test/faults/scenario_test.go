//go:build integration

package faults_test

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// jobsOfTheScenario are the Jobs that a run of it creates, each once, in this order.
var jobsOfTheScenario = []string{"etl-0", "etl-1", "etl-1-r1", "etl-2", "doomed-0", "doomed-1"}

// playScenario does what users and Jobs do in the run that is repeated with every fault: a sequence whose second step
// fails once, is retried, is suspended while it is and resumed; and another one that is deleted while it runs. It waits for what
// the controller has to do and looks at nothing else. It returns how the first sequence ended.
//
// between is called whenever the controller has done what it had to and the next thing has not happened yet.
func (c *cluster) playScenario(between func()) ending {
	c.T.Helper()
	end := func(name, job string, how batchv1.JobConditionType) {
		c.T.Helper()
		c.waitForJob(name, job)
		between()
		reason := map[batchv1.JobConditionType]string{batchv1.JobFailed: batchv1.JobReasonBackoffLimitExceeded}[how]
		// A controller that has just woken may change the Job at the same time.
		c.Eventually("Job "+job+" to end", func(ctx context.Context) (bool, error) {
			err := c.TryEndJob(ctx, job, how, reason)
			if apierrors.IsConflict(err) {
				return false, nil
			}
			return err == nil, err
		})
	}
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
	return ended
}

func nothing() {}

// waitForJob waits until a Job is recorded as the running step's.
func (c *cluster) waitForJob(name, job string) {
	c.T.Helper()
	c.WaitFor(name, "Job "+job+" to be recorded as running", func(sj *v1alpha1.SequentialJob) bool {
		step := slices.IndexFunc(sj.Status.Steps, func(s v1alpha1.StepStatus) bool { return s.JobName == job })
		return step >= 0 && sj.Status.Steps[step].State == v1alpha1.StepRunning
	})
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

// waitForEnd waits until a sequence has ended and nothing holds the object any more.
func (c *cluster) waitForEnd(name string) *v1alpha1.SequentialJob {
	c.T.Helper()
	return c.WaitFor(name, "SequentialJob "+name+" to end", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.CompletionTime != nil && len(sj.Finalizers) == 0
	})
}

// ending is all of a finished sequence that does not differ from run to run.
type ending struct {
	Phase      v1alpha1.SequentialJobPhase
	State      *v1alpha1.ExecutionState
	Progress   *v1alpha1.JobProgress
	Steps      []v1alpha1.StepStatus
	Conditions []metav1.Condition
}

func endingOf(sj *v1alpha1.SequentialJob) ending {
	status := sj.Status.DeepCopy()
	for i := range status.Steps {
		step := &status.Steps[i]
		step.JobUID, step.StartTime, step.CompletionTime = "", nil, nil
	}
	for i := range status.Conditions {
		status.Conditions[i].LastTransitionTime = metav1.Time{}
	}
	return ending{Phase: status.Phase, State: status.State, Progress: status.Progress, Steps: status.Steps, Conditions: status.Conditions}
}
