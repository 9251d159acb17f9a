package sequence

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Request is a kind of request to the API server.
type Request string

const (
	// EndTurn sends nothing: the turn is over.
	EndTurn Request = "end turn"
	// ReadSequentialJob reads the SequentialJob.
	ReadSequentialJob Request = "read SequentialJob"
	// ReadJob reads the Job called Action.Name.
	ReadJob Request = "read Job"
	// CheckSteps is a dry run of the creation of Action.Job, with strict validation of fields.
	CheckSteps Request = "dry run Job"
	// CreateJob creates Action.Job.
	CreateJob Request = "create Job"
	// ChangeJob patches a Job as Action.Change says.
	ChangeJob Request = "change Job"
	// DeleteJob deletes Action.Job, with its pods, in the foreground and only as it was when this was decided.
	DeleteJob Request = "delete Job"
	// ListJobPods lists the pods of Action.Job.
	ListJobPods Request = "list pods of Job"
	// ListEvents lists the events about the object whose UID is Action.About.
	ListEvents Request = "list events"
	// ListPods lists all pods of the SequentialJob, of whatever step.
	ListPods Request = "list pods"
	// StoreStatus stores Action.Status.
	StoreStatus Request = "store status"
	// AddFinalizer adds the clean-up finalizer.
	AddFinalizer Request = "add finalizer"
	// RemoveFinalizer removes it.
	RemoveFinalizer Request = "remove finalizer"
	// DeleteSequentialJob deletes the SequentialJob, as it was when this was decided.
	DeleteSequentialJob Request = "delete SequentialJob"
)

// Action is what to do next: one request to the API server, or the end of the turn. Nothing changes an Action after it was made.
type Action struct {
	Request Request
	// Name is the name of the Job to read.
	Name string
	// Job is the Job to create or to try, or the one to delete or to list the pods of as it was when this was decided.
	Job *batchv1.Job
	// Step is the index of the step that Job is for. If Job holds the containers of several, it is AllSteps, or less: AllSteps-n is for
	// those of which the template is the n-th that is another than all before, counted over the whole spec.
	Step int
	// About is the UID of the object whose events are asked for.
	About types.UID
	// Change is how to change a Job.
	Change *JobChange
	// Status is the status to store.
	Status *v1alpha1.SequentialJobStatus
	// Then is how the turn ends once the status is stored, unless the sequence is over.
	Then *Action
	// Events are to be published once the request has succeeded.
	Events []Event

	// Optional says of a list that nothing but an explanation depends on it: it may be put off while there are many.
	Optional bool

	// TryAgain says of the end of a turn that another one is due although nothing may change: soon, and later each time.
	TryAgain bool
	// AtOnce says of the end of a turn that another one is due at once.
	AtOnce bool
	// LookAgain is after how long another turn is due even if nothing changes. 0 means that none is.
	LookAgain time.Duration
}

// AllSteps is the Action.Step of a Job that holds the containers of several steps: those whose pods have the template of the first step's.
const AllSteps = -1

// JobChange is how to change a Job that has not ended. What is nil stays as it is.
type JobChange struct {
	// Job is the Job as it was when this was decided.
	Job *batchv1.Job
	// Suspend is the spec.suspend that it gets.
	Suspend *bool
	// ActiveDeadlineSeconds is the spec.activeDeadlineSeconds that it gets.
	ActiveDeadlineSeconds **int64
	// Annotations are those that it gets. A nil value takes one away.
	Annotations map[string]*string
	// Labels are those that it gets back, having been created with them.
	Labels map[string]string
	// OwnerReferences are all that it has then, if somebody took ours away; else nil.
	OwnerReferences []metav1.OwnerReference
}

// isNeeded says whether a change does more than give back what somebody took away from a Job, without which it can be followed.
func (c *JobChange) isNeeded() bool {
	return c.Suspend != nil || c.ActiveDeadlineSeconds != nil || len(c.Annotations) > 0
}

func (c *JobChange) isEmpty() bool {
	return !c.isNeeded() && len(c.Labels) == 0 && c.OwnerReferences == nil
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
