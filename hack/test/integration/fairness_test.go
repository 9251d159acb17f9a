//go:build integration

package integration_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/util/workqueue"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/controller"
)

var crowd = flag.Int("crowd", 300, "how many SequentialJobs there are in a namespace that must not hold up another")

// The crowd comes first, the single one of another namespace last; and yet its first step starts among the first.
func TestACrowdDoesNotHoldUpAnotherNamespace(t *testing.T) {
	c := newClusterLabelled(t, framework.ByHand)
	other := framework.NewNamespace(t, framework.ByHand)
	workqueue.ParallelizeUntil(t.Context(), 20, *crowd, func(i int) { c.Create(framework.NewSequence(fmt.Sprintf("etl-%d", i), "extract")) })
	other.Create(framework.NewSequence("etl", "extract"))

	informers, err := controller.NewInformers(c.Kube, c.Client, c.Namespace, other.Namespace)
	framework.Must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	clients := controller.Clients{Kube: c.Kube, KubeJSON: c.Kube, SequentialJobs: c.Client, Events: c.Kube.CoreV1()}
	ctl, done := controller.New(clients, informers), make(chan error, 1)
	informers.Start(ctx)
	begin := time.Now()
	go func() { done <- ctl.Run(ctx, 10) }()
	t.Cleanup(func() { stop(); <-done; informers.Shutdown() })

	var alone batchv1.Job
	other.Eventually("its first step to start", func(ctx context.Context) (bool, error) {
		jobs, err := c.Kube.BatchV1().Jobs(other.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil || len(jobs.Items) == 0 {
			return false, err
		}
		alone = jobs.Items[0]
		return true, nil
	})
	t.Logf("its first step started after %v", time.Since(begin))
	jobs, err := c.Kube.BatchV1().Jobs(c.Namespace).List(t.Context(), metav1.ListOptions{})
	framework.Must(t, err)
	before := 0
	for i := range jobs.Items {
		if order, err := resourceversion.CompareResourceVersion(jobs.Items[i].ResourceVersion, alone.ResourceVersion); err == nil && order < 0 {
			before++
		}
	}
	if before > *crowd/3 {
		t.Errorf("%d of the crowd's %d started before it", before, *crowd)
	}
	t.Logf("%d of the crowd's %d started before it", before, *crowd)
}
