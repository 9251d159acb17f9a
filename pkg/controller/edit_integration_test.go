//go:build integration

package controller_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestIntegrationAnEditOfAStepThatHasNotStartedIsFollowed(t *testing.T) {
	c := newByHandCluster(t)
	c.startController()
	sj := c.create(newSequence("etl", "extract", "load"))
	c.waitForRunning("etl", 0)
	next := c.get("etl")
	next.Spec.Containers[1].Image = "example.com/load:v2"
	next.Spec.Containers = append(next.Spec.Containers, newSequence("", "report").Spec.Containers...)
	_, err := c.client.BatchV1alpha1().SequentialJobs(c.ns).Update(t.Context(), next, metav1.UpdateOptions{})
	must(t, err)
	edited := c.waitFor("etl", "the edit to be seen", func(now *v1alpha1.SequentialJob) bool {
		return now.Status.ObservedGeneration == sj.Generation+1
	})
	for _, condition := range edited.Status.Conditions {
		if condition.ObservedGeneration != edited.Generation {
			t.Errorf("condition %+v", condition)
		}
	}
	if edited.Status.Progress.Completions != "0/3" {
		t.Errorf("progress %+v", edited.Status.Progress)
	}
	c.waitForEvent("etl", "SpecChanged: Spec changed to generation 2: steps that have not started follow it")
	c.endJob("etl-0", batchv1.JobComplete, "")
	if image := c.waitForRunning("etl", 1).Spec.Template.Spec.Containers[0].Image; image != "example.com/load:v2" {
		t.Errorf("step 1 runs %s", image)
	}
	c.endJob("etl-1", batchv1.JobComplete, "")
	c.waitForRunning("etl", 2)
	c.endJob("etl-2", batchv1.JobComplete, "")
	c.waitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.jobs.want("etl-0", "etl-1", "etl-2")
}

func TestIntegrationOnlyTransitionsCauseWrites(t *testing.T) {
	c := newByHandCluster(t)
	counter := &requestCounter{}
	c.startControllerVia(counter)
	c.create(newSequence("etl", "extract", "load"))
	c.waitForRunning("etl", 0)
	c.patch("etl", `{"metadata":{"annotations":{"example.com/edited":"while it runs"}}}`)
	c.endJob("etl-0", batchv1.JobComplete, "")
	c.waitForRunning("etl", 1)
	c.endJob("etl-1", batchv1.JobComplete, "")
	c.waitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
	})
	sj := "/apis/batch.example.com/v1alpha1/namespaces/" + c.ns + "/sequentialjobs/etl"
	jobs := "/apis/batch/v1/namespaces/" + c.ns + "/jobs"
	want := []string{
		"PATCH " + sj,  // the finalizer
		"POST " + jobs, // the dry run
		"POST " + jobs, "PUT " + sj + "/status", "POST " + jobs, "PUT " + sj + "/status", "PUT " + sj + "/status",
		"PATCH " + sj, // the finalizer
	}
	if diff := cmp.Diff(want, counter.list()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}

	finished := c.patch("etl", `{"metadata":{"labels":{"example.com/edited":"after-the-end"}}}`)
	// One that comes after it shows that the controller had time to see the edit.
	c.create(newSequence("barrier", "only"))
	c.waitForRunning("barrier", 0)
	if now := c.get("etl"); now.ResourceVersion != finished.ResourceVersion {
		t.Errorf("a finished SequentialJob was written to:\n%s", cmp.Diff(finished, now))
	}
}

func TestIntegrationARestartedControllerWritesNothingAnew(t *testing.T) {
	c := newByHandCluster(t)
	c.jobs.completeAll()
	stop := c.startController()
	c.create(newSequence("etl", "extract", "load"))
	done := c.waitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
	})
	stop()
	c.startController()
	c.create(newSequence("barrier", "only"))
	c.waitForPhase("barrier", v1alpha1.SequentialJobCompleted)
	if now := c.get("etl"); now.ResourceVersion != done.ResourceVersion {
		t.Errorf("a finished SequentialJob was written to:\n%s", cmp.Diff(done, now))
	}
}
