// Package framework has what the tests of this project share that need a cluster: hack/test/integration, hack/test/faults and
// the others beside it. KUBECONFIG names the cluster, KUBECTL the kubectl to use; hack/test.sh makes both.
//
// The cluster has a Job controller, and nodes, simulated ones mostly, on which the pods of Jobs succeed by themselves.
package framework

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

const (
	// Root is the top folder of the project, as seen from the folder of a test.
	Root = "../../.."
	// Patience is how long a test waits for something before it fails.
	Patience = 2 * time.Minute
)

// Cluster is a namespace of the cluster under test, for one test.
type Cluster struct {
	T         *testing.T
	Namespace string
	// Kube and Client are an administrator's.
	Kube   kubernetes.Interface
	Client versioned.Interface
	// Jobs tells what became of the Jobs of the namespace. NewNamespace leaves it nil.
	Jobs *JobLog
}

// NewCluster returns a namespace whose Jobs are run by the Job controller: their pods succeed by themselves. The test runs
// beside others from then on.
func NewCluster(t *testing.T) *Cluster {
	t.Helper()
	return NewClusterLabelled(t, nil)
}

// NewClusterLabelled is NewCluster with labels of the namespace.
func NewClusterLabelled(t *testing.T, labels map[string]string) *Cluster {
	t.Helper()
	t.Parallel()
	return NewClusterAlone(t, labels)
}

// NewClusterAlone is NewClusterLabelled for a test that runs beside no other, because it changes what all share.
func NewClusterAlone(t *testing.T, labels map[string]string) *Cluster {
	t.Helper()
	c := NewNamespace(t, labels)
	c.Jobs = watchJobs(c)
	return c
}

// NewNamespace returns a namespace, which is removed after the test. The test runs beside others only if it says so.
func NewNamespace(t *testing.T, labels map[string]string) *Cluster {
	t.Helper()
	config := RestConfig(t)
	c := &Cluster{T: t, Kube: kubernetes.NewForConfigOrDie(config), Client: versioned.NewForConfigOrDie(config)}
	ns, err := c.Kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}, metav1.CreateOptions{})
	Must(t, err)
	c.Namespace = ns.Name
	t.Cleanup(c.remove)
	return c
}

// RestConfig is an administrator's access to the cluster, which does not limit how much is asked.
func RestConfig(t *testing.T) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatalf("KUBECONFIG has to name a cluster to test against: %v", err)
	}
	config.QPS = -1
	return config
}

// remove deletes the namespace, in which no controller takes care of finalizers any more.
func (c *Cluster) remove() {
	ctx := context.Background()
	if c.T.Failed() {
		out, _ := RunKubectl("get", "-n", c.Namespace, "sequentialjobs,jobs,pods,events", "-o", "wide")
		c.T.Log(out)
	}
	sjs, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		c.T.Error(err)
		return
	}
	for i := range sjs.Items {
		_, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Patch(ctx, sjs.Items[i].Name, types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			c.T.Error(err)
		}
	}
	if err := c.Kube.CoreV1().Namespaces().Delete(ctx, c.Namespace, metav1.DeleteOptions{}); err != nil {
		c.T.Error(err)
	}
}

// Kubectl runs kubectl in the namespace and returns what it prints.
func (c *Cluster) Kubectl(args ...string) string {
	c.T.Helper()
	out, err := RunKubectl(append([]string{"--namespace", c.Namespace}, args...)...)
	if err != nil {
		c.T.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Eventually waits until a condition is fulfilled, which what names. The test fails if the condition returns an error, or never is.
func (c *Cluster) Eventually(what string, condition wait.ConditionWithContextFunc) {
	c.T.Helper()
	c.EventuallyWithin(Patience, what, condition)
}

// EventuallyWithin is Eventually with a patience of its own.
func (c *Cluster) EventuallyWithin(patience time.Duration, what string, condition wait.ConditionWithContextFunc) {
	c.T.Helper()
	if err := wait.PollUntilContextTimeout(c.T.Context(), 50*time.Millisecond, patience, true, condition); err != nil {
		c.T.Fatalf("waiting for %s: %v", what, err)
	}
}

// Must fails the test if there is an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
