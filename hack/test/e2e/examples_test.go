//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// providePipelineData makes what the pipeline examples read and write: a claim with the source in it, and a Secret.
func (c *cluster) providePipelineData() {
	c.T.Helper()
	c.kubectl(fmt.Sprintf(pipelineData, c.Namespace, writableFolder(c.T)), "apply", "-f", "-")
	c.kubectl("", "wait", "job/seed", "--for=condition=Complete", "--timeout="+framework.Patience.String())
}

// provideGPU makes the node one that has a GPU, as far as Kubernetes can tell.
func (c *cluster) provideGPU() {
	c.T.Helper()
	node := c.kubectl("", "get", "nodes", "-o", "name")
	node = strings.TrimSpace(node)
	c.kubectl("", "label", "--overwrite", node, "accelerator=nvidia")
	c.kubectl("", "patch", node, "--subresource=status", "--type=merge", "--patch",
		`{"status":{"capacity":{"nvidia.com/gpu":"1"},"allocatable":{"nvidia.com/gpu":"1"}}}`)
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

// runExample applies an example, gives the approval that it may wait for, and checks that it ends as it should.
func (c *cluster) runExample(manifest string) {
	c.T.Helper()
	c.kubectl(manifest, "apply", "-f", "-")
	for _, match := range sequentialJobName.FindAllStringSubmatch(manifest, -1) {
		switch name := match[1]; name {
		case "failing-step", "notify":
			c.mustFail(name)
		case "approval":
			c.WaitForPhase(name, v1alpha1.SequentialJobSuspended)
			c.kubectl("", "patch", "sj", name, "--type=json", "--patch", `[{"op":"replace","path":"/spec/stepOverrides/0/suspend","value":false}]`)
			c.mustComplete(name)
		default:
			c.mustComplete(name)
		}
	}
}

func (c *cluster) mustFail(name string) {
	c.T.Helper()
	if sj := c.waitForEnd(name); sj.Status.Phase != v1alpha1.SequentialJobFailed {
		c.T.Fatalf("%s is %s, want Failed", name, sj.Status.Phase)
	}
}

// results is what came of an example: how it ended, and how each of its Jobs did.
func (c *cluster) results(manifest string) []string {
	c.T.Helper()
	var results []string
	for _, match := range sequentialJobName.FindAllStringSubmatch(manifest, -1) {
		sj := c.Get(match[1])
		results = append(results, fmt.Sprintf("%s is %s", sj.Name, sj.Status.Phase))
		for _, condition := range sj.Status.Conditions {
			results = append(results, fmt.Sprintf("%s is %s: %s", condition.Type, condition.Status, condition.Reason))
		}
	}
	jobs, err := c.Kube.BatchV1().Jobs(c.Namespace).List(c.T.Context(), metav1.ListOptions{LabelSelector: v1alpha1.SequentialJobNameLabel})
	framework.Must(c.T, err)
	for i := range jobs.Items {
		job := &jobs.Items[i]
		results = append(results, fmt.Sprintf("Job %s: %d pods succeeded, %d failed", job.Name, job.Status.Succeeded, job.Status.Failed))
	}
	return results
}

// runExampleTwice deletes only the sequence in between: what is kept, such as a volume, must not change what comes of it.
func (c *cluster) runExampleTwice(manifest string) {
	c.T.Helper()
	c.runExample(manifest)
	first := c.results(manifest)
	c.kubectl("", "delete", "sequentialjobs", "--all", "--cascade=foreground", "--timeout="+framework.Patience.String())
	c.runExample(manifest)
	if diff := cmp.Diff(first, c.results(manifest)); diff != "" {
		c.T.Errorf("the second time differs (-first +second):\n%s", diff)
	}
	c.kubectl(manifest, "delete", "-f", "-", "--timeout="+framework.Patience.String())
}

// An example waits most of its time for its pods, so more of them run side by side than there are processors.
const examplesAtOnce = 6

func TestExamplesRunToTheirEnd(t *testing.T) {
	files, err := filepath.Glob(framework.Root + "/artifacts/examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	newCluster(t).provideGPU()
	workqueue.ParallelizeUntil(t.Context(), examplesAtOnce, len(files), func(i int) {
		t.Run(filepath.Base(files[i]), func(t *testing.T) { runExampleFile(t, files[i]) })
	})
}

func runExampleFile(t *testing.T, file string) {
	t.Helper()
	c := newCluster(t)
	manifest, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(manifest), "pipeline-data") {
		c.providePipelineData()
	}
	c.runExampleTwice(string(manifest))
}
