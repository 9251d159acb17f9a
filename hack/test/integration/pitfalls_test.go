//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// What went wrong in other projects that run one Job after another.

func TestSequencesWhoseNamesBeginAlikeDoNotMix(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	var steps []string
	for i := range 12 {
		steps = append(steps, fmt.Sprintf("s%d", i))
	}
	names := []string{"a", "a-1", "a-1-r1", "a-10"}
	for _, name := range names {
		sj := framework.NewSequence(name, steps...)
		sj.Spec.Retries = new(int32(1))
		c.Create(sj)
	}
	for index := range steps {
		for _, name := range names {
			job := c.WaitForRunning(name, index)
			if index == 1 {
				c.EndJob(job.Name, batchv1.JobFailed, "BackoffLimitExceeded")
				job = c.waitForRetry(name, index, 1)
			}
			c.EndJob(job.Name, batchv1.JobComplete, "")
		}
	}
	for _, name := range names {
		sj := c.WaitForPhase(name, v1alpha1.SequentialJobCompleted)
		for i, step := range sj.Status.Steps {
			job := c.Job(step.JobName)
			if job.UID != step.JobUID || !metav1.IsControlledBy(job, sj) || job.Labels[v1alpha1.StepIndexLabel] != fmt.Sprint(i) {
				t.Errorf("step %d of %s is recorded with Job %s of %v", i, name, job.Name, metav1.GetControllerOf(job))
			}
		}
	}
	if got, want := len(c.Jobs.Names()), len(names)*(len(steps)+1); got != want {
		t.Errorf("%d Jobs were created, want %d: %q", got, want, c.Jobs.Names())
	}
}

// waitForRetry waits until that retry of a step runs and returns its Job.
func (c *cluster) waitForRetry(name string, index int, retry int32) *batchv1.Job {
	c.T.Helper()
	sj := c.WaitFor(name, fmt.Sprintf("retry %d of step %d of %s", retry, index, name), func(sj *v1alpha1.SequentialJob) bool {
		steps := sj.Status.Steps
		return len(steps) == index+1 && steps[index].State == v1alpha1.StepRunning && steps[index].Retries == retry
	})
	return c.Job(sj.Status.Steps[index].JobName)
}

func TestACompleteJobThatIsDeletedUnseenIsNotRunAgain(t *testing.T) {
	c := newByHandCluster(t)
	stop := c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	stop()
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.deleteJob("etl-0")
	c.StartController()
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	if sj.Status.Progress.FailureReason != v1alpha1.ReasonJobDeleted {
		t.Errorf("progress %+v", sj.Status.Progress)
	}
	c.Jobs.Want("etl-0")
}

// Labels prove nothing: a Job of somebody else that carries ours is neither counted nor touched.
func TestAForeignJobWithOurLabelsIsLeftAlone(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	first := c.WaitForRunning("etl", 0)
	foreign := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "etl-1", Labels: map[string]string{}}}
	for key, value := range first.Labels {
		if strings.HasPrefix(key, v1alpha1.LabelPrefix) {
			foreign.Labels[key] = value
		}
	}
	foreign.Labels[v1alpha1.StepIndexLabel], foreign.Labels[v1alpha1.StepNameLabel] = "1", "load"
	foreign.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "load", Image: "i"}}}
	foreign, err := c.Kube.BatchV1().Jobs(c.Namespace).Create(t.Context(), foreign, metav1.CreateOptions{})
	framework.Must(t, err)
	c.EndJob("etl-1", batchv1.JobComplete, "")
	c.EndJob("etl-0", batchv1.JobComplete, "")
	sj := c.waitForReason("etl", v1alpha1.ReasonJobNameConflict)
	if len(sj.Status.Steps) != 1 {
		t.Errorf("steps %+v", sj.Status.Steps)
	}
	c.Delete("etl", metav1.DeletePropagationBackground)
	c.WaitUntilGone(sj)
	if now := c.Job("etl-1"); now.UID != foreign.UID {
		t.Error("the foreign Job was deleted")
	}
}

func TestSequencesThatShareATemplateAndAVolumeDoNotMixStatus(t *testing.T) {
	c := newCluster(t)
	c.createVolume("shared")
	c.StartController()
	names := []string{"one", "two", "three"}
	for _, name := range names {
		sj := framework.NewSequence(name, "extract", "load")
		sj.Spec.Template.Labels = map[string]string{"app": "shared", "job-name": "one-0", "controller-uid": "wrong"}
		sj.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "shared"},
		}}}
		c.Create(sj)
	}
	for _, name := range names {
		sj := c.WaitForPhase(name, v1alpha1.SequentialJobCompleted)
		for i, step := range sj.Status.Steps {
			if step.JobName != fmt.Sprintf("%s-%d", name, i) || !metav1.IsControlledBy(c.Job(step.JobName), sj) {
				t.Errorf("%s has step %+v", name, step)
			}
		}
	}
}

// Nothing stays behind, and nobody keeps trying: not even the finalizer keeps the namespace.
func TestANamespaceThatIsDeletedWhileSequencesRunGoes(t *testing.T) {
	c := newCluster(t)
	counter := &framework.RequestCounter{}
	c.StartControllerVia(counter)
	ns, err := c.Kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.Namespace + "-gone"}}, metav1.CreateOptions{})
	framework.Must(t, err)
	inner := &cluster{&framework.Cluster{T: t, Namespace: ns.Name, Kube: c.Kube, Client: c.Client}}
	innerCounter := &framework.RequestCounter{}
	inner.StartControllerVia(innerCounter)
	for _, name := range []string{"one", "two", "three"} {
		inner.Create(framework.NewStuckSequence(name, "extract", "load"))
		inner.WaitForRunning(name, 0)
	}
	framework.Must(t, c.Kube.CoreV1().Namespaces().Delete(t.Context(), ns.Name, metav1.DeleteOptions{}))
	c.Eventually("the namespace to be gone", func(ctx context.Context) (bool, error) {
		_, err := c.Kube.CoreV1().Namespaces().Get(ctx, ns.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	creates := slices.DeleteFunc(innerCounter.Writes(), func(write string) bool { return !strings.HasSuffix(write, "/jobs") })
	if len(creates) != 6 { // for each a dry run and a Job
		t.Errorf("Jobs were created in a namespace that goes: %q", creates)
	}
}

// A sequence at rest costs nothing, not even after a restart.
func TestSequencesAtRestCauseNoWrites(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	stop := c.StartController()
	const many = 50
	for i := range many {
		c.Create(framework.NewSequence(fmt.Sprintf("sj-%d", i), "only"))
	}
	c.Eventually("all to be completed", func(ctx context.Context) (bool, error) {
		list, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(list.Items, func(sj v1alpha1.SequentialJob) bool {
			return sj.Status.Phase != v1alpha1.SequentialJobCompleted || len(sj.Finalizers) > 0
		}), nil
	})
	stop()
	counter := &framework.RequestCounter{}
	c.StartControllerVia(counter)
	// Whatever a restarted controller has to do for those before it has been done when this one is.
	c.Create(framework.NewSequence("barrier", "only"))
	c.WaitFor("barrier", "the end", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
	})
	for _, write := range counter.Writes() {
		if strings.Contains(write, "/sj-") {
			t.Errorf("a sequence at rest was written to: %s", write)
		}
	}
}
