//go:build integration

package integration_test

import (
	"slices"
	"testing"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// kubectl replace, and a GitOps tool that replaces, writes an object without the finalizers that the manifest does not have.
func TestAFinalizerThatAReplaceDroppedComesBack(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	file := writeManifest(t, t.TempDir(), "etl", driven)
	c.Kubectl("apply", "-f", file)
	c.WaitForRunning("etl", 0)
	pod := c.RunPod("etl-0")
	c.Kubectl("replace", "-f", file)
	former := c.WaitFor("etl", "the finalizer to be back", func(sj *v1alpha1.SequentialJob) bool {
		return slices.Contains(sj.Finalizers, v1alpha1.CleanupFinalizer) && sj.Status.Phase == v1alpha1.SequentialJobRunning
	})

	// What it is for: one that is created again waits until the pod of the former has ended.
	letGo := c.StopSlowly(pod)
	c.Kubectl("delete", "-f", file, "--wait=false")
	c.WaitUntilStopping(pod)
	if out, err := framework.RunKubectl("create", "--namespace", c.Namespace, "-f", file); err == nil {
		t.Errorf("it was created again beside a pod that still runs: %s", out)
	}
	letGo()
	c.WaitUntilGone(former)
	c.wantNothingLeft()
	c.Jobs.Want("etl-0")
}

const driven = `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata: {name: etl}
spec:
  containers:
    - {name: extract, image: "example.com/extract:v1"}
    - {name: load, image: "example.com/load:v1"}
  template:
    spec: {schedulerName: example.com/nobody}
`
