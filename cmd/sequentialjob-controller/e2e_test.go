//go:build e2e

// These tests need a cluster with a real node, on which the controller runs as deployed from manifests/ and which has
// the images of hack/demo. KUBECONFIG names it, KUBECTL the kubectl to use.
package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

const (
	root            = "../.."
	systemNamespace = "sequential-operator-system"
	patience        = 2 * time.Minute
)

// cluster is one namespace of the cluster under test.
type cluster struct {
	t         *testing.T
	namespace string
	kube      kubernetes.Interface
	client    versioned.Interface
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatalf("KUBECONFIG: %v", err)
	}
	c := &cluster{t: t, kube: kubernetes.NewForConfigOrDie(config), client: versioned.NewForConfigOrDie(config)}
	ns, err := c.kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.namespace = ns.Name
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.tryKubectl("", "get", "sequentialjobs,jobs,pods,events"))
		}
		if err := c.kube.CoreV1().Namespaces().Delete(context.Background(), c.namespace, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *cluster) tryKubectl(stdin string, args ...string) string {
	kubectl := os.Getenv("KUBECTL")
	if kubectl == "" {
		kubectl = "kubectl"
	}
	cmd := exec.Command(kubectl, append([]string{"--namespace", c.namespace}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s\n%v", out, err)
	}
	return string(out)
}

func (c *cluster) kubectl(stdin string, args ...string) string {
	c.t.Helper()
	out := c.tryKubectl(stdin, args...)
	if strings.Contains(out, "exit status") {
		c.t.Fatalf("kubectl %s: %s", strings.Join(args, " "), out)
	}
	return out
}

func (c *cluster) get(name string) *v1alpha1.SequentialJob {
	c.t.Helper()
	sj, err := c.client.BatchV1alpha1().SequentialJobs(c.namespace).Get(c.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return sj
}

func (c *cluster) eventually(what string, condition func(ctx context.Context) (bool, error)) {
	c.t.Helper()
	if err := wait.PollUntilContextTimeout(c.t.Context(), 100*time.Millisecond, patience, true, condition); err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

func (c *cluster) waitForEnd(name string) *v1alpha1.SequentialJob {
	c.t.Helper()
	c.kubectl("", "wait", "sequentialjob/"+name, "--for=jsonpath={.status.completionTime}", "--timeout="+patience.String())
	return c.get(name)
}

func (c *cluster) mustComplete(name string) {
	c.t.Helper()
	sj := c.waitForEnd(name)
	if sj.Status.Phase != v1alpha1.SequentialJobCompleted {
		c.t.Fatalf("%s is %s, want Completed:\n%s", name, sj.Status.Phase, c.kubectl("", "describe", "sequentialjob", name))
	}
	c.mustBeOrdered(sj)
}

// mustBeOrdered checks in the pods, which know best, that no step ran before the one before it had ended.
func (c *cluster) mustBeOrdered(sj *v1alpha1.SequentialJob) {
	c.t.Helper()
	var ended time.Time
	for i, step := range sj.Status.Steps {
		pods, err := c.kube.CoreV1().Pods(c.namespace).List(c.t.Context(),
			metav1.ListOptions{LabelSelector: batchv1.ControllerUidLabel + "=" + string(step.JobUID)})
		if err != nil || len(pods.Items) == 0 {
			c.t.Fatalf("step %d has no pods (%v)", i, err)
		}
		before := ended
		for _, pod := range pods.Items {
			if pod.CreationTimestamp.Time.Before(before) {
				c.t.Errorf("step %d started at %s, before step %d ended at %s", i, pod.CreationTimestamp, i-1, before)
			}
			for _, status := range pod.Status.ContainerStatuses {
				if end := status.State.Terminated; end != nil && end.FinishedAt.After(ended) {
					ended = end.FinishedAt.Time
				}
			}
		}
	}
}

// providePipelineData makes what the pipeline examples read and write: a claim with the source in it, and a Secret.
func (c *cluster) providePipelineData() {
	c.t.Helper()
	c.kubectl(fmt.Sprintf(pipelineData, c.namespace, writableFolder(c.t)), "apply", "-f", "-")
	c.kubectl("", "wait", "job/seed", "--for=condition=Complete", "--timeout="+patience.String())
}

// writableFolder is a folder of this machine that the images, which run as a user without rights, may write to.
func writableFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	return dir
}

const pipelineData = `
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  claimRef: {namespace: %[1]s, name: pipeline-data}
  hostPath: {path: %[2]s, type: DirectoryOrCreate}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: pipeline-data}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Secret
metadata: {name: db-credentials}
stringData: {connection-string: "sqlite:///data/warehouse.db"}
---
apiVersion: batch/v1
kind: Job
metadata: {name: seed}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: seed
          image: data-tools/extractor:v1
          command: [seed, --target=/data/source]
          volumeMounts: [{name: data, mountPath: /data}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: pipeline-data}}]
`

var sequentialJobName = regexp.MustCompile(`(?m)^kind: SequentialJob\nmetadata:\n\s+name: (\S+)`)

func (c *cluster) runExample(manifest string) {
	c.t.Helper()
	c.kubectl(manifest, "apply", "-f", "-")
	for _, match := range sequentialJobName.FindAllStringSubmatch(manifest, -1) {
		if name := match[1]; name == "failing-step" {
			c.mustFail(name)
		} else {
			c.mustComplete(name)
		}
	}
}

func (c *cluster) mustFail(name string) {
	c.t.Helper()
	if sj := c.waitForEnd(name); sj.Status.Phase != v1alpha1.SequentialJobFailed {
		c.t.Fatalf("%s is %s, want Failed", name, sj.Status.Phase)
	}
}

func TestE2EExamplesRunToTheirEnd(t *testing.T) {
	files, err := filepath.Glob(root + "/artifacts/examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c := newCluster(t)
			c.providePipelineData()
			manifest, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c.runExample(string(manifest))
		})
	}
}

func TestE2EReadmeExamplesRunToTheirEnd(t *testing.T) {
	readme, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		if !sequentialJobName.MatchString(block[1]) {
			continue
		}
		found++
		c := newCluster(t)
		c.providePipelineData()
		c.runExample(block[1])
	}
	if found == 0 {
		t.Fatal("no example in README.md")
	}
}
