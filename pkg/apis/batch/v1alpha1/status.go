package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// SequentialJobPhase sums up where a sequence stands.
//
// +enum
// +kubebuilder:validation:Enum=Pending;Running;Suspended;Completed;Failed
type SequentialJobPhase string

const (
	// SequentialJobPending means that no step has started yet.
	SequentialJobPending SequentialJobPhase = "Pending"
	// SequentialJobRunning means that a step has started and the sequence is not over.
	SequentialJobRunning SequentialJobPhase = "Running"
	// SequentialJobSuspended means that the sequence is paused: by spec.suspend, or because somebody else, such as a
	// queue, has suspended the Job of the current step.
	SequentialJobSuspended SequentialJobPhase = "Suspended"
	// SequentialJobCompleted means that every step is complete.
	SequentialJobCompleted SequentialJobPhase = "Completed"
	// SequentialJobFailed means that a step failed, or that the sequence was cancelled, and that no later step will start.
	SequentialJobFailed SequentialJobPhase = "Failed"
)

// SequentialJobStatus tells where a sequence stands.
type SequentialJobStatus struct {
	// observedGeneration is the generation of the spec that this status was decided on. It is -1 until a controller has seen
	// the SequentialJob, so that tools which know only this field do not take one without any status for done.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase sums up the status in one word: Pending, Running, Suspended, Completed or Failed. A new SequentialJob is Pending.
	// +optional
	Phase SequentialJobPhase `json:"phase,omitempty"`

	// startTime is when the first step's Job was created.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when the sequence ended, by success or by failure. Wait for either with
	// `kubectl wait --for=jsonpath='{.status.completionTime}'`. It is unset again while a failed sequence is retried.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// activeSince is since when the sequence has been active without a break; unset while it is suspended or finished.
	// Together with activeSeconds it is what counts against spec.activeDeadlineSeconds.
	// +optional
	ActiveSince *metav1.Time `json:"activeSince,omitempty"`

	// activeSeconds is for how long, in whole seconds, the sequence was active before activeSince.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ActiveSeconds int64 `json:"activeSeconds,omitempty"`

	// conditions are Available (True once every step is complete), Progressing (True while the sequence is under way)
	// and Failed (True once it has failed). Complete is there only once every step is complete, as it is with a Job;
	// Reconciling and Stalled are there only while True, for tools that read any resource by these (kstatus).
	// Progressing tells where the sequence stands in full, and so does Failed once it is True; the others are short.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// state counts the steps by state.
	// +optional
	State *ExecutionState `json:"state,omitempty"`

	// progress tells which steps are complete, which one is current and which one failed.
	// +optional
	Progress *JobProgress `json:"progress,omitempty"`

	// specCheck is what the API server said of the steps that had not started, when it was asked without running them. Each
	// generation of the spec is checked once, also while it is suspended or runs. It is unset once the sequence is complete.
	// +optional
	SpecCheck *SpecCheck `json:"specCheck,omitempty"`

	// failedWith notes what a failed sequence failed with, so that it goes on only after a change that can help.
	// +optional
	FailedWith *FailedWith `json:"failedWith,omitempty"`

	// steps has one entry for each step that has started, in the order of `spec.containers`.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Steps []StepStatus `json:"steps,omitempty"`

	// result is how the steps ended, from then on and while `spec.finally` runs. It is unset if there is no `spec.finally`, and again
	// while a failed sequence is retried.
	// +optional
	Result *StepsResult `json:"result,omitempty"`

	// finally has one entry for each container of `spec.finally` that has started since the steps ended, in their order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Finally []StepStatus `json:"finally,omitempty"`
}

// ResultType is how the steps of a sequence ended.
//
// +enum
// +kubebuilder:validation:Enum=Completed;Failed;Cancelled
type ResultType string

const (
	// ResultCompleted means that every step is complete.
	ResultCompleted ResultType = "Completed"
	// ResultFailed means that a step failed, was invalid, or that the time was up.
	ResultFailed ResultType = "Failed"
	// ResultCancelled means that the sequence was ended by spec.cancel.
	ResultCancelled ResultType = "Cancelled"
)

// StepsResult is how the steps of a sequence ended.
type StepsResult struct {
	// type is Completed, Failed or Cancelled.
	// +required
	Type ResultType `json:"type,omitempty"`

	// failedStep is the name of the step that failed, or that did not start; unset if all are complete.
	// +optional
	FailedStep string `json:"failedStep,omitempty"`

	// reason is the short reason of the failure, for example BackoffLimitExceeded or Cancelled; unset if all are complete.
	// +optional
	Reason string `json:"reason,omitempty"`

	// message says why the steps did not all complete.
	// +optional
	Message string `json:"message,omitempty"`

	// time is when the steps ended.
	// +required
	Time metav1.Time `json:"time,omitempty,omitzero"`
}

// SpecCheckResult is the outcome of a check of the spec.
//
// +enum
// +kubebuilder:validation:Enum=Accepted;Refused;Unknown
type SpecCheckResult string

const (
	// SpecCheckAccepted means that the API server accepts the Jobs of all steps.
	SpecCheckAccepted SpecCheckResult = "Accepted"
	// SpecCheckRefused means that it refuses that of at least one step as invalid.
	SpecCheckRefused SpecCheckResult = "Refused"
	// SpecCheckUnknown means that it could not be found out, because a quota, a policy or a webhook does not let the check pass.
	SpecCheckUnknown SpecCheckResult = "Unknown"
)

// SpecCheck is what the API server said of the steps that have not started.
type SpecCheck struct {
	// generation is the generation of the spec that was checked.
	// +required
	// +kubebuilder:validation:Minimum=0
	Generation int64 `json:"generation"`

	// result is Accepted, Refused or Unknown.
	// +required
	Result SpecCheckResult `json:"result"`

	// message says what is wrong, field by field, or why it could not be found out.
	// +optional
	Message string `json:"message,omitempty"`
}

// FailedWith is what a sequence failed with.
type FailedWith struct {
	// stepsHash is a hash of the steps and of what else their Jobs are made of.
	// +optional
	StepsHash string `json:"stepsHash,omitempty"`

	// retries is the spec.retries that it failed with.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Retries int32 `json:"retries,omitempty"`

	// activeDeadlineSeconds is the spec.activeDeadlineSeconds that it failed with; unset if there was no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"`
}

// ExecutionState counts steps by state.
type ExecutionState struct {
	// active is the number of steps that are running: 0 or 1.
	// +required
	// +kubebuilder:validation:Minimum=0
	Active int32 `json:"active"`

	// succeeded is the number of steps that are complete.
	// +required
	// +kubebuilder:validation:Minimum=0
	Succeeded int32 `json:"succeeded"`

	// failed is the number of steps that have failed: 0 or 1.
	// +required
	// +kubebuilder:validation:Minimum=0
	Failed int32 `json:"failed"`
}

// JobProgress tells which steps are complete, which one is current and which one failed.
type JobProgress struct {
	// currentIndex is the index, from 0, of the step that runs or runs next. It stays at the last step when all are
	// complete, and at the failed step when one has failed.
	// +required
	// +kubebuilder:validation:Minimum=0
	CurrentIndex int32 `json:"currentIndex"`

	// currentStep is the name of the step at currentIndex.
	// +optional
	CurrentStep string `json:"currentStep,omitempty"`

	// completions is the number of complete steps and of all steps, for example "2/3".
	// +optional
	Completions string `json:"completions,omitempty"`

	// completedIndices are the indices, from 0, of the steps that are complete, in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	CompletedIndices []int32 `json:"completedIndices,omitempty"`

	// failedIndex is the index, from 0, of the step that failed; unset while none has.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FailedIndex *int32 `json:"failedIndex,omitempty"`

	// failureReason is the short reason of the failure, for example BackoffLimitExceeded, JobDeleted or InvalidSpec.
	// +optional
	FailureReason string `json:"failureReason,omitempty"`

	// retries is how often, over the whole sequence, it has gone on after a failure. It counts against spec.retries.
	// +required
	// +kubebuilder:validation:Minimum=0
	Retries int32 `json:"retries"`

	// finallyRuns is how often the steps have ended and `spec.finally` was begun.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FinallyRuns int32 `json:"finallyRuns,omitempty"`
}

// StepState is where one step stands.
//
// +enum
// +kubebuilder:validation:Enum=Running;Completed;Failed
type StepState string

const (
	// StepRunning means that the step's Job exists and has not ended.
	StepRunning StepState = "Running"
	// StepCompleted means that the step's Job is complete. It is final, whatever happens to the Job afterwards.
	StepCompleted StepState = "Completed"
	// StepFailed means that the step's Job failed or was deleted while it ran.
	StepFailed StepState = "Failed"
)

// StepStatus is what is known of one step that has started.
type StepStatus struct {
	// name is the name of the step.
	// +required
	Name string `json:"name"`

	// jobName is the name of the step's Job, in the namespace of the SequentialJob.
	// +required
	JobName string `json:"jobName"`

	// jobUID is the UID of that Job: a Job of the same name with another UID is not this step's. It is empty only for a container
	// of `spec.finally` whose Job the API server refused as invalid.
	// +required
	JobUID types.UID `json:"jobUID"`

	// state is Running, Completed or Failed.
	// +required
	State StepState `json:"state"`

	// startTime is when the step's Job was created.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when the step's Job completed or failed.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// retries is how often this step has been started again after a failure; of `spec.finally`, how often the steps had ended before.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Retries int32 `json:"retries,omitempty"`

	// message says why the step failed: reason, exit code and termination message, at most 1,024 bytes of it.
	// +optional
	Message string `json:"message,omitempty"`
}
