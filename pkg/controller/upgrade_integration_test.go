//go:build integration

package controller_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// stored is what an earlier version left behind; testdata/README.md tells how.
type stored struct {
	SequentialJobs []v1alpha1.SequentialJob `json:"sequentialJobs"`
	Jobs           []batchv1.Job            `json:"jobs"`
}

// restore creates the objects again. The API server gives new UIDs, which everything that points to them has to follow.
func (c *cluster) restore(file string) {
	c.t.Helper()
	raw, err := os.ReadFile(file)
	must(c.t, err)
	var old stored
	must(c.t, json.Unmarshal(raw, &old))
	uids := map[types.UID]types.UID{}
	for i := range old.SequentialJobs {
		created := c.create(old.SequentialJobs[i].DeepCopy())
		uids[old.SequentialJobs[i].UID] = created.UID
		old.SequentialJobs[i].ObjectMeta = created.ObjectMeta
	}
	for i := range old.Jobs {
		job := &old.Jobs[i]
		owner := &job.OwnerReferences[0]
		owner.UID = uids[owner.UID]
		job.Labels[v1alpha1.SequentialJobUIDLabel], job.Spec.Template.Labels[v1alpha1.SequentialJobUIDLabel] = string(owner.UID), string(owner.UID)
		created, err := c.kube.BatchV1().Jobs(c.ns).Create(c.t.Context(), job, metav1.CreateOptions{})
		must(c.t, err)
		uids[job.UID] = created.UID
		created.Status = job.Status
		_, err = c.kube.BatchV1().Jobs(c.ns).UpdateStatus(c.t.Context(), created, metav1.UpdateOptions{})
		must(c.t, err)
	}
	for i := range old.SequentialJobs {
		sj := &old.SequentialJobs[i]
		for j := range sj.Status.Steps {
			sj.Status.Steps[j].JobUID = uids[sj.Status.Steps[j].JobUID]
		}
		_, err := c.client.BatchV1alpha1().SequentialJobs(c.ns).UpdateStatus(c.t.Context(), sj, metav1.UpdateOptions{})
		must(c.t, err)
	}
}

func TestIntegrationWhatAnEarlierVersionStoredGoesOn(t *testing.T) {
	c := newByHandCluster(t)
	c.restore("testdata/before-control.json")
	before := c.jobs.names()
	completed, failed := c.get("completed"), c.get("failed")
	c.startController()

	c.waitForPhase("finishing", v1alpha1.SequentialJobCompleted)
	c.waitForRunning("blocked", 1)
	c.endJob("running-1", batchv1.JobComplete, "")
	c.endJob(c.waitForRunning("running", 2).Name, batchv1.JobComplete, "")
	c.waitForPhase("running", v1alpha1.SequentialJobCompleted)
	c.suspendJob("suspended-1", "false")
	c.waitForPhase("suspended", v1alpha1.SequentialJobRunning)
	c.endJob("suspended-1", batchv1.JobComplete, "")
	c.waitForRunning("suspended", 2)

	// A deadline that is set now counts from the start, and is long over.
	c.patch("suspended", `{"spec":{"activeDeadlineSeconds":1}}`)
	c.waitFor("suspended", "the deadline to reach the Job", func(*v1alpha1.SequentialJob) bool {
		return c.job("suspended-2").Spec.ActiveDeadlineSeconds != nil
	})
	if now := c.get("completed"); now.ResourceVersion != completed.ResourceVersion {
		t.Errorf("a completed sequence was written to:\n%s", cmp.Diff(completed, now))
	}
	if now := c.get("failed"); now.ResourceVersion != failed.ResourceVersion {
		t.Errorf("a failed sequence was written to:\n%s", cmp.Diff(failed, now))
	}
	c.patch("failed", `{"spec":{"retries":1}}`)
	c.endJob(c.waitForRetry("failed", 1, 1).Name, batchv1.JobComplete, "")
	c.waitForRunning("failed", 2)

	created := c.jobs.names()[len(before):]
	slices.Sort(created)
	if got, want := strings.Join(created, " "), "blocked-1 failed-1-r1 failed-2 running-2 suspended-2"; got != want {
		t.Errorf("Jobs created: %s, want %s", got, want)
	}
}
