package v1alpha1

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SequentialJob runs a list of containers one after another, each to completion, each as a Job of its own.
// A step starts only when the Job of the step before it is complete; a step that fails ends the sequence.
//
// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sequentialjobs,shortName=sj,categories=all,scope=Namespaced
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.phase`,description="Where the sequence stands: Pending, Running, Suspended, Completed or Failed."
// +kubebuilder:printcolumn:name="Completions",type=string,JSONPath=`.status.progress.completions`,description="How many steps are complete, of how many."
// +kubebuilder:printcolumn:name="Step",type=string,JSONPath=`.status.progress.currentStep`,description="The step that runs, runs next, or ran last."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Progressing")].reason`,description="The latest step forward, or why there is none."
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Progressing")].message`,description="The same in words."
type SequentialJob struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is at most 52 characters long, so that the names of the
	// Jobs, `<name>-<index>`, never need to be cut.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says what to run.
	// +required
	Spec SequentialJobSpec `json:"spec,omitzero"`

	// status tells where the sequence stands. It is written by the controller.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1,"phase":"Pending"}
	Status SequentialJobStatus `json:"status,omitempty,omitzero"` //nolint:kubeapilinter // the generators take no +default but {} here
}

// SequentialJobSpec says what a SequentialJob runs.
type SequentialJobSpec struct {
	// containers are the steps, 1 to 100, in the order in which they run. Each is a standard Kubernetes container and
	// runs in a Job of its own, named `<name of the SequentialJob>-<index of the step>`, the first index being 0.
	// Step names are unique; `name` and `image` are required. A step that has started can no longer be changed, only
	// written in another way; one that has not can be changed, moved, removed or added while the sequence runs.
	// Unlike in a Job, a quantity with a fraction needs quotes: `cpu: "0.5"`, or `500m`.
	// A step without `terminationMessagePolicy` gets FallbackToLogsOnError, so that the reason of a failure is known.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	Containers []corev1.Container `json:"containers,omitempty"`

	// template holds the labels, annotations and pod settings that every step's Job and Pod gets: volumes, service
	// account, node selector, security context and so on. `template.spec.containers` stays empty: steps belong in
	// `spec.containers`, helpers that run beside every step in `template.spec.initContainers` with
	// `restartPolicy: Always`. `template.spec.restartPolicy` is Never (the default) or OnFailure.
	// A step's Pod leaves out the resource claims and ephemeral volumes that none of its containers and init containers
	// uses, so that it does not wait for what is another step's.
	// A change reaches only the steps that have not started. Keys under `batch.example.com/` and the Job
	// controller's own are set by the controllers, whatever is given here.
	// +optional
	Template corev1.PodTemplateSpec `json:"template,omitempty,omitzero"`

	// backoffLimit is how often the pod of each step is tried again before the step counts as failed, as in a Job.
	// 0 or more; unset means the Job's own default, 6. With `template.spec.restartPolicy` OnFailure, restarts of containers
	// in their pod count as well. With Never, a container that restarts in its pod because of a `restartPolicy` or
	// `restartPolicyRules` of its own is not bounded by it, only by `activeDeadlineSeconds`.
	// A change reaches only the steps that have not started.
	// +optional
	// +kubebuilder:validation:Minimum=0
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// podFailurePolicy says, as in a Job, which pod failures end a step at once, count against `backoffLimit`, or are
	// ignored. It needs `template.spec.restartPolicy` Never. A rule whose `onExitCodes.containerName` names another step
	// is left out of this step's Job. A change reaches only the steps that have not started.
	// +optional
	PodFailurePolicy *batchv1.PodFailurePolicy `json:"podFailurePolicy,omitempty"`

	// suspend pauses the sequence while it is true, as in a Job: the pods of the running step are stopped (through the
	// step's own Job) and no further step starts. Set back to false, the sequence goes on with the same step; completed
	// steps are not run again. Unset means false.
	// +optional
	Suspend *bool `json:"suspend,omitempty"` //nolint:kubeapilinter // a boolean, as in a Job

	// retries is how often, over the whole sequence, a step that failed is started again, at once and in a new Job named
	// `<name>-<index>-r<n>`; completed steps are never run again. 0 to 1000; unset means 0.
	// Raising it on a failed SequentialJob makes it go on from the failed step, which may be edited first, as may the
	// steps after it. If some are left, as after InvalidSpec and DeadlineExceeded, a change of the steps, of their
	// `stepOverrides`, of `template` or `podFailurePolicy`, or a higher `activeDeadlineSeconds`, does so as well; so does a change of `finally` if
	// it was that which failed; any other edit spends none.
	// One that was invalid, or out of time, fails again unless that is corrected.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Retries *int32 `json:"retries,omitempty"`

	// activeDeadlineSeconds is how long, in seconds, the whole sequence may be active before its running step is stopped
	// and the sequence fails with DeadlineExceeded. Time during which it is suspended, by `suspend` or by a queue, or
	// has failed and was not yet retried, does not count. 0 or more; 0 lets no step start; unset means no limit. A change
	// reaches the running step too. If somebody else, such as an admission policy, gives a step's Job a deadline, the lower
	// of the two holds; a step that theirs ends counts as failed, and may be retried.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"`

	// ttlSecondsAfterFinished is after how many seconds a finished SequentialJob, completed or failed, is deleted, and its
	// Jobs and Pods with it. 0 or more; 0 deletes it as soon as it has finished; unset means never. Raising or removing
	// it in time keeps the object.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`

	// advanceOn says when a step is over and the next one starts: JobComplete, once the Job of the running step is complete; or
	// PodSucceeded, once the pod of the running step has succeeded, about a second earlier, because that is how long a Job takes
	// to say so. Unset means JobComplete.
	// With PodSucceeded a step is still waited for until its Job is complete if anything but the success of its only pod could
	// count: a pod that failed or was replaced, a container that restarted or still runs, a Job that is deleted, out of time,
	// suspended or was ever suspended, as by a queue, or that somebody else runs or has changed.
	// It may be changed at any time: PodSucceeded reaches the steps that have not started, JobComplete the running one too.
	// +optional
	AdvanceOn *AdvanceOn `json:"advanceOn,omitempty"`

	// stepOverrides say what is different for single steps, by the name of the step, which is one of `containers` or `finally`.
	// At most one entry a step; the order does not matter.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=120
	StepOverrides []StepOverride `json:"stepOverrides,omitempty"`

	// finally are up to 20 containers that run once the steps are over, whatever the end was: after success, after the last
	// retry has failed, after the deadline and after `cancel`; not if no step ever started, and not if the SequentialJob is deleted.
	// They run one after another, each in a Job of its own, named `<name>-f<index>`; one that fails keeps no other from running.
	// The rules for steps hold for them, and their names are unique among both. `activeDeadlineSeconds` and `retries` of
	// the sequence are not for them; `stepOverrides` may give each a deadline; `suspend` holds them too.
	// Their Pods learn the result from their annotations `batch.example.com/result` (Completed, Failed or Cancelled),
	// `batch.example.com/failed-step` and `batch.example.com/failure-reason`, through the downward API.
	// A failure of the steps stays the cause. If all steps are complete, one of these that fails makes the sequence fail with
	// FinallyFailed. When a failed sequence goes on by `retries`, they run again at its new end, in new Jobs
	// named `<name>-f<index>-r<n>`.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Finally []corev1.Container `json:"finally,omitempty"`

	// cancel ends the sequence for good once it is true: the running step is stopped through its Job, no further step starts, `finally`
	// runs, and the sequence fails with Cancelled. It cannot be taken back, and `retries` do not revive the sequence. If all
	// steps are complete, it stays Completed. Everything is kept but the log of the pod that was running. Unset means false.
	// +optional
	Cancel *bool `json:"cancel,omitempty"` //nolint:kubeapilinter // a boolean, as suspend is
}

// StepOverride says what is different for one step. A field that is unset leaves the step as the rest of the spec has it.
// For a step that has started, only what can help its next attempt may be changed: not its template, and
// nothing but `suspend` once it is complete.
type StepOverride struct {
	// name is the name of the step: one of `spec.containers` or `spec.finally`.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// template is merged over `spec.template` for this step as `kubectl patch` would (strategic merge patch): labels, annotations
	// and other maps are added to, volumes, init containers and their environment are merged by name, single values and other lists, such
	// as tolerations, are replaced. Nothing gets lost by leaving it out. `template.spec.containers` stays empty.
	// +optional
	Template *corev1.PodTemplateSpec `json:"template,omitempty"`

	// backoffLimit is how often the pod of this step is tried again, instead of `spec.backoffLimit`. 0 or more.
	// +optional
	// +kubebuilder:validation:Minimum=0
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// activeDeadlineSeconds is how long, in seconds, one attempt of this step may be active before its Job is stopped and the step fails
	// with StepDeadlineExceeded. It may be retried then, unlike a sequence that is out of time by `spec.activeDeadlineSeconds`; the
	// lower of both holds. 1 or more; unset means no limit. A change reaches the running step too.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"`

	// suspend makes the sequence wait before this step until it is false or unset: an approval. It may be set while the steps before
	// run, which it does not touch, and has no effect on a step that runs. Time spent waiting does not count
	// against `spec.activeDeadlineSeconds`. Unset means false.
	// +optional
	Suspend *bool `json:"suspend,omitempty"` //nolint:kubeapilinter // a boolean, as in spec
}

// AdvanceOn says when a step is over and the next one starts.
//
// +enum
// +kubebuilder:validation:Enum=JobComplete;PodSucceeded
type AdvanceOn string

const (
	// AdvanceOnJobComplete means that the next step starts once the Job of the one before it is complete.
	AdvanceOnJobComplete AdvanceOn = "JobComplete"
	// AdvanceOnPodSucceeded means that the next step starts once the pod of the one before it has succeeded, and no other pod of its Job
	// exists or can appear.
	AdvanceOnPodSucceeded AdvanceOn = "PodSucceeded"
)

// SequentialJobList is a list of SequentialJobs.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
// +kubebuilder:object:root=true
type SequentialJobList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the SequentialJobs.
	Items []SequentialJob `json:"items"`
}
