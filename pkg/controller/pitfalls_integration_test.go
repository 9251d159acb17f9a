//go:build integration

package controller_test

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

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// What went wrong in other projects that run one Job after another.

func TestIntegrationSequencesWhoseNamesBeginAlikeDoNotMix(t *testing.T) {
	c := newByHandCluster(t)
	c.startController()
	var steps []string
	for i := range 12 {
		steps = append(steps, fmt.Sprintf("s%d", i))
	}
	names := []string{"a", "a-1", "a-1-r1", "a-10"}
	for _, name := range names {
		sj := newSequence(name, steps...)
		sj.Spec.Retries = new(int32(1))
		c.create(sj)
	}
	for index := range steps {
		for _, name := range names {
			job := c.waitForRunning(name, index)
			if index == 1 {
				c.endJob(job.Name, batchv1.JobFailed, "BackoffLimitExceeded")
				job = c.waitForRetry(name, index, 1)
			}
			c.endJob(job.Name, batchv1.JobComplete, "")
		}
	}
	for _, name := range names {
		sj := c.waitForPhase(name, v1alpha1.SequentialJobCompleted)
		for i, step := range sj.Status.Steps {
			job := c.job(step.JobName)
			if job.UID != step.JobUID || !metav1.IsControlledBy(job, sj) || job.Labels[v1alpha1.StepIndexLabel] != fmt.Sprint(i) {
				t.Errorf("step %d of %s is recorded with Job %s of %v", i, name, job.Name, metav1.GetControllerOf(job))
			}
		}
	}
	if got, want := len(c.jobs.names()), len(names)*(len(steps)+1); got != want {
		t.Errorf("%d Jobs were created, want %d: %q", got, want, c.jobs.names())
	}
}

// waitForRetry waits until that retry of a step runs and returns its Job.
func (c *cluster) waitForRetry(name string, index int, retry int32) *batchv1.Job {
	c.t.Helper()
	sj := c.waitFor(name, fmt.Sprintf("retry %d of step %d of %s", retry, index, name), func(sj *v1alpha1.SequentialJob) bool {
		steps := sj.Status.Steps
		return len(steps) == index+1 && steps[index].State == v1alpha1.StepRunning && steps[index].Retries == retry
	})
	return c.job(sj.Status.Steps[index].JobName)
}

func TestIntegrationACompleteJobThatIsDeletedUnseenIsNotRunAgain(t *testing.T) {
	c := newByHandCluster(t)
	stop := c.startController()
	c.create(newSequence("etl", "extract", "load"))
	c.waitForRunning("etl", 0)
	stop()
	c.endJob("etl-0", batchv1.JobComplete, "")
	c.deleteJob("etl-0")
	c.startController()
	sj := c.waitForPhase("etl", v1alpha1.SequentialJobFailed)
	if sj.Status.Progress.FailureReason != v1alpha1.ReasonJobDeleted {
		t.Errorf("progress %+v", sj.Status.Progress)
	}
	c.jobs.want("etl-0")
}

// Labels prove nothing: a Job of somebody else that carries ours is neither counted nor touched.
func TestIntegrationAForeignJobWithOurLabelsIsLeftAlone(t *testing.T) {
	c := newByHandCluster(t)
	c.startController()
	c.create(newSequence("etl", "extract", "load"))
	first := c.waitForRunning("etl", 0)
	foreign := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "etl-1", Labels: map[string]string{}}}
	for key, value := range first.Labels {
		if strings.HasPrefix(key, v1alpha1.LabelPrefix) {
			foreign.Labels[key] = value
		}
	}
	foreign.Labels[v1alpha1.StepIndexLabel], foreign.Labels[v1alpha1.StepNameLabel] = "1", "load"
	foreign.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "load", Image: "i"}}}
	foreign, err := c.kube.BatchV1().Jobs(c.ns).Create(t.Context(), foreign, metav1.CreateOptions{})
	must(t, err)
	c.endJob("etl-1", batchv1.JobComplete, "")
	c.endJob("etl-0", batchv1.JobComplete, "")
	sj := c.waitForReason("etl", v1alpha1.ReasonJobNameConflict)
	if len(sj.Status.Steps) != 1 {
		t.Errorf("steps %+v", sj.Status.Steps)
	}
	c.delete("etl", metav1.DeletePropagationBackground)
	c.waitUntilGone(sj)
	if now := c.job("etl-1"); now.UID != foreign.UID {
		t.Error("the foreign Job was deleted")
	}
}

func TestIntegrationSequencesThatShareATemplateAndAVolumeDoNotMixStatus(t *testing.T) {
	c := newCluster(t)
	c.createVolume("shared")
	c.startController()
	names := []string{"one", "two", "three"}
	for _, name := range names {
		sj := newSequence(name, "extract", "load")
		sj.Spec.Template.Labels = map[string]string{"app": "shared", "job-name": "one-0", "controller-uid": "wrong"}
		sj.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "shared"},
		}}}
		c.create(sj)
	}
	for _, name := range names {
		sj := c.waitForPhase(name, v1alpha1.SequentialJobCompleted)
		for i, step := range sj.Status.Steps {
			if step.JobName != fmt.Sprintf("%s-%d", name, i) || !metav1.IsControlledBy(c.job(step.JobName), sj) {
				t.Errorf("%s has step %+v", name, step)
			}
		}
	}
}

// Nothing stays behind, and nobody keeps trying: not even the finalizer keeps the namespace.
func TestIntegrationANamespaceThatIsDeletedInMidRunGoes(t *testing.T) {
	c := newCluster(t)
	counter := &requestCounter{}
	c.startControllerVia(counter)
	ns, err := c.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.ns + "-gone"}}, metav1.CreateOptions{})
	must(t, err)
	inner := &cluster{t: t, ns: ns.Name, kube: c.kube, client: c.client}
	innerCounter := &requestCounter{}
	inner.startControllerVia(innerCounter)
	for _, name := range []string{"one", "two", "three"} {
		inner.create(newStuckSequence(name, "extract", "load"))
		inner.waitForRunning(name, 0)
	}
	must(t, c.kube.CoreV1().Namespaces().Delete(t.Context(), ns.Name, metav1.DeleteOptions{}))
	c.eventually("the namespace to be gone", func(ctx context.Context) (bool, error) {
		_, err := c.kube.CoreV1().Namespaces().Get(ctx, ns.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	creates := slices.DeleteFunc(innerCounter.list(), func(write string) bool { return !strings.HasSuffix(write, "/jobs") })
	if len(creates) != 6 { // for each a dry run and a Job
		t.Errorf("Jobs were created in a namespace that goes: %q", creates)
	}
}

// A sequence at rest costs nothing, not even after a restart.
func TestIntegrationSequencesAtRestCauseNoWrites(t *testing.T) {
	c := newByHandCluster(t)
	c.jobs.completeAll()
	stop := c.startController()
	const many = 50
	for i := range many {
		c.create(newSequence(fmt.Sprintf("sj-%d", i), "only"))
	}
	c.eventually("all to be completed", func(ctx context.Context) (bool, error) {
		list, err := c.client.BatchV1alpha1().SequentialJobs(c.ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(list.Items, func(sj v1alpha1.SequentialJob) bool {
			return sj.Status.Phase != v1alpha1.SequentialJobCompleted || len(sj.Finalizers) > 0
		}), nil
	})
	stop()
	counter := &requestCounter{}
	c.startControllerVia(counter)
	// Whatever a restarted controller has to do for those before it has been done when this one is.
	c.create(newSequence("barrier", "only"))
	c.waitFor("barrier", "the end", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
	})
	for _, write := range counter.list() {
		if strings.Contains(write, "/sj-") {
			t.Errorf("a sequence at rest was written to: %s", write)
		}
	}
}
