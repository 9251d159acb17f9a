package sequence_test

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var (
	now     = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	created = metav1.NewTime(now.Add(-time.Hour))
	ended   = metav1.NewTime(now.Add(-time.Minute))
)

// newSequence returns a SequentialJob that has just been created, with one step a name.
func newSequence(steps ...string) *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "etl", UID: "uid-etl", Generation: 1,
	}}
	for _, name := range steps {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: name, Image: "image/" + name})
	}
	return sj
}

// ranUntil returns a sequence of three steps whose status was stored when its Jobs were these.
func ranUntil(jobs func(*v1alpha1.SequentialJob) []*batchv1.Job) *v1alpha1.SequentialJob {
	sj := newSequence("extract", "transform", "load")
	sj.Status = sequence.Next(sj, jobs(sj), now.Add(-30*time.Minute)).Status
	return sj
}

// nthRuns returns a sequence of three steps whose status says that the step at index runs.
func nthRuns(index int) *v1alpha1.SequentialJob {
	return ranUntil(func(sj *v1alpha1.SequentialJob) []*batchv1.Job { return upTo(sj, index) })
}

// upTo returns the Jobs of all steps up to index; all but the last are complete.
func upTo(sj *v1alpha1.SequentialJob, index int) []*batchv1.Job {
	var jobs []*batchv1.Job
	for i := range index {
		jobs = append(jobs, jobOf(sj, i, complete))
	}
	return append(jobs, jobOf(sj, index))
}

type jobOption func(*batchv1.Job)

// jobOf returns the Job of a step as the API server holds it.
func jobOf(sj *v1alpha1.SequentialJob, index int, options ...jobOption) *batchv1.Job {
	job := sequence.NewJob(sj, index, 0)
	job.UID = types.UID(fmt.Sprintf("uid-job-%d", index))
	job.CreationTimestamp = created
	for _, option := range options {
		option(job)
	}
	return job
}

func withCondition(conditionType batchv1.JobConditionType, status corev1.ConditionStatus, reason, message string) jobOption {
	return func(job *batchv1.Job) {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: conditionType, Status: status, Reason: reason, Message: message, LastTransitionTime: ended,
		})
	}
}

func complete(job *batchv1.Job) {
	withCondition(batchv1.JobComplete, corev1.ConditionTrue, "CompletionsReached", "")(job)
	job.Status.Succeeded = 1
	job.Status.CompletionTime = ended.DeepCopy()
}

func failed(job *batchv1.Job) {
	withCondition(batchv1.JobFailed, corev1.ConditionTrue, "BackoffLimitExceeded", "Job has reached the backoff limit")(job)
}

func suspended(job *batchv1.Job) {
	job.Spec.Suspend = new(true)
}

func ownedByAnother(job *batchv1.Job) {
	job.UID = "uid-foreign"
	job.OwnerReferences[0].UID = "uid-other"
}

func terminating(job *batchv1.Job) {
	job.DeletionTimestamp = new(metav1.NewTime(now))
}

// outcome is what a plan comes to, short enough to be compared and read.
type outcome struct {
	Create    string
	Delete    []string
	Finalizer bool
	Phase     v1alpha1.SequentialJobPhase
	Reason    string
	Steps     []string
	Events    []string
}

func outcomeOf(plan sequence.Plan) outcome {
	out := outcome{Finalizer: plan.Finalizer, Phase: plan.Status.Phase}
	if plan.Create != nil {
		out.Create = plan.Create.Name
	}
	for _, job := range plan.Delete {
		out.Delete = append(out.Delete, job.Name)
	}
	if c := meta.FindStatusCondition(plan.Status.Conditions, v1alpha1.ConditionProgressing); c != nil {
		out.Reason = c.Reason
	}
	for _, step := range plan.Status.Steps {
		out.Steps = append(out.Steps, fmt.Sprintf("%s %s %s", step.JobName, step.JobUID, step.State))
	}
	for _, event := range plan.Events {
		out.Events = append(out.Events, fmt.Sprintf("%s %s: %s", event.Type, event.Reason, event.Message))
	}
	return out
}
