// Package sequence decides what a SequentialJob does next. It is pure: no clock, no I/O, no error, no logger; the same
// input always gives the same plan, and no argument is ever changed.
package sequence

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Plan is what to do next for one SequentialJob.
type Plan struct {
	// Create is the Job of the next step, or nil. There is never more than one: this is what makes the run sequential.
	// Once it exists, call Next again with it among the jobs, and store the status of that plan.
	// If it could not be created, use Blocked or Invalid.
	Create *batchv1.Job
	// CreateIndex is the index of the step that Create is for.
	CreateIndex int
	// AfterPods says that Create has to wait until no pod of the sequence runs: the Job that the step had before may have
	// left some behind.
	AfterPods bool
	// Change is how the Job of the running step has to be changed before Status is stored, or nil.
	Change *JobChange
	// Absent names the Jobs that this plan would be wrong with, and that were not among the jobs. A cache may lag behind:
	// the caller makes sure by a live read that there are none, and calls Next again with those that there are.
	Absent []string
	// Delete lists the Jobs to delete, with their pods, because the SequentialJob itself is being deleted.
	Delete []*batchv1.Job
	// Expired says that the SequentialJob itself is to be deleted: it finished ttlSecondsAfterFinished ago.
	Expired bool
	// Finalizer says whether the SequentialJob has to carry the cleanup finalizer: as long as deleting it means
	// that something has to be stopped first.
	Finalizer bool
	// Failed is the Job whose failure Status records for the first time, or nil. WithFailureDetail says more about it.
	Failed *batchv1.Job
	// Inspect is the Job of the running step if it has had no ready pod for a while, or nil. WhyNotRunning and Stuck say
	// more about it.
	Inspect *batchv1.Job
	// Again says that Status is only half the way: once it is stored, call Next again.
	Again bool
	// LookAgain is after how long to call Next again even if nothing happens. 0 means that nothing is due.
	LookAgain time.Duration
	// Status is the status to store. It equals the present one if nothing changed.
	Status v1alpha1.SequentialJobStatus
	// Events are to be published once Status is stored.
	Events []Event
}

// JobChange is how to change a Job that has not ended.
type JobChange struct {
	// Job is the Job as it was when this was decided.
	Job *batchv1.Job
	// Suspend is the spec.suspend that it shall have.
	Suspend bool
	// SuspendedByUs says whether it shall carry the annotation v1alpha1.SuspendedByAnnotation.
	SuspendedByUs bool
	// ActiveDeadlineSeconds is the spec.activeDeadlineSeconds that it shall have.
	ActiveDeadlineSeconds *int64
}

// Event is a transition that users see in `kubectl describe`.
type Event struct {
	// Type is Normal or Warning.
	Type string
	// Reason is one of the reasons of the API package.
	Reason string
	// Message is at most 1,024 bytes long.
	Message string
}

// maxEventMessage is the longest event message, in bytes, that the API server keeps.
const maxEventMessage = 1024

func normal(reason, message string) Event {
	return Event{Type: corev1.EventTypeNormal, Reason: reason, Message: cut(message, maxEventMessage)}
}

func warning(reason, message string) Event {
	return Event{Type: corev1.EventTypeWarning, Reason: reason, Message: cut(message, maxEventMessage)}
}
