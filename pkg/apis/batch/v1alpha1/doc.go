// Package v1alpha1 holds the SequentialJob API: a list of containers that run one after another, each to
// completion, each as a Kubernetes Job of its own.
//
// A [SequentialJob] is created like any Kubernetes object, with kubectl or with the clientset in pkg/generated/clientset/versioned,
// whose documentation and examples show how to create one, wait for its end, read what happened, and let a failed one go on.
//
// # What its status tells
//
// [SequentialJobStatus].Phase sums it up: Pending, Running, Suspended, Completed or Failed. CompletionTime is set once it has ended, by
// success or by failure, and taken back when a failed one goes on. Of the conditions, Available is true when it has completed,
// Failed when it has failed (its message says which step, why, and with which exit code), and Progressing while it runs. Steps
// has an entry for each step that has started, with the name of its latest Job.
//
// # What its Jobs carry
//
// The Job of step i is named <name>-<i>, that of its n-th retry <name>-<i>-r<n>. Jobs and pods have the labels
// [SequentialJobNameLabel], [SequentialJobUIDLabel], [StepIndexLabel] and [StepNameLabel].
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +groupName=batch.example.com
package v1alpha1
