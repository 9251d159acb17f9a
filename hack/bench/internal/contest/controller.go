package contest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

var sequentialJobs = schema.GroupVersionResource{Group: v1alpha1.GroupName, Version: v1alpha1.GroupVersion.Version, Resource: "sequentialjobs"}

// controller is the contestant that this project is about.
type controller struct {
	cluster *setup.Cluster
	options *Options

	process   *Process
	namespace string
	shape     Shape
	begun     map[string]time.Time
}

func (c *controller) name() string                  { return ControllerName }
func (c *controller) account() setup.ServiceAccount { return setup.Controller }
func (c *controller) pid() int                      { return c.process.PID() }
func (c *controller) died() <-chan struct{}         { return c.process.ended }

func (c *controller) start(ctx context.Context, namespace string, shape Shape) error {
	c.namespace, c.shape = namespace, shape
	var err error
	if c.process, err = StartController(ctx, c.cluster, c.options.Controller, c.options.Out, c.options.ControllerFlags); err != nil {
		return err
	}
	return c.process.WaitUntilReady(ctx, patience)
}

func (c *controller) begin(ctx context.Context) error {
	var err error
	c.begun, err = CreateSequences(ctx, c.cluster, c.namespace, c.shape, c.options.AdvanceOn)
	return err
}

// CreateSequences creates the SequentialJobs of a shape, and returns when it began to create each.
func CreateSequences(ctx context.Context, cluster *setup.Cluster, namespace string, shape Shape, advanceOn string) (map[string]time.Time, error) {
	var mu sync.Mutex
	begun := map[string]time.Time{}
	client := cluster.Dynamic.Resource(sequentialJobs).Namespace(namespace)
	err := inParallel(ctx, shape.Sequences, func(ctx context.Context, n int) error {
		sj, err := unstructuredSequence(namespace, n, shape, advanceOn)
		if err != nil {
			return err
		}
		mu.Lock()
		begun[sj.GetName()] = time.Now()
		mu.Unlock()
		_, err = client.Create(ctx, sj, metav1.CreateOptions{})
		return err
	})
	return begun, err
}

// unstructuredSequence returns a SequentialJob that can have fields which the Go types do not.
func unstructuredSequence(namespace string, index int, shape Shape, advanceOn string) (*unstructured.Unstructured, error) {
	raw, err := json.Marshal(newSequence(namespace, index, shape))
	if err != nil {
		return nil, err
	}
	sj := &unstructured.Unstructured{}
	if err := sj.UnmarshalJSON(raw); err != nil {
		return nil, err
	}
	unstructured.RemoveNestedField(sj.Object, "status")
	if advanceOn != "" {
		err = unstructured.SetNestedField(sj.Object, advanceOn, "spec", "advanceOn")
	}
	return sj, err
}

func (c *controller) finish(ctx context.Context) (map[string]time.Time, error) {
	return c.begun, WaitForCompleted(ctx, c.cluster, c.namespace)
}

// WaitForCompleted waits until all SequentialJobs of a namespace are Completed.
func WaitForCompleted(ctx context.Context, cluster *setup.Cluster, namespace string) error {
	var missing int
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		// From the watch cache, so that the benchmark costs the API server little.
		list, err := cluster.Client.BatchV1alpha1().SequentialJobs(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return false, err
		}
		missing = 0
		for i := range list.Items {
			if list.Items[i].Status.Phase != v1alpha1.SequentialJobCompleted {
				missing++
			}
		}
		return missing == 0, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for SequentialJobs to be Completed, %d are not: %w", missing, err)
	}
	return nil
}

func (c *controller) stop() {
	if c.process != nil {
		c.process.Stop()
		c.process = nil
	}
}
