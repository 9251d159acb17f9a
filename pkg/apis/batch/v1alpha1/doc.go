// Package v1alpha1 holds the SequentialJob API: a list of containers that run one after another, each to
// completion, each as a Kubernetes Job of its own.
//
// +k8s:deepcopy-gen=package
// +k8s:openapi-gen=true
// +groupName=batch.example.com
package v1alpha1
