package controller

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

// Clients are what a Controller talks to the API server with.
type Clients struct {
	// Kube is for Kubernetes' own types.
	Kube kubernetes.Interface
	// KubeJSON is the same, and sends JSON.
	KubeJSON kubernetes.Interface
	// SequentialJobs is for SequentialJobs.
	SequentialJobs versioned.Interface
}

// NewClients returns clients for the built-in types, which speak protobuf and JSON, and one for SequentialJobs, for which the API
// server knows JSON only.
func NewClients(config *rest.Config) (Clients, error) {
	if config.QPS > 0 && config.RateLimiter == nil { // one limit for all of them
		config = rest.CopyConfig(config)
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, config.Burst)
	}
	protobuf := rest.CopyConfig(config)
	protobuf.ContentType = runtime.ContentTypeProtobuf
	protobuf.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	kube, err := kubernetes.NewForConfig(protobuf)
	if err != nil {
		return Clients{}, fmt.Errorf("client for Jobs: %w", err)
	}
	kubeJSON, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Clients{}, fmt.Errorf("client for dry runs: %w", err)
	}
	client, err := versioned.NewForConfig(config)
	if err != nil {
		return Clients{}, fmt.Errorf("client for SequentialJobs: %w", err)
	}
	return Clients{Kube: kube, KubeJSON: kubeJSON, SequentialJobs: client}, nil
}
