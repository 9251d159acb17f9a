//go:build integration

package integration_test

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

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// stored is what an earlier version left behind; testdata/README.md tells how.
type stored struct {
	SequentialJobs []v1alpha1.SequentialJob `json:"sequentialJobs"`
	Jobs           []batchv1.Job            `json:"jobs"`
}

// restore creates the objects again. The API server gives new UIDs, which everything that points to them has to follow.
func (c *cluster) restore(file string) {
	c.T.Helper()
	raw, err := os.ReadFile(file)
	framework.Must(c.T, err)
	var old stored
	framework.Must(c.T, json.Unmarshal(raw, &old))
	uids := map[types.UID]types.UID{}
	for i := range old.SequentialJobs {
		created := c.Create(old.SequentialJobs[i].DeepCopy())
		uids[old.SequentialJobs[i].UID] = created.UID
		old.SequentialJobs[i].ObjectMeta = created.ObjectMeta
	}
	for i := range old.Jobs {
		job := &old.Jobs[i]
		owner := &job.OwnerReferences[0]
		owner.UID = uids[owner.UID]
		job.Labels[v1alpha1.SequentialJobUIDLabel], job.Spec.Template.Labels[v1alpha1.SequentialJobUIDLabel] = string(owner.UID), string(owner.UID)
		created, err := c.Kube.BatchV1().Jobs(c.Namespace).Create(c.T.Context(), job, metav1.CreateOptions{})
		framework.Must(c.T, err)
		uids[job.UID] = created.UID
		created.Status = job.Status
		_, err = c.Kube.BatchV1().Jobs(c.Namespace).UpdateStatus(c.T.Context(), created, metav1.UpdateOptions{})
		framework.Must(c.T, err)
	}
	for i := range old.SequentialJobs {
		sj := &old.SequentialJobs[i]
		for j := range sj.Status.Steps {
			sj.Status.Steps[j].JobUID = uids[sj.Status.Steps[j].JobUID]
		}
		_, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).UpdateStatus(c.T.Context(), sj, metav1.UpdateOptions{})
		framework.Must(c.T, err)
	}
}

func TestWhatAnEarlierVersionStoredGoesOn(t *testing.T) {
	c := newByHandCluster(t)
	c.restore("testdata/before-control.json")
	before := c.Jobs.Names()
	completed, failed := c.Get("completed"), c.Get("failed")
	c.StartController()

	c.WaitForPhase("finishing", v1alpha1.SequentialJobCompleted)
	c.WaitForRunning("blocked", 1)
	c.EndJob("running-1", batchv1.JobComplete, "")
	c.EndJob(c.WaitForRunning("running", 2).Name, batchv1.JobComplete, "")
	c.WaitForPhase("running", v1alpha1.SequentialJobCompleted)
	c.suspendJob("suspended-1", "false")
	c.WaitForPhase("suspended", v1alpha1.SequentialJobRunning)
	c.EndJob("suspended-1", batchv1.JobComplete, "")
	c.WaitForRunning("suspended", 2)

	// A deadline that is set now counts from the start, and is long over.
	c.Patch("suspended", `{"spec":{"activeDeadlineSeconds":1}}`)
	c.WaitFor("suspended", "the deadline to reach the Job", func(*v1alpha1.SequentialJob) bool {
		return c.Job("suspended-2").Spec.ActiveDeadlineSeconds != nil
	})
	if now := c.Get("completed"); now.ResourceVersion != completed.ResourceVersion {
		t.Errorf("a completed sequence was written to:\n%s", cmp.Diff(completed, now))
	}
	if now := c.Get("failed"); now.ResourceVersion != failed.ResourceVersion {
		t.Errorf("a failed sequence was written to:\n%s", cmp.Diff(failed, now))
	}
	c.Patch("failed", `{"spec":{"retries":1}}`)
	c.EndJob(c.waitForRetry("failed", 1, 1).Name, batchv1.JobComplete, "")
	c.WaitForRunning("failed", 2)

	created := c.Jobs.Names()[len(before):]
	slices.Sort(created)
	if got, want := strings.Join(created, " "), "blocked-1 failed-1-r1 failed-2 running-2 suspended-2"; got != want {
		t.Errorf("Jobs created: %s, want %s", got, want)
	}
}
