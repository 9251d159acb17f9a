package view_test

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const (
	done   = v1alpha1.StepCompleted
	runs   = v1alpha1.StepRunning
	failed = v1alpha1.StepFailed

	backoff = "BackoffLimitExceeded: container \"transform\" exited with code 2: no such table (node worker-1)"
)

func four() *story { return tell("extract", "transform", "load").finally("notify") }

// retried is a sequence whose second step has failed once and runs again.
func retried() *story {
	return four().counts("1/3", 1).
		edit(func(sj *v1alpha1.SequentialJob) { sj.Spec.Retries = new(int32(2)) }).
		progressing(v1alpha1.SequentialJobRunning, v1alpha1.ReasonJobStarted, "Job 1 (transform) started again as etl-1-r1").
		step("extract", "etl-0", done, 0, 20, "").
		failJob("etl-1", 20, 50, "BackoffLimitExceeded", "Job has reached the specified backoff limit").
		failPod("etl-1", "transform", 20, 49, 2, "no such table").
		step("transform", "etl-1-r1", runs, 52, -1, "").
		edit(func(sj *v1alpha1.SequentialJob) { sj.Status.Steps[1].Retries = 1 })
}

// failedSequence has failed with its second step.
func failedSequence() *story {
	message := "Job 1 (transform) failed: " + backoff
	return four().counts("1/3", 0).ended(90).
		progressing(v1alpha1.SequentialJobFailed, "BackoffLimitExceeded", message).
		step("extract", "etl-0", done, 0, 20, "").step("transform", "etl-1", failed, 20, 80, backoff).
		after("notify", "etl-f0", done, 81, 90, "").
		edit(func(sj *v1alpha1.SequentialJob) {
			sj.Status.Result = &v1alpha1.StepsResult{Type: v1alpha1.ResultFailed, Message: message}
			sj.Status.Progress.FailedIndex = new(int32(1))
		})
}

func firstStepRuns() *story {
	return four().counts("0/3", 0).
		progressing(v1alpha1.SequentialJobRunning, v1alpha1.ReasonJobStarted, "Job 0 (extract) started as etl-0").
		step("extract", "etl-0", runs, 0, -1, "")
}

func unschedulable() *story {
	why := "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available."
	return firstStepRuns().lastPod(func(pod *corev1.Pod) {
		pod.Spec.NodeName, pod.Status.Phase = "", corev1.PodPending
		pod.Status.Conditions = []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: why},
		}
	})
}

// podReplaced has a pod that failed and is going to be replaced.
func podReplaced() *story {
	s := firstStepRuns()
	s.Pods, s.Jobs[0].Spec.BackoffLimit, s.Jobs[0].Status.Failed = nil, nil, 1
	return s.failPod("etl-0", "extract", 0, 100, 3, "disk full")
}

func hundredSteps(current int) *story {
	var steps, after []string
	for i := range v1alpha1.MaxSteps {
		steps = append(steps, fmt.Sprintf("step-%d", i))
	}
	for i := range v1alpha1.MaxFinally {
		after = append(after, fmt.Sprintf("after-%d", i))
	}
	s := tell(steps...).finally(after...).counts(fmt.Sprintf("%d/100", current), 0).
		progressing(v1alpha1.SequentialJobRunning, v1alpha1.ReasonJobStarted, "Job started")
	for i := range current {
		s.step(steps[i], fmt.Sprintf("etl-%d", i), done, i, i+1, "")
	}
	return s.step(steps[current], fmt.Sprintf("etl-%d", current), runs, current, -1, "")
}

var stories = map[string]func() *story{
	"not seen": func() *story {
		return four().edit(func(sj *v1alpha1.SequentialJob) {
			sj.Status = v1alpha1.SequentialJobStatus{ObservedGeneration: -1}
		})
	},
	"first step runs": firstStepRuns,
	"retried":         retried,
	"retry granted": func() *story {
		return retried().progressing(v1alpha1.SequentialJobRunning, v1alpha1.ReasonRetrying, "Retrying job 1 (transform), retry 2 of 2").
			edit(func(sj *v1alpha1.SequentialJob) {
				sj.Status.Steps[1].State, sj.Status.Steps[1].Message, sj.Status.Steps[1].CompletionTime = failed, backoff, at(100)
			})
	},
	"attempts gone": func() *story {
		s := retried().edit(func(sj *v1alpha1.SequentialJob) {
			sj.Status.Steps[1].Retries, sj.Status.Steps[1].JobName, sj.Status.Progress.Retries = 6, "etl-1-r6", 6
			sj.Spec.Retries = new(int32(8))
		}).failJob("etl-1-r4", 52, 60, "DeadlineExceeded", "Job was active longer than specified deadline")
		return s.failJob("etl-1-r5", 61, 70, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
	},
	"failed":    failedSequence,
	"completed": completedSequence,
	"running finally after a failure": func() *story {
		s := failedSequence().progressing(v1alpha1.SequentialJobRunning, v1alpha1.ReasonStepsEnded,
			"Job 1 (transform) failed: "+backoff+"; running spec.finally")
		return s.edit(func(sj *v1alpha1.SequentialJob) {
			sj.Status.CompletionTime, sj.Status.Finally[0].CompletionTime, sj.Status.Finally[0].State = nil, nil, runs
		})
	},
	"finally failed": func() *story {
		why := "BackoffLimitExceeded: container \"notify\" exited with code 1: no route to host (node worker-1)"
		s := completedSequence().progressing(v1alpha1.SequentialJobFailed, v1alpha1.ReasonFinallyFailed,
			"All 3 steps completed successfully; Finally job 0 (notify) failed: "+why)
		s.SequentialJob.Status.Finally[0].State, s.SequentialJob.Status.Finally[0].Message = failed, why
		return s
	},
	"unschedulable": unschedulable,
	"unschedulable and told": func() *story {
		return unschedulable().progressing(v1alpha1.SequentialJobRunning, v1alpha1.ReasonPodNotStarted,
			"Job 0 (extract) has no running pod: Unschedulable: 0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available.")
	},
	"starting": func() *story {
		return firstStepRuns().lastPod(func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodPending })
	},
	"last pod failed": func() *story {
		s := firstStepRuns()
		s.Pods = nil
		return s.failPod("etl-0", "extract", 0, 100, 3, "disk full")
	},
	"pod replaced": podReplaced,
	"first of two pods failed": func() *story {
		s := podReplaced()
		s.Jobs[0].Spec.BackoffLimit = new(int32(1))
		return s
	},
	"pod failed for good": func() *story {
		s := podReplaced()
		s.Jobs[0].Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: "PodFailurePolicy"}}
		return s
	},
	"finally again": func() *story {
		s := retried().finally("report").edit(func(sj *v1alpha1.SequentialJob) { sj.Status.Progress.FinallyRuns = 1 })
		s.job("etl-f0", 50).Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
		return s.failJob("etl-f1", 51, 52, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
	},
	"suspended": func() *story {
		s := firstStepRuns().progressing(v1alpha1.SequentialJobSuspended, v1alpha1.ReasonSuspended, "Job 0 (extract) is suspended by spec.suspend").
			edit(func(sj *v1alpha1.SequentialJob) { sj.Spec.Suspend = new(true) })
		s.Pods, s.Jobs[0].Spec.Suspend = nil, new(true)
		return s
	},
	"suspended before a step": func() *story {
		return four().counts("1/3", 0).step("extract", "etl-0", done, 0, 20, "").
			progressing(v1alpha1.SequentialJobSuspended, v1alpha1.ReasonSuspended, "Suspended by spec.suspend before job 1 (transform)").
			edit(func(sj *v1alpha1.SequentialJob) { sj.Spec.Suspend = new(true) })
	},
	"suspended by a queue": func() *story {
		s := firstStepRuns().progressing(v1alpha1.SequentialJobSuspended, v1alpha1.ReasonSuspended,
			`Job 0 (extract) is suspended: it waits in queue "batch"`)
		s.Pods, s.Jobs[0].Spec.Suspend = nil, new(true)
		return s
	},
	"approval": func() *story {
		return four().counts("1/3", 0).step("extract", "etl-0", done, 0, 20, "").
			progressing(v1alpha1.SequentialJobSuspended, v1alpha1.ReasonSuspended,
				"Job 1 (transform) waits for approval: set stepOverrides[transform].suspend to false").
			edit(func(sj *v1alpha1.SequentialJob) {
				sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "transform", Suspend: new(true)}, {Name: "load", Suspend: new(true)}}
			})
	},
	"invalid before the first step": func() *story {
		return four().counts("0/3", 0).ended(0).progressing(v1alpha1.SequentialJobFailed, v1alpha1.ReasonInvalidSpec,
			"Job 0 (extract) is invalid: spec.containers[0].image: Required value").
			edit(func(sj *v1alpha1.SequentialJob) {
				sj.Status.Progress.FailedIndex, sj.Status.Progress.FailureReason = new(int32(0)), v1alpha1.ReasonInvalidSpec
			})
	},
	"job deleted": func() *story {
		why := "JobDeleted: Job etl-1 was deleted before it was seen to end"
		s := failedSequence().progressing(v1alpha1.SequentialJobFailed, v1alpha1.ReasonJobDeleted, "Job 1 (transform) failed: "+why)
		s.SequentialJob.Status.Steps[1].Message = why
		s.Jobs, s.Pods = append(s.Jobs[:1:1], s.Jobs[2:]...), append(s.Pods[:1:1], s.Pods[2:]...)
		return s
	},
	"cannot start": func() *story {
		return four().counts("1/3", 0).step("extract", "etl-0", done, 0, 20, "").
			progressing(v1alpha1.SequentialJobRunning, v1alpha1.ReasonJobNameConflict,
				"Job etl-1 exists already and belongs to somebody else: step 1 (transform) starts once that Job is deleted")
	},
	"being cancelled": func() *story {
		return firstStepRuns().edit(func(sj *v1alpha1.SequentialJob) { sj.Spec.Cancel = new(true) })
	},
	"cancelled": func() *story {
		return failedSequence().progressing(v1alpha1.SequentialJobFailed, v1alpha1.ReasonCancelled,
			"Cancelled by spec.cancel: Job 1 (transform) was stopped").
			edit(func(sj *v1alpha1.SequentialJob) {
				sj.Spec.Cancel = new(true)
				sj.Status.Steps[1].Message = "Cancelled: stopped by spec.cancel"
			})
	},
	"being deleted": func() *story {
		return firstStepRuns().edit(func(sj *v1alpha1.SequentialJob) { sj.DeletionTimestamp = at(110) })
	},
	"deleted": func() *story {
		s := firstStepRuns()
		s.Gone = true
		return s
	},
	"edited": func() *story {
		return failedSequence().edit(func(sj *v1alpha1.SequentialJob) { sj.Generation = 2 })
	},
	"nothing but the SequentialJob": func() *story {
		s := retried()
		s.Jobs, s.Pods = nil, nil
		s.Missing = []string{`you may not list jobs.batch in namespace "data"`, `you may not list pods in namespace "data"`}
		return s
	},
	"jobs of others": func() *story {
		s := retried()
		s.Jobs[1].OwnerReferences[0].UID = "uid-of-a-former-etl"
		return s
	},
}

func completedSequence() *story {
	return four().counts("3/3", 0).ended(7205).
		progressing(v1alpha1.SequentialJobCompleted, v1alpha1.ReasonCompleted, "All 3 steps completed successfully").
		step("extract", "etl-0", done, 0, 20, "").step("transform", "etl-1", done, 20, 7180, "").
		step("load", "etl-2", done, 7180, 7200, "").after("notify", "etl-f0", done, 7201, 7205, "").
		edit(func(sj *v1alpha1.SequentialJob) {
			sj.Status.Result = &v1alpha1.StepsResult{Type: v1alpha1.ResultCompleted}
		})
}
