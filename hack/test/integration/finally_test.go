//go:build integration

package integration_test

import (
	"context"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// resultOf is what a pod of spec.finally learns: the result, the step that failed and why.
func resultOf(object metav1.Object) [3]string {
	annotations := object.GetAnnotations()
	return [3]string{annotations[v1alpha1.ResultAnnotation], annotations[v1alpha1.FailedStepAnnotation], annotations[v1alpha1.FailureReasonAnnotation]}
}

// The Job controller runs the steps in one of these ways, each in a sequence of its own: spec.finally runs, and learns how it ended.
func TestFinallyRunsWhateverTheEndWas(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set    func(*v1alpha1.SequentialJobSpec)
		steps  func(*cluster)
		result [3]string
		phase  v1alpha1.SequentialJobPhase
		reason string
		jobs   string
	}{
		"success": {
			steps: func(c *cluster) {
				c.EndPod(c.RunPod("etl-0"), 0, "")
				c.EndPod(c.RunPod("etl-1"), 0, "")
			},
			result: [3]string{"Completed", "", ""}, phase: v1alpha1.SequentialJobCompleted, reason: v1alpha1.ReasonCompleted,
			jobs: "etl-0 etl-1",
		},
		"failure, with all retries used": {
			set: func(spec *v1alpha1.SequentialJobSpec) { spec.BackoffLimit, spec.Retries = new(int32(0)), new(int32(1)) },
			steps: func(c *cluster) {
				c.EndPod(c.RunPod("etl-0"), 2, "no such table")
				c.EndPod(c.RunPod("etl-0-r1"), 2, "no such table")
			},
			result: [3]string{"Failed", "extract", batchv1.JobReasonBackoffLimitExceeded}, phase: v1alpha1.SequentialJobFailed,
			reason: batchv1.JobReasonBackoffLimitExceeded, jobs: "etl-0 etl-0-r1",
		},
		"the deadline": {
			set:    func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = new(int64(1)) },
			steps:  func(*cluster) {},
			result: [3]string{"Failed", "extract", v1alpha1.ReasonDeadlineExceeded}, phase: v1alpha1.SequentialJobFailed,
			reason: v1alpha1.ReasonDeadlineExceeded, jobs: "etl-0",
		},
		"cancel": {
			steps: func(c *cluster) {
				c.RunPod("etl-0")
				c.Patch("etl", cancel)
			},
			result: [3]string{"Cancelled", "extract", v1alpha1.ReasonCancelled}, phase: v1alpha1.SequentialJobFailed,
			reason: v1alpha1.ReasonCancelled, jobs: "etl-0",
		},
		"a Job that was deleted": {
			steps: func(c *cluster) {
				c.RunPod("etl-0")
				c.WaitForRunning("etl", 0)
				c.deleteJob("etl-0")
			},
			result: [3]string{"Failed", "extract", v1alpha1.ReasonJobDeleted}, phase: v1alpha1.SequentialJobFailed,
			reason: v1alpha1.ReasonJobDeleted, jobs: "etl-0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.StartController()
			sj := framework.WithFinally(framework.NewDrivenSequence("etl", "extract", "load"), "notify", "unlock")
			if tc.set != nil {
				tc.set(&sj.Spec)
			}
			c.Create(sj)
			tc.steps(c)
			for i, job := range []string{"etl-f0", "etl-f1"} {
				made := c.WaitForJob("etl", job)
				c.wantFinallyRuns(tc.result, sj.Spec.Finally[i].Name)
				pod := c.RunPod(job)
				if got, of := resultOf(pod), resultOf(made); got != tc.result || of != tc.result {
					t.Errorf("the pod of %s has the annotations %q, its Job %q, want %q", job, got, of, tc.result)
				}
				c.EndPod(pod, 0, "")
			}
			ended := c.WaitForPhase("etl", tc.phase)
			c.wantEnd(ended, tc.reason)
			c.Jobs.Want(strings.Fields(tc.jobs + " etl-f0 etl-f1")...)
		})
	}
}

const cancel = `{"spec":{"cancel":true}}`

// wantFinallyRuns checks what the status says while that container of spec.finally runs.
func (c *cluster) wantFinallyRuns(result [3]string, container string) {
	c.T.Helper()
	s := c.Get("etl").Status
	if s.Result == nil || [3]string{string(s.Result.Type), s.Result.FailedStep, s.Result.Reason} != result || s.Result.Time.IsZero() {
		c.T.Errorf("result %+v, want %q", s.Result, result)
	}
	if s.Phase != v1alpha1.SequentialJobRunning || s.CompletionTime != nil || s.ActiveSince != nil || s.Progress.CurrentStep != container {
		c.T.Errorf("while %s runs: phase %s, completed at %v, active since %v, progress %+v", container, s.Phase, s.CompletionTime, s.ActiveSince, s.Progress)
	}
	for condition, want := range map[string]bool{
		v1alpha1.ConditionProgressing: true, v1alpha1.ConditionReconciling: true,
		v1alpha1.ConditionAvailable: false, v1alpha1.ConditionFailed: false, v1alpha1.ConditionStalled: false, v1alpha1.ConditionComplete: false,
	} {
		if meta.IsStatusConditionTrue(s.Conditions, condition) != want {
			c.T.Errorf("while %s runs, %s is not %t: %+v", container, condition, want, s.Conditions)
		}
	}
}

// wantEnd checks what the status says of a sequence that has ended: for that reason, and not before the last Job.
func (c *cluster) wantEnd(sj *v1alpha1.SequentialJob, reason string) {
	c.T.Helper()
	s := sj.Status
	hasFailed := s.Phase == v1alpha1.SequentialJobFailed
	for condition, want := range map[string]bool{
		v1alpha1.ConditionComplete: !hasFailed, v1alpha1.ConditionAvailable: !hasFailed, v1alpha1.ConditionFailed: hasFailed, v1alpha1.ConditionStalled: hasFailed,
		v1alpha1.ConditionProgressing: false, v1alpha1.ConditionReconciling: false,
	} {
		if meta.IsStatusConditionTrue(s.Conditions, condition) != want {
			c.T.Errorf("at the end, %s is not %t: %+v", condition, want, s.Conditions)
		}
	}
	if got := progressingReason(sj); got != reason || hasFailed != (s.Progress.FailureReason == reason) {
		c.T.Errorf("reason %q, want %q; progress %+v", got, reason, s.Progress)
	}
	if n := len(s.Finally); n > 0 && !s.CompletionTime.Equal(s.Finally[n-1].CompletionTime) {
		c.T.Errorf("it ended at %s, the last of spec.finally at %s", s.CompletionTime, s.Finally[n-1].CompletionTime)
	}
}

func TestFinallyIsNotRunIfNoStepEverStarted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set    func(*v1alpha1.SequentialJobSpec)
		patch  string
		reason string
	}{
		"an invalid step": {
			set: func(spec *v1alpha1.SequentialJobSpec) {
				spec.Containers[1].Ports = []corev1.ContainerPort{{Name: "a", ContainerPort: 1}, {Name: "a", ContainerPort: 2}}
			},
			reason: v1alpha1.ReasonInvalidSpec,
		},
		"an invalid container of spec.finally": {
			set: func(spec *v1alpha1.SequentialJobSpec) {
				spec.Finally[1].Ports = []corev1.ContainerPort{{Name: "a", ContainerPort: 1}, {Name: "a", ContainerPort: 2}}
			},
			reason: v1alpha1.ReasonInvalidSpec,
		},
		"no time": {
			set:    func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = new(int64(0)) },
			reason: v1alpha1.ReasonDeadlineExceeded,
		},
		"cancelled while suspended": {
			set:   func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) },
			patch: cancel, reason: v1alpha1.ReasonCancelled,
		},
		"cancelled while it waits for approval": {
			set: func(spec *v1alpha1.SequentialJobSpec) {
				spec.StepOverrides = []v1alpha1.StepOverride{{Name: "extract", Suspend: new(true)}}
			},
			patch: cancel, reason: v1alpha1.ReasonCancelled,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.Jobs.CompleteAll()
			c.StartController()
			sj := framework.WithFinally(framework.NewSequence("etl", "extract", "load"), "notify", "unlock")
			tc.set(&sj.Spec)
			c.Create(sj)
			if tc.patch != "" {
				c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
				c.Patch("etl", tc.patch)
			}
			ended := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
			c.wantEnd(ended, tc.reason)
			if ended.Status.Result != nil || ended.Status.Finally != nil || ended.Status.Progress.FinallyRuns != 0 {
				t.Errorf("status %+v", ended.Status)
			}
			c.WaitFor("etl", "the finalizer to go", func(sj *v1alpha1.SequentialJob) bool { return len(sj.Finalizers) == 0 })
			c.Jobs.Want()
		})
	}
}

// A deletion is no end of the steps.
func TestFinallyEndsWithADeletion(t *testing.T) {
	for name, running := range map[string]string{"while a step runs": "etl-0", "while it runs": "etl-f0"} {
		for _, propagation := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground} {
			t.Run(name+", "+string(propagation), func(t *testing.T) {
				c := newCluster(t)
				c.StartController()
				sj := c.Create(framework.WithFinally(framework.NewDrivenSequence("etl", "extract"), "notify", "unlock"))
				want := []string{"etl-0"}
				if running != "etl-0" {
					c.EndPod(c.RunPod("etl-0"), 0, "")
					want = append(want, running)
				}
				c.WaitForJob("etl", running)
				c.RunPod(running)
				c.Delete("etl", propagation)
				c.WaitUntilGone(sj)
				c.wantNoPodRuns()
				c.Jobs.Want(want...)
				c.Eventually("Jobs and pods to be gone", func(ctx context.Context) (bool, error) {
					pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{})
					return err == nil && len(pods.Items) == 0, err
				})
				c.wantNothingLeft()
			})
		}
	}
}

// wantNoPodRuns checks that no pod is left that has not ended.
func (c *cluster) wantNoPodRuns() {
	c.T.Helper()
	pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(c.T.Context(), metav1.ListOptions{})
	framework.Must(c.T, err)
	for i := range pods.Items {
		if phase := pods.Items[i].Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
			c.T.Errorf("pod %s is %s", pods.Items[i].Name, phase)
		}
	}
}
