//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// takenOff is what others take off the running step's Job: a policy that cleans labels, somebody who releases the Job.
var takenOff = map[string]string{
	"the label that is watched": fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, v1alpha1.SequentialJobUIDLabel),
	"all our labels": fmt.Sprintf(`{"metadata":{"labels":{%q:null,%q:null,%q:null,%q:null}}}`, v1alpha1.SequentialJobUIDLabel,
		v1alpha1.SequentialJobNameLabel, v1alpha1.StepIndexLabel, v1alpha1.StepNameLabel),
	"the owner reference": `{"metadata":{"ownerReferences":null}}`,
}

func (c *cluster) takeOff(job, patch string) {
	c.T.Helper()
	_, err := c.Kube.BatchV1().Jobs(c.Namespace).Patch(c.T.Context(), job, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	framework.Must(c.T, err)
	// One that comes after it shows that the controller had time to see it.
	c.Create(framework.NewDrivenSequence("barrier", "only"))
	c.WaitForRunning("barrier", 0)
}

// The status has the UID of the Job: whatever else is taken off it, it is followed.
func TestAJobThatLostWhatMarksItAsOursIsFollowed(t *testing.T) {
	t.Parallel()
	for name, patch := range takenOff {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.StartController()
			c.Create(framework.NewDrivenSequence("etl", "extract", "load"))
			job := c.WaitForRunning("etl", 0)
			pod := c.RunPod("etl-0")
			// It has run for so long that nobody looks at it any more, unless something changes.
			c.waitUntil(job.CreationTimestamp.Add(runsLong))
			c.takeOff("etl-0", patch)
			c.EndPod(pod, 0, "")
			// No event of a watch need tell of it: it is looked at again within minutes.
			c.EventuallyWithin(5*time.Minute, "the next step to start", func(ctx context.Context) (bool, error) {
				_, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(ctx, "etl-1", metav1.GetOptions{})
				return err == nil, nil
			})
			c.EndPod(c.RunPod("etl-1"), 0, "")
			c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
			if names := c.Jobs.Names(); !slices.Equal(names, []string{"etl-0", "barrier-0", "etl-1"}) {
				t.Errorf("Jobs created: %q", names)
			}
		})
	}
}

func TestTheDeletionWaitsForAJobThatLostWhatMarksItAsOurs(t *testing.T) {
	t.Parallel()
	for name, patch := range takenOff {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.StartController()
			sj := c.Create(framework.NewDrivenSequence("etl", "extract", "load"))
			c.WaitForRunning("etl", 0)
			pod := c.RunPod("etl-0")
			letGo := c.StopSlowly(pod)
			c.takeOff("etl-0", patch)
			c.Delete("etl", metav1.DeletePropagationBackground)
			c.WaitUntilStopping(pod)
			if now := c.Get("etl"); now.UID != sj.UID {
				t.Errorf("it has gone before its pod")
			}
			letGo()
			c.WaitUntilGone(sj)
			if _, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(t.Context(), "etl-0", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("Job etl-0 is left: %v", err)
			}
		})
	}
}
