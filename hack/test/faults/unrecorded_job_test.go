//go:build integration

package faults_test

import (
	"context"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// A Job may be deleted between its creation and the status write that records it, and that write may be refused: the
// controller that created it knows that the step was started, and does not start it again under the same name.
func TestAJobDeletedBeforeItIsRecordedIsNotCreatedAgain(t *testing.T) {
	c := newByHandCluster(t)
	g := newGate()
	g.freezeBefore(statusWrite)
	stop := c.StartControllerThrough(g.wrap)
	c.Create(framework.NewSequence("etl", "extract"))
	c.waitUntilFrozen(g)
	framework.Must(t, c.Kube.BatchV1().Jobs(c.Namespace).Delete(t.Context(), "etl-0", metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}))
	c.Patch("etl", `{"metadata":{"annotations":{"a":"b"}}}`)
	g.release(everything)
	c.Eventually("the end", func(ctx context.Context) (bool, error) {
		if err := c.TryEndJob(ctx, "etl-0", batchv1.JobComplete, ""); err != nil && !apierrors.IsNotFound(err) {
			return false, nil
		}
		return c.Get("etl").Status.CompletionTime != nil, nil
	})
	stop()
	h, _ := c.judge()
	if got := h.allNames(); !slices.Equal(got, []string{"etl-0"}) {
		t.Errorf("Jobs created: %q", got)
	}
}
