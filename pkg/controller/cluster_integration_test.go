//go:build integration

// The integration tests need a cluster with a Job controller and (simulated) nodes whose Job pods succeed by themselves.
// KUBECONFIG names it, KUBECTL the kubectl to use.
package controller_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

const (
	root     = "../.."
	patience = 90 * time.Second
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for a cluster most of the time: more of them than there are processors can do so side by side.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	code, err := withCluster(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration tests:", err)
		code = 1
	}
	os.Exit(code)
}

func withCluster(m *testing.M) (int, error) {
	for _, name := range []string{"crd.yaml", "policy.yaml", "user-roles.yaml"} {
		if out, err := runKubectl("apply", "--server-side", "--force-conflicts", "-f", filepath.Join(root, "manifests", name)); err != nil {
			return 1, fmt.Errorf("install %s: %w\n%s", name, err, out)
		}
	}
	if out, err := exec.Command(filepath.Join(root, "hack/wait-for-crd.sh")).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("wait for the CRD: %w\n%s", err, out)
	}
	removePolicy, err := installByHandPolicy()
	if err != nil {
		return 1, err
	}
	defer removePolicy()
	code := m.Run()
	if controllerDir != "" {
		_ = os.RemoveAll(controllerDir)
	}
	return code, nil
}

func runKubectl(args ...string) (string, error) {
	kubectl := os.Getenv("KUBECTL")
	if kubectl == "" {
		kubectl = "kubectl"
	}
	out, err := exec.Command(kubectl, args...).CombinedOutput()
	return string(out), err
}

// cluster is a namespace of the cluster under test, for one test.
type cluster struct {
	t      *testing.T
	ns     string
	kube   kubernetes.Interface
	client versioned.Interface
	jobs   *jobLog
}

// newCluster returns a namespace whose Jobs are run by the Job controller: their pods succeed by themselves.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	return newClusterLabelled(t, nil)
}

func newClusterLabelled(t *testing.T, labels map[string]string) *cluster {
	t.Helper()
	t.Parallel()
	config := restConfig(t)
	c := &cluster{t: t, kube: kubernetes.NewForConfigOrDie(config), client: versioned.NewForConfigOrDie(config)}
	ns, err := c.kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "controller-test-", Labels: labels}}, metav1.CreateOptions{})
	must(t, err)
	c.ns = ns.Name
	t.Cleanup(c.remove)
	c.jobs = watchJobs(c)
	return c
}

func restConfig(t *testing.T) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatalf("KUBECONFIG has to name a cluster to test against: %v", err)
	}
	config.QPS = -1
	return config
}

// remove deletes the namespace, in which no controller takes care of finalizers any more.
func (c *cluster) remove() {
	ctx := context.Background()
	if c.t.Failed() {
		out, _ := runKubectl("get", "-n", c.ns, "sequentialjobs,jobs,pods,events", "-o", "wide")
		c.t.Log(out)
	}
	sjs, err := c.client.BatchV1alpha1().SequentialJobs(c.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		c.t.Error(err)
		return
	}
	for i := range sjs.Items {
		_, err := c.client.BatchV1alpha1().SequentialJobs(c.ns).Patch(ctx, sjs.Items[i].Name, types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			c.t.Error(err)
		}
	}
	if err := c.kube.CoreV1().Namespaces().Delete(ctx, c.ns, metav1.DeleteOptions{}); err != nil {
		c.t.Error(err)
	}
}

// startController runs a controller for this namespace in this process, as the command does, until the test ends or stop
// is called. It is independent of the controllers of other tests.
func (c *cluster) startController() (stop func()) {
	c.t.Helper()
	return c.startControllerVia(&requestCounter{})
}

func (c *cluster) startControllerVia(counter *requestCounter) (stop func()) {
	c.t.Helper()
	return c.startControllerThrough(counter.wrap)
}

// kubectl runs kubectl in the namespace and returns what it prints.
func (c *cluster) kubectl(args ...string) string {
	c.t.Helper()
	out, err := runKubectl(append([]string{"--namespace", c.ns}, args...)...)
	if err != nil {
		c.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) create(sj *v1alpha1.SequentialJob) *v1alpha1.SequentialJob {
	c.t.Helper()
	stored, err := c.client.BatchV1alpha1().SequentialJobs(c.ns).Create(c.t.Context(), sj, metav1.CreateOptions{})
	must(c.t, err)
	return stored
}

func (c *cluster) get(name string) *v1alpha1.SequentialJob {
	c.t.Helper()
	sj, err := c.client.BatchV1alpha1().SequentialJobs(c.ns).Get(c.t.Context(), name, metav1.GetOptions{})
	must(c.t, err)
	return sj
}

// patch changes a SequentialJob as a user does.
func (c *cluster) patch(name, patch string) *v1alpha1.SequentialJob {
	c.t.Helper()
	sj, err := c.client.BatchV1alpha1().SequentialJobs(c.ns).Patch(c.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	must(c.t, err)
	return sj
}

// waitFor waits until a SequentialJob fulfils a condition and returns it.
func (c *cluster) waitFor(name, what string, condition func(*v1alpha1.SequentialJob) bool) *v1alpha1.SequentialJob {
	c.t.Helper()
	var sj *v1alpha1.SequentialJob
	c.eventually(what, func(ctx context.Context) (bool, error) {
		var err error
		sj, err = c.client.BatchV1alpha1().SequentialJobs(c.ns).Get(ctx, name, metav1.GetOptions{})
		return err == nil && condition(sj), err
	})
	return sj
}

func (c *cluster) waitForPhase(name string, phase v1alpha1.SequentialJobPhase) *v1alpha1.SequentialJob {
	c.t.Helper()
	return c.waitFor(name, fmt.Sprintf("SequentialJob %s to be %s", name, phase), func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == phase
	})
}

// waitUntilGone waits until there is no SequentialJob of that name and UID.
func (c *cluster) waitUntilGone(sj *v1alpha1.SequentialJob) {
	c.t.Helper()
	c.eventually("SequentialJob "+sj.Name+" to be gone", func(ctx context.Context) (bool, error) {
		now, err := c.client.BatchV1alpha1().SequentialJobs(c.ns).Get(ctx, sj.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return err == nil && now.UID != sj.UID, err
	})
}

func (c *cluster) eventually(what string, condition wait.ConditionWithContextFunc) {
	c.t.Helper()
	if err := wait.PollUntilContextTimeout(c.t.Context(), 50*time.Millisecond, patience, true, condition); err != nil {
		c.t.Fatalf("waiting for %s: %v", what, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
