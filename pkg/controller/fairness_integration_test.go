//go:build integration

package controller_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/util/workqueue"

	"github.com/example/sequential-job-operator/pkg/controller"
)

var crowd = flag.Int("crowd", 300, "how many SequentialJobs there are in a namespace that must not hold up another")

// The crowd comes first, the single one of another namespace last; and yet its first step starts among the first.
func TestIntegrationACrowdDoesNotHoldUpAnotherNamespace(t *testing.T) {
	c := newClusterLabelled(t, byHand)
	other := &cluster{t: t, kube: c.kube, client: c.client}
	ns, err := c.kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "controller-test-", Labels: byHand}}, metav1.CreateOptions{})
	must(t, err)
	other.ns = ns.Name
	t.Cleanup(other.remove)
	workqueue.ParallelizeUntil(t.Context(), 20, *crowd, func(i int) { c.create(newSequence(fmt.Sprintf("etl-%d", i), "extract")) })
	other.create(newSequence("etl", "extract"))

	informers, err := controller.NewInformers(c.kube, c.client, c.ns, other.ns)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ctl, done := controller.New(ctx, c.kube, c.client, informers), make(chan error, 1)
	informers.Start(ctx)
	begin := time.Now()
	go func() { done <- ctl.Run(ctx, 10) }()
	t.Cleanup(func() { stop(); <-done; informers.Shutdown() })

	var alone batchv1.Job
	other.eventually("its first step to start", func(ctx context.Context) (bool, error) {
		jobs, err := c.kube.BatchV1().Jobs(other.ns).List(ctx, metav1.ListOptions{})
		if err != nil || len(jobs.Items) == 0 {
			return false, err
		}
		alone = jobs.Items[0]
		return true, nil
	})
	t.Logf("its first step started after %v", time.Since(begin))
	jobs, err := c.kube.BatchV1().Jobs(c.ns).List(t.Context(), metav1.ListOptions{})
	must(t, err)
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
