//go:build integration

package integration_test

import (
	"context"
	"sync/atomic"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// keepQueued suspends a Job again whenever it is resumed without having been admitted, as a queue does, and counts how often.
func (c *cluster) keepQueued(job string) (times *atomic.Int64) {
	c.T.Helper()
	events, err := c.Kube.BatchV1().Jobs(c.Namespace).Watch(c.T.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + job})
	framework.Must(c.T, err)
	times = &atomic.Int64{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range events.ResultChan() {
			job, ok := event.Object.(*batchv1.Job)
			if !ok || ptr.Deref(job.Spec.Suspend, false) || framework.IsTrue(job, batchv1.JobFailed) {
				continue
			}
			// One that has ended, or was changed meanwhile, is told of again.
			if _, err := c.Kube.BatchV1().Jobs(c.Namespace).Patch(context.Background(), job.Name, types.MergePatchType,
				[]byte(`{"spec":{"suspend":true}}`), metav1.PatchOptions{}); err == nil {
				times.Add(1)
			}
		}
	}()
	c.T.Cleanup(func() { events.Stop(); <-done })
	return times
}

// A step that waits in its queue has no pod, and gets none; one that the queue has let run is stopped.
func TestCancelEndsASequenceInAQueue(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		isAdmitted, keeps, isSuspended bool
	}{
		"that waits":                                {},
		"that waits, and its queue insists":         {keeps: true},
		"that waits, and is suspended, and insists": {keeps: true, isSuspended: true},
		"that was admitted":                         {isAdmitted: true},
		"that was admitted, and is to be suspended": {isAdmitted: true, isSuspended: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.suspendQueued()
			c.StartController()
			sj := framework.WithFinally(framework.NewDrivenSequence("etl", "prepare", "train"), "notify")
			sj.Spec.Template.Labels = map[string]string{queueLabel: "team-a"}
			c.Create(sj)
			c.mustBeQueued("etl-0", "team-a")
			if tc.isAdmitted {
				c.admit("etl-0", "linux")
				c.RunPod("etl-0")
			}
			if tc.isSuspended {
				edited := c.Patch("etl", `{"spec":{"suspend":true}}`)
				c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == edited.Generation })
			}
			if tc.keeps {
				times := c.keepQueued("etl-0")
				t.Cleanup(func() { t.Logf("the queue suspended the Job %d times", times.Load()) })
			}
			c.Patch("etl", cancel)
			c.Eventually("the Job to have failed", func(context.Context) (bool, error) { return framework.IsTrue(c.Job("etl-0"), batchv1.JobFailed), nil })
			if !tc.isAdmitted {
				c.wantNoPodSince("etl-0")
			}
			if tc.isSuspended {
				c.waitForMessage("etl", v1alpha1.ReasonSuspended, "finally job 0 (notify)")
				c.Patch("etl", `{"spec":{"suspend":false}}`)
			}
			// It has a queue, too.
			c.mustBeQueued("etl-f0", "team-a")
			c.admit("etl-f0", "linux")
			c.EndPod(c.RunPod("etl-f0"), 0, "")
			c.wantCancelled("Job 0 (prepare) was stopped")
			c.Jobs.Want("etl-0", "etl-f0")
		})
	}
}

// A retry that waits until the pods of the last attempt have ended does not start; the object stays until they have.
func TestCancelEndsARetryThatWaits(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	sj := framework.NewDrivenSequence("etl", "extract", "load")
	sj.Spec.Retries = new(int32(1))
	c.Create(sj)
	c.WaitForJob("etl", "etl-0")
	letGo := c.StopSlowly(c.RunPod("etl-0"))
	c.deleteJob("etl-0")
	c.waitForReason("etl", v1alpha1.ReasonRetrying)
	c.Patch("etl", cancel)
	if sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed); progressingReason(sj) != v1alpha1.ReasonCancelled {
		t.Errorf("conditions %+v", sj.Status.Conditions)
	}
	letGo()
	c.wantCancelled("Cancelled by spec.cancel before job 0 (extract)")
	c.Jobs.Want("etl-0")
}

// What has happened counts, whatever is asked for at the same moment.
func TestCancelAndTheEndOfAJobAtTheSameMoment(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		steps []string
		end   func(*cluster)
		want  string
	}{
		"the last step completes": {
			steps: []string{"extract"}, end: func(c *cluster) { c.EndJob("etl-0", batchv1.JobComplete, "") },
		},
		"another step completes": {
			steps: []string{"extract", "load"}, end: func(c *cluster) { c.EndJob("etl-0", batchv1.JobComplete, "") },
			want: "Cancelled by spec.cancel before job 1 (load)",
		},
		"a step fails": {
			steps: []string{"extract", "load"}, end: func(c *cluster) { c.EndJob("etl-0", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded) },
			want: "Cancelled by spec.cancel: Job 0 (extract) failed: BackoffLimitExceeded",
		},
		"the Job of a step is deleted": {
			steps: []string{"extract", "load"}, end: func(c *cluster) { c.deleteJob("etl-0") },
			want: "Cancelled by spec.cancel: Job 0 (extract) failed: JobDeleted",
		},
	} {
		for _, first := range []string{"the end", "cancel"} {
			t.Run(name+", "+first+" comes first", func(t *testing.T) {
				c := newByHandCluster(t)
				stop := c.StartController()
				sj := framework.WithFinally(framework.NewSequence("etl", tc.steps...), "notify")
				sj.Spec.Retries = new(int32(2))
				c.Create(sj)
				c.WaitForJob("etl", "etl-0")
				stop()
				if first == "cancel" {
					c.Patch("etl", cancel)
					tc.end(c)
				} else {
					tc.end(c)
					c.Patch("etl", cancel)
				}
				c.StartController()
				got := resultOf(c.WaitForJob("etl", "etl-f0"))
				c.EndJob("etl-f0", batchv1.JobComplete, "")
				if tc.want == "" {
					c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
				} else {
					c.wantCancelled(tc.want)
				}
				if want := map[bool]string{true: "Completed", false: "Cancelled"}[tc.want == ""]; got[0] != want {
					t.Errorf("spec.finally learns %q, want %s", got, want)
				}
				c.Jobs.Want("etl-0", "etl-f0")
			})
		}
	}
}

// The real Job controller is about to say Complete, and is kept from it: the step is not stopped any more.
func TestCancelLeavesAJobThatIsAboutToEnd(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract"))
	job := c.WaitForJob("etl", "etl-0")
	job.Status.StartTime = &job.CreationTimestamp
	job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobSuccessCriteriaMet, Status: "True", LastTransitionTime: metav1.Now()}}
	_, err := c.Kube.BatchV1().Jobs(c.Namespace).UpdateStatus(t.Context(), job, metav1.UpdateOptions{})
	framework.Must(t, err)
	edited := c.Patch("etl", cancel)
	c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == edited.Generation })
	if got := c.Job("etl-0"); got.Spec.ActiveDeadlineSeconds != nil || got.Annotations[v1alpha1.CancelledAnnotation] != "" {
		t.Errorf("Job etl-0 was stopped: %+v", got.ObjectMeta)
	}
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
}

// Once the steps are over there is nothing to cancel.
func TestCancelAfterTheEndOfTheStepsChangesNothing(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]string{"while finally runs": "etl-f0", "after all": ""} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.StartController()
			c.Create(framework.WithFinally(framework.NewSequence("etl", "extract"), "notify", "unlock"))
			cancelAt := func(job string) {
				if when == job {
					edited := c.Patch("etl", cancel)
					c.WaitFor("etl", "the edit to be observed", func(sj *v1alpha1.SequentialJob) bool { return sj.Status.ObservedGeneration == edited.Generation })
				}
			}
			for _, job := range []string{"etl-0", "etl-f0", "etl-f1"} {
				c.WaitForJob("etl", job)
				cancelAt(job)
				c.EndJob(job, batchv1.JobComplete, "")
			}
			ended := c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
			cancelAt("")
			now := c.Get("etl")
			c.wantEnd(now, v1alpha1.ReasonCompleted)
			if !now.Status.CompletionTime.Equal(ended.Status.CompletionTime) || now.Status.Result.Type != v1alpha1.ResultCompleted {
				t.Errorf("completed at %s, result %+v", now.Status.CompletionTime, now.Status.Result)
			}
			c.Jobs.Want("etl-0", "etl-f0", "etl-f1")
		})
	}
}

// One that was created cancelled, or is before a controller sees it, never starts.
func TestCancelBeforeTheFirstStepStartsNothing(t *testing.T) {
	c := newByHandCluster(t)
	sj := framework.WithFinally(framework.NewSequence("etl", "extract", "load"), "notify")
	sj.Spec.Cancel = new(true)
	c.Create(sj)
	counter := &framework.RequestCounter{}
	c.StartControllerVia(counter)
	c.wantCancelled("Cancelled by spec.cancel before job 0 (extract)")
	for _, write := range counter.Writes() {
		if write != "PUT /apis/batch.example.com/v1alpha1/namespaces/"+c.Namespace+"/sequentialjobs/etl/status" {
			t.Errorf("write %s", write)
		}
	}
	c.Jobs.Want()
}

// What refuses Jobs holds up spec.finally alone.
func TestCancelIsNotHeldUpByWhatRefusesFinally(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.WithFinally(framework.NewSequence("etl", "extract", "load"), "notify"))
	c.WaitForJob("etl", "etl-0")
	lift := freezes["policy"](c)
	c.Patch("etl", cancel)
	c.Eventually("the Job to be given no time", func(context.Context) (bool, error) {
		return ptr.Deref(c.Job("etl-0").Spec.ActiveDeadlineSeconds, -1) == 0, nil
	})
	c.EndJob("etl-0", batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded)
	if s := c.waitForMessage("etl", v1alpha1.ReasonJobCreateFailed, freeze).Status; s.Result == nil || s.Result.Type != v1alpha1.ResultCancelled {
		t.Errorf("result %+v", s.Result)
	}
	lift()
	c.EndJob(c.WaitForJob("etl", "etl-f0").Name, batchv1.JobComplete, "")
	c.wantCancelled("Job 0 (extract) was stopped")
	c.Jobs.Want("etl-0", "etl-f0")
}
