//go:build integration

package integration_test

import (
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// What a sequence that went on ended for is told with the time of that end: its TTL counts from there.
func TestASequenceThatWentOnInVainEndsThen(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]string{
		"the retry is invalid":                 `{"spec":{"retries":1,"containers":[{"name":"extract","image":"a","env":[{"name":"not=valid","value":"x"}]}]}}`,
		"no time is left when the retry comes": `{"spec":{"retries":1,"activeDeadlineSeconds":0}}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.StartController()
			c.Create(framework.NewSequence("etl", "extract"))
			c.WaitForRunning("etl", 0)
			c.EndJob("etl-0", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
			failed := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
			c.waitUntil(failed.Status.CompletionTime.Add(2 * time.Second)) // times are stored in whole seconds
			edited := c.Patch("etl", edit)
			sj := c.WaitFor("etl", "the end", func(sj *v1alpha1.SequentialJob) bool {
				return sj.Status.ObservedGeneration == edited.Generation && sj.Status.CompletionTime != nil &&
					sj.Status.Progress.FailureReason != batchv1.JobReasonBackoffLimitExceeded
			})
			if !sj.Status.CompletionTime.After(failed.Status.CompletionTime.Time) {
				t.Errorf("it ended at %s for %s, and at %s for %s", failed.Status.CompletionTime, failed.Status.Progress.FailureReason,
					sj.Status.CompletionTime, sj.Status.Progress.FailureReason)
			}
		})
	}
}

// Only an edit that can help spends a retry.
func TestAFailedSequenceGoesOnOnlyForAnEditThatCanHelp(t *testing.T) {
	t.Parallel()
	const fixed = `{"spec":{"containers":[{"name":"extract","image":"a"},{"name":"load","image":"b"}]}}`
	for name, tc := range map[string]struct {
		set         func(*v1alpha1.SequentialJobSpec)
		reason, fix string
	}{
		"InvalidSpec": {
			set: func(spec *v1alpha1.SequentialJobSpec) {
				spec.Containers[1].Ports = []corev1.ContainerPort{{Name: "a", ContainerPort: 1}, {Name: "a", ContainerPort: 2}}
			},
			reason: v1alpha1.ReasonInvalidSpec, fix: fixed,
		},
		"DeadlineExceeded": {
			set:    func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = new(int64(0)) },
			reason: v1alpha1.ReasonDeadlineExceeded, fix: `{"spec":{"activeDeadlineSeconds":3600}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.Jobs.CompleteAll()
			c.StartController()
			sj := framework.NewSequence("etl", "extract", "load")
			sj.Spec.Retries = new(int32(1))
			tc.set(&sj.Spec)
			c.Create(sj)
			sj = c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
			if sj.Status.Progress.FailureReason != tc.reason {
				t.Fatalf("progress %+v", sj.Status.Progress)
			}
			for _, edit := range []string{`{"spec":{"ttlSecondsAfterFinished":3600}}`, `{"spec":{"suspend":false}}`, `{"spec":{"backoffLimit":3}}`} {
				edited := c.Patch("etl", edit)
				sj = c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool {
					return sj.Status.ObservedGeneration == edited.Generation
				})
				if sj.Status.Phase != v1alpha1.SequentialJobFailed || sj.Status.Progress.Retries != 0 {
					t.Fatalf("after %s it is %s, progress %+v", edit, sj.Status.Phase, sj.Status.Progress)
				}
			}
			c.Jobs.Want()
			c.Patch("etl", tc.fix)
			c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
			c.Jobs.Want("etl-0", "etl-1")
		})
	}
}

// Somebody deletes the Job of the running step in the background: the sequence has failed, and the pod still ends.
func TestASequenceThatFailedAsJobDeletedStaysUntilThePodHasEnded(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	sj := c.Create(framework.NewDrivenSequence("etl", "extract", "load"))
	c.WaitForRunning("etl", 0)
	pod := c.RunPod("etl-0")
	letGo := c.StopSlowly(pod)
	c.deleteJob("etl-0")
	if failed := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed); failed.Status.Progress.FailureReason != v1alpha1.ReasonJobDeleted {
		t.Errorf("progress %+v", failed.Status.Progress)
	}
	c.WaitUntilStopping(pod)
	// One that comes after it shows that the controller had time to drop the finalizer.
	c.Create(framework.NewDrivenSequence("barrier", "only"))
	c.WaitForRunning("barrier", 0)
	if now := c.Get("etl"); !slices.Contains(now.Finalizers, v1alpha1.CleanupFinalizer) {
		t.Errorf("finalizers %q while pod %s still ends", now.Finalizers, pod.Name)
	}
	c.Delete("etl", metav1.DeletePropagationBackground)
	_, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Create(t.Context(), framework.NewDrivenSequence("etl", "extract"), metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		t.Errorf("created again beside a pod that still ends: %v", err)
	}
	letGo()
	c.WaitUntilGone(sj)
}
