package v1alpha1

// Limits that the API server enforces and the controller relies on.
const (
	// MaxNameLength is the longest name of a SequentialJob, in characters. As for a CronJob, it leaves room for what
	// is appended to make the name of a Job, which is limited to 63 characters because it becomes a label value.
	MaxNameLength = 52
	// MaxSteps is the largest number of steps in a sequence.
	MaxSteps = 100
	// MaxFinally is the largest number of containers in spec.finally.
	MaxFinally = 20
	// MaxRetries is the largest spec.retries. Together with the others it keeps the name of a retry's Job short enough.
	MaxRetries = 1000
)

// SequentialJobKind is the kind of a SequentialJob.
const SequentialJobKind = "SequentialJob"

// Labels, finalizer and event source.
const (
	// LabelPrefix is the prefix of every label and annotation key that the controller owns.
	LabelPrefix = "batch.example.com/"
	// SequentialJobNameLabel is set on every Job and Pod of a sequence to the name of its SequentialJob.
	SequentialJobNameLabel = LabelPrefix + "sequentialjob-name"
	// SequentialJobUIDLabel is set on every Job and Pod of a sequence to the UID of its SequentialJob.
	SequentialJobUIDLabel = LabelPrefix + "sequentialjob-uid"
	// StepIndexLabel is set on every Job and Pod of a sequence to the index of its step, from 0.
	StepIndexLabel = LabelPrefix + "step-index"
	// FinallyIndexLabel is set, instead of StepIndexLabel, on the Jobs and Pods of spec.finally to the index of their container, from 0.
	FinallyIndexLabel = LabelPrefix + "finally-index"
	// StepNameLabel is set on every Job and Pod of a sequence to the name of its step.
	StepNameLabel = LabelPrefix + "step-name"
	// CleanupFinalizer keeps a SequentialJob that is deleted while it runs until its Jobs and their Pods are gone, so that
	// one created again under the same name never runs beside them.
	CleanupFinalizer = LabelPrefix + "cleanup"
	// SuspendedByAnnotation is set on a Job to ControllerName while this controller has suspended it. A Job that is
	// suspended without it was suspended by somebody else, such as a queue, and is left alone.
	SuspendedByAnnotation = LabelPrefix + "suspended-by"
	// GenerationAnnotation is set on a Job to the metadata.generation of the SequentialJob that it was made of.
	GenerationAnnotation = LabelPrefix + "generation"
	// StepHashAnnotation is set on a Job to a hash of what it was made of: its step and what all steps have in common.
	StepHashAnnotation = LabelPrefix + "step-hash"
	// DeadlineAnnotation is set on a Job to the activeDeadlineSeconds that this controller gave it. Any other value is somebody
	// else's, such as an admission policy's.
	DeadlineAnnotation = LabelPrefix + "active-deadline-seconds"
	// ForeignDeadlineAnnotation is set on a Job to the activeDeadlineSeconds that somebody else gave it, while this
	// controller's, which is lower, stands in for it.
	ForeignDeadlineAnnotation = LabelPrefix + "foreign-active-deadline-seconds"
	// AdvanceOnLabel is set on the Jobs and Pods of a sequence to its spec.advanceOn when they were created, if that was PodSucceeded.
	// The controller watches the Pods that have it, and no others.
	AdvanceOnLabel = LabelPrefix + "advance-on"
	// StepDeadlineAnnotation is set on a Job to the activeDeadlineSeconds that this controller gave it if that is the step's own, by
	// spec.stepOverrides, and not what was left to the sequence.
	StepDeadlineAnnotation = LabelPrefix + "step-active-deadline-seconds"
	// CancelledAnnotation is set on the Job that this controller stops because of spec.cancel, to "true".
	CancelledAnnotation = LabelPrefix + "cancelled"
	// ResultAnnotation is set on the Jobs and Pods of spec.finally to how the steps ended: Completed, Failed or Cancelled.
	ResultAnnotation = LabelPrefix + "result"
	// FailedStepAnnotation is set on them to the name of the step that failed, or that did not start; to "" if all are complete.
	FailedStepAnnotation = LabelPrefix + "failed-step"
	// FailureReasonAnnotation is set on them to the short reason of the failure; to "" if all are complete.
	FailureReasonAnnotation = LabelPrefix + "failure-reason"
	// ControllerName is the source component of all events and the field manager of all writes.
	ControllerName = "sequentialjob-controller"
)

// Condition types of a SequentialJob.
const (
	// ConditionAvailable is True once every step is complete.
	ConditionAvailable = "Available"
	// ConditionProgressing is True while the sequence is under way.
	ConditionProgressing = "Progressing"
	// ConditionFailed is True once the sequence has failed.
	ConditionFailed = "Failed"
	// ConditionComplete is present, and True, only once every step is complete, as it is with a Job.
	ConditionComplete = "Complete"
	// ConditionReconciling is present, and True, only while the sequence is under way (kstatus).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is present, and True, only once the sequence has failed (kstatus).
	ConditionStalled = "Stalled"
)

// Reasons of conditions and events. A sequence that failed because its Job failed carries the Job's own reason, for
// example BackoffLimitExceeded or PodFailurePolicy.
const (
	// ReasonJobStarted means that a step's Job was created.
	ReasonJobStarted = "JobStarted"
	// ReasonJobCompleted means that a step's Job is complete.
	ReasonJobCompleted = "JobCompleted"
	// ReasonJobFailed is the reason of the event for a step that failed, and of a condition if the Job gave no reason.
	ReasonJobFailed = "JobFailed"
	// ReasonNotEnded is the reason of the conditions Available and Failed until one of them can be True.
	ReasonNotEnded = "NotEnded"
	// ReasonCompleted means that every step is complete.
	ReasonCompleted = "Completed"
	// ReasonFailed is the reason of the event for a sequence that had failed, or was cancelled, and is over now that spec.finally has run.
	ReasonFailed = "Failed"
	// ReasonSuspended means that the sequence is paused, by spec.suspend or because the current step's Job is suspended.
	ReasonSuspended = "Suspended"
	// ReasonResumed means that the sequence is no longer paused.
	ReasonResumed = "Resumed"
	// ReasonRetrying means that a failed step is about to be started again.
	ReasonRetrying = "Retrying"
	// ReasonDeadlineExceeded means that the sequence was active for longer than spec.activeDeadlineSeconds.
	ReasonDeadlineExceeded = "DeadlineExceeded"
	// ReasonStepDeadlineExceeded means that an attempt of a step was active for longer than its own activeDeadlineSeconds.
	ReasonStepDeadlineExceeded = "StepDeadlineExceeded"
	// ReasonCancelled means that the sequence was ended by spec.cancel.
	ReasonCancelled = "Cancelled"
	// ReasonStepsEnded means that the steps have ended and that spec.finally runs now.
	ReasonStepsEnded = "StepsEnded"
	// ReasonFinallyFailed means that every step is complete and a container of spec.finally failed.
	ReasonFinallyFailed = "FinallyFailed"
	// ReasonPodNotStarted means that the running step has no pod, or one whose containers do not start; the message has
	// the reason that Kubernetes gives.
	ReasonPodNotStarted = "PodNotStarted"
	// ReasonPodFailed means that a pod of the running step failed and its Job tries again, within backoffLimit.
	ReasonPodFailed = "PodFailed"
	// ReasonPodStillRunning means that the running step has ended, and another container keeps its pod from ending.
	ReasonPodStillRunning = "PodStillRunning"
	// ReasonJobEnding means that the running step's Job has failed and its pods are being stopped.
	ReasonJobEnding = "JobEnding"
	// ReasonSpecChanged notes that the spec was edited while the sequence was under way.
	ReasonSpecChanged = "SpecChanged"
	// ReasonJobNameConflict means that the next step waits because a Job of its name exists that is not its own.
	ReasonJobNameConflict = "JobNameConflict"
	// ReasonJobCreateFailed means that the next step waits because the API server did not create its Job (quota,
	// permissions, load); it is tried again.
	ReasonJobCreateFailed = "JobCreateFailed"
	// ReasonJobUpdateFailed means that the API server does not let the running step's Job be suspended, resumed or given
	// another deadline; it is tried again.
	ReasonJobUpdateFailed = "JobUpdateFailed"
	// ReasonJobDeleted means that the Job of a running step was deleted before it was seen to end.
	ReasonJobDeleted = "JobDeleted"
	// ReasonInvalidSpec means that the API server refuses the Job of a step as invalid.
	ReasonInvalidSpec = "InvalidSpec"
)
