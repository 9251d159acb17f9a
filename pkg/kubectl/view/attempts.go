package view

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// maxAttempts is how many earlier attempts of a step are told of one by one.
const maxAttempts = 3

// currentAttempt is what the status has of the latest attempt of a step.
func (r *reader) currentAttempt(started *v1alpha1.StepStatus) attempt {
	a := attempt{number: int(started.Retries) + 1, job: started.JobName, node: r.nodeOf(started.JobUID)}
	if started.StartTime != nil {
		a.start = started.StartTime.Time
	}
	if started.CompletionTime != nil {
		a.end = started.CompletionTime.Time
	}
	switch started.State {
	case v1alpha1.StepCompleted:
		a.state = completed
	case v1alpha1.StepFailed:
		a.state = failed
	default:
		a.state = running
	}
	return a
}

// nodeOf is the node of the newest pod of a Job that has one.
func (r *reader) nodeOf(job types.UID) string {
	var newest *corev1.Pod
	for i := range r.pods[job] {
		pod := &r.pods[job][i]
		if pod.Spec.NodeName != "" && (newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp)) {
			newest = pod
		}
	}
	if newest == nil {
		return ""
	}
	return newest.Spec.NodeName
}

// attemptsBefore are the first attempts of a step, so many of them, the latest last. Those of spec.finally that were a success count for
// nothing: it runs again because the steps did.
func (r *reader) attemptsBefore(index int, step string, count int) []attempt {
	var out []attempt
	areJobsKnown := len(r.in.Jobs) > 0 || len(r.in.Missing) == 0
	for n := range count {
		name := sequence.JobName(r.sj, index, int32(n))
		job := r.byName[name]
		a := attempt{number: n + 1, job: name, state: failed}
		switch {
		case job != nil:
			a = r.attemptOf(a, step, job)
		case sequence.IsFinally(index):
			continue
		case areJobsKnown:
			a.message = "failed; its Job is gone"
		default:
			a.message = "failed"
		}
		if !sequence.IsFinally(index) || a.state == failed {
			out = append(out, a)
		}
	}
	return out
}

// attemptOf fills in what a Job and its pods tell of an attempt.
func (r *reader) attemptOf(a attempt, step string, job *batchv1.Job) attempt {
	a.start, a.node, a.state = job.CreationTimestamp.Time, r.nodeOf(job.UID), running
	for i := range job.Status.Conditions {
		c := &job.Status.Conditions[i]
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type { //nolint:exhaustive // only the ends
		case batchv1.JobComplete:
			a.state, a.end = completed, c.LastTransitionTime.Time
		case batchv1.JobFailed:
			a.state, a.end = failed, c.LastTransitionTime.Time
			a.message = describeFailed(c, sequence.FailureDetail(step, r.pods[job.UID]))
		}
	}
	if a.state == running {
		a.message = "has not ended"
	}
	return a
}

// describeFailed says why a Job failed, given what its pods say. That its retries were used up needs no telling if they say something.
func describeFailed(c *batchv1.JobCondition, detail string) string {
	switch {
	case detail == "" && c.Message == "":
		return c.Reason
	case detail == "":
		return c.Reason + ": " + c.Message
	case c.Reason == batchv1.JobReasonBackoffLimitExceeded, c.Reason == "":
		return detail
	}
	return c.Reason + ": " + detail
}

// plural counts things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
