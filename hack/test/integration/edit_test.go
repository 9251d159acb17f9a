//go:build integration

package integration_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestAnEditOfAStepThatHasNotStartedIsFollowed(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	sj := c.Create(framework.NewSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	next := c.Get("etl")
	next.Spec.Containers[1].Image = "example.com/load:v2"
	next.Spec.Containers = append(next.Spec.Containers, framework.NewSequence("", "report").Spec.Containers...)
	_, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Update(t.Context(), next, metav1.UpdateOptions{})
	framework.Must(t, err)
	edited := c.WaitFor("etl", "the edit to be seen", func(now *v1alpha1.SequentialJob) bool {
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
	c.EndJob("etl-0", batchv1.JobComplete, "")
	if image := c.WaitForRunning("etl", 1).Spec.Template.Spec.Containers[0].Image; image != "example.com/load:v2" {
		t.Errorf("step 1 runs %s", image)
	}
	c.EndJob("etl-1", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 2)
	c.EndJob("etl-2", batchv1.JobComplete, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	c.Jobs.Want("etl-0", "etl-1", "etl-2")
}

func TestOnlyTransitionsCauseWrites(t *testing.T) {
	c := newByHandCluster(t)
	counter := &framework.RequestCounter{}
	c.StartControllerVia(counter)
	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	c.Patch("etl", `{"metadata":{"annotations":{"example.com/edited":"while it runs"}}}`)
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 1)
	c.EndJob("etl-1", batchv1.JobComplete, "")
	c.WaitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
	})
	sj := "/apis/batch.example.com/v1alpha1/namespaces/" + c.Namespace + "/sequentialjobs/etl"
	jobs := "/apis/batch/v1/namespaces/" + c.Namespace + "/jobs"
	want := []string{
		"POST " + jobs, // the dry run
		"PATCH " + sj,  // the finalizer
		"POST " + jobs, "PUT " + sj + "/status", "POST " + jobs, "PUT " + sj + "/status", "PUT " + sj + "/status",
		"PATCH " + sj, // the finalizer
	}
	if diff := cmp.Diff(want, counter.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}

	finished := c.Patch("etl", `{"metadata":{"labels":{"example.com/edited":"after-the-end"}}}`)
	// One that comes after it shows that the controller had time to see the edit.
	c.Create(framework.NewSequence("barrier", "only"))
	c.WaitForRunning("barrier", 0)
	if now := c.Get("etl"); now.ResourceVersion != finished.ResourceVersion {
		t.Errorf("a finished SequentialJob was written to:\n%s", cmp.Diff(finished, now))
	}
}

func TestARestartedControllerWritesNothingAnew(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	stop := c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	done := c.WaitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
	})
	stop()
	c.StartController()
	c.Create(framework.NewSequence("barrier", "only"))
	c.WaitForPhase("barrier", v1alpha1.SequentialJobCompleted)
	if now := c.Get("etl"); now.ResourceVersion != done.ResourceVersion {
		t.Errorf("a finished SequentialJob was written to:\n%s", cmp.Diff(done, now))
	}
}
