package controller

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
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
	// Events is to publish events with. Jobs should not have to wait for them, so they need a limit of requests of their own.
	Events typedcorev1.EventsGetter
}

// eventTimeout ends a request about an event that hangs: those about the same object would wait for it.
const eventTimeout = 30 * time.Second

// NewClients returns clients for the built-in types, which speak protobuf and JSON, and one for SequentialJobs, for which the API
// server knows JSON only. They share one limit of requests; the client for events has another one, of the same size.
func NewClients(config *rest.Config) (Clients, error) {
	ofEvents := protobufConfig(config)
	ofEvents.RateLimiter, ofEvents.Timeout = nil, eventTimeout
	events, err := typedcorev1.NewForConfig(ofEvents)
	if err != nil {
		return Clients{}, fmt.Errorf("client for events: %w", err)
	}
	if config.QPS > 0 && config.RateLimiter == nil {
		config = rest.CopyConfig(config)
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, config.Burst)
	}
	kube, err := kubernetes.NewForConfig(protobufConfig(config))
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
	return Clients{Kube: kube, KubeJSON: kubeJSON, SequentialJobs: client, Events: events}, nil
}

func protobufConfig(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return config
}
