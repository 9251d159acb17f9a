//go:build integration

package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const applied = `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata:
  name: %s
  labels:
    app: pipelines
spec:%s
  containers:
    - name: extract
      image: example.com/extract:v1
      resources:
        requests:
          memory: 1024Mi
    - name: load
      image: example.com/load:v1
`

// writeSequence writes the manifest of a SequentialJob of two steps; more is further fields of its spec.
func writeSequence(t *testing.T, dir, name, more string) (file string) {
	t.Helper()
	if more != "" {
		more = "\n  " + more
	}
	return writeManifest(t, dir, name, fmt.Sprintf(applied, name, more))
}

func writeManifest(t *testing.T, dir, name, content string) (file string) {
	t.Helper()
	file = filepath.Join(dir, name+".yaml")
	framework.Must(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

// wantNoDrift checks that manifests that were applied ask for nothing that is not there, in any way of asking.
func (c *cluster) wantNoDrift(when, manifests string) {
	c.T.Helper()
	for _, way := range [][]string{nil, {"--server-side", "--field-manager=kubectl-client-side-apply"}} {
		args := append([]string{"--namespace", c.Namespace, "diff", "-f", manifests}, way...)
		if out, err := framework.RunKubectl(args...); err != nil || strings.TrimSpace(out) != "" {
			c.T.Errorf("%s, kubectl diff %q: %v\n%s", when, way, err, out)
		}
	}
	for line := range strings.Lines(c.Kubectl("apply", "-f", manifests)) {
		// A Secret with stringData, which the API server does not keep, is never unchanged.
		if strings.HasPrefix(line, "sequentialjob") && !strings.HasSuffix(strings.TrimSpace(line), " unchanged") {
			c.T.Errorf("%s, kubectl apply: %s", when, line)
		}
	}
}

// startPod says that the Job has a pod that runs. Without one the status comes to tell so, maybe just while it is compared.
func (c *cluster) startPod(name string) {
	c.T.Helper()
	job := c.Job(name)
	job.Status.StartTime, job.Status.Active, job.Status.Ready = &job.CreationTimestamp, 1, new(int32(1))
	_, err := c.Kube.BatchV1().Jobs(c.Namespace).UpdateStatus(c.T.Context(), job, metav1.UpdateOptions{})
	framework.Must(c.T, err)
}

// GitOps tools apply the same again and again, whatever the sequence does meanwhile.
func TestKubectlApplyOfTheSameChangesNothing(t *testing.T) {
	c := newByHandCluster(t)
	file := writeSequence(t, t.TempDir(), "etl", "suspend: false")
	c.Kubectl("apply", "-f", file)
	c.wantNoDrift("before a controller saw it", file)
	c.StartController()
	c.WaitForRunning("etl", 0)
	c.startPod("etl-0")
	c.wantNoDrift("while it runs", file)
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 1)
	c.startPod("etl-1")
	c.wantNoDrift("while the second step runs", file)
	c.EndJob("etl-1", batchv1.JobComplete, "")
	sj := c.WaitFor("etl", "its end, with its finalizer gone", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
	})
	c.wantNoDrift("after its end", file)
	if now := c.Get("etl"); now.Generation != 1 || now.ResourceVersion != sj.ResourceVersion {
		t.Errorf("generation %d; resourceVersion %s, and before the last apply %s", now.Generation, now.ResourceVersion, sj.ResourceVersion)
	}
	c.Jobs.Want("etl-0", "etl-1")
}

func TestServerSideApplyOfTheSameChangesNothing(t *testing.T) {
	c := newByHandCluster(t)
	file := writeSequence(t, t.TempDir(), "etl", "suspend: false")
	apply := func() { c.Kubectl("apply", "--server-side", "--field-manager=ci", "-f", file) }
	apply()
	c.StartController()
	for index, job := range []string{"etl-0", "etl-1"} {
		c.WaitForRunning("etl", index)
		apply()
		c.EndJob(job, batchv1.JobComplete, "")
	}
	sj := c.WaitFor("etl", "its end, with its finalizer gone", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
	})
	apply()
	if out, err := framework.RunKubectl("--namespace", c.Namespace, "diff", "--server-side", "--field-manager=ci", "-f", file); err != nil || out != "" {
		t.Errorf("kubectl diff: %v\n%s", err, out)
	}
	if now := c.Get("etl"); now.Generation != 1 || now.ResourceVersion != sj.ResourceVersion {
		t.Errorf("generation %d; resourceVersion %s, and before the last apply %s", now.Generation, now.ResourceVersion, sj.ResourceVersion)
	}
	c.Jobs.Want("etl-0", "etl-1")
}

// What the API server makes of a manifest is what the manifest says: no default adds to any example.
func TestNoExampleDriftsOnceItIsApplied(t *testing.T) {
	c := newByHandCluster(t)
	examples := filepath.Join(framework.Root, "artifacts/examples")
	if created := c.Kubectl("apply", "-f", examples); strings.Count(created, "sequentialjob.batch.example.com/") < 10 {
		t.Fatalf("only these examples were found:\n%s", created)
	}
	c.wantNoDrift("just created", examples)
}

// Somebody else than who wrote the sequence grants retries; neither takes the other's fields, and the controller takes nobody's.
func TestASecondFieldManagerOwnsTheRetries(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	dir := t.TempDir()
	file := writeSequence(t, dir, "etl", "")
	c.Kubectl("apply", "--server-side", "--field-manager=ci", "-f", file)
	c.WaitForRunning("etl", 0)
	retries := writeManifest(t, dir, "retries",
		"apiVersion: batch.example.com/v1alpha1\nkind: SequentialJob\nmetadata:\n  name: etl\nspec:\n  retries: 1\n")
	c.Kubectl("apply", "--server-side", "--field-manager=oncall", "-f", retries)
	c.EndJob("etl-0", batchv1.JobFailed, "BackoffLimitExceeded")
	c.waitForRetry("etl", 0, 1)
	c.Kubectl("apply", "--server-side", "--field-manager=ci", "-f", file)
	if sj := c.Get("etl"); sj.Spec.Retries == nil || *sj.Spec.Retries != 1 {
		t.Errorf("another apply of the sequence took the retries away: %v", sj.Spec.Retries)
	}
	taken := writeSequence(t, dir, "etl", "retries: 5")
	out, err := framework.RunKubectl("--namespace", c.Namespace, "apply", "--server-side", "--field-manager=ci", "-f", taken)
	if err == nil || !strings.Contains(out, `conflict with "oncall": .spec.retries`) {
		t.Errorf("retries were taken from who owns them: %v\n%s", err, out)
	}
	c.EndJob("etl-0-r1", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 1)
	c.wantManagers("etl", "ci", "oncall")
}

// wantManagers checks that only these own something of the spec.
func (c *cluster) wantManagers(name string, want ...string) {
	c.T.Helper()
	owners := map[string]bool{}
	for _, entry := range c.Get(name).ManagedFields {
		if entry.FieldsV1 != nil && strings.Contains(string(entry.FieldsV1.GetRawBytes()), `"f:spec"`) {
			owners[entry.Manager] = entry.Operation == metav1.ManagedFieldsOperationApply
		}
	}
	for _, manager := range want {
		if !owners[manager] {
			c.T.Errorf("%s owns nothing of the spec", manager)
		}
		delete(owners, manager)
	}
	if len(owners) > 0 {
		c.T.Errorf("these own something of the spec as well: %v", owners)
	}
}
