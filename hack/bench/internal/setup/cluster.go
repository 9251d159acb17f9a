// Package setup is the benchmark's hold on the cluster: clients, users, namespaces, processes.
package setup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// namespaceLabel is on the namespaces that the benchmark makes.
const namespaceLabel = "bench.example.com/made-here"

// patience is how long the cluster may take for what is done in a moment.
const patience = time.Minute

// Options say where the cluster is.
type Options struct {
	Kubeconfig string
	AuditLog   string
	Etcd       string
	// PIDs are the processes of the control plane by their name, and that of kwok.
	PIDs map[string]int
}

// Cluster is an administrator's access.
type Cluster struct {
	Options
	config  *rest.Config
	Kube    kubernetes.Interface
	Client  versioned.Interface
	Dynamic dynamic.Interface
}

// Connect returns access to a cluster.
func Connect(o Options) (*Cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.UserAgent = "sequencebench"
	kube, kubeErr := kubernetes.NewForConfig(Protobuf(config))
	client, clientErr := versioned.NewForConfig(config)
	dynamicClient, dynamicErr := dynamic.NewForConfig(config)
	c := &Cluster{Options: o, config: config, Kube: kube, Client: client, Dynamic: dynamicClient}
	return c, errors.Join(kubeErr, clientErr, dynamicErr)
}

// Protobuf returns a configuration for Kubernetes' own types.
func Protobuf(config *rest.Config) *rest.Config {
	out := rest.CopyConfig(config)
	out.ContentType = runtime.ContentTypeProtobuf
	out.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return out
}

// MakeNamespace makes a namespace in which pods can be created.
func (c *Cluster) MakeNamespace(ctx context.Context, name string) error {
	if err := c.RemoveNamespace(ctx, name); err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{namespaceLabel: "true"}}}
	if _, err := c.Kube.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	return eventually(ctx, "the service account of namespace "+name, func(ctx context.Context) (bool, error) {
		_, err := c.Kube.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, ignoreNotFound(err)
	})
}

// RemoveNamespace removes a namespace and all that the benchmark has made in it. Nobody may work there any more.
func (c *Cluster) RemoveNamespace(ctx context.Context, name string) error {
	err := c.Kube.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.Wipe(ctx, name); err != nil {
		return err
	}
	return eventually(ctx, "namespace "+name+" to be gone", func(ctx context.Context) (bool, error) {
		_, err := c.Kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), ignoreNotFound(err)
	})
}

// RemoveLeftovers removes what a benchmark that was interrupted has left.
func (c *Cluster) RemoveLeftovers(ctx context.Context) error {
	list, err := c.Kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: namespaceLabel})
	if err != nil {
		return err
	}
	for i := range list.Items {
		if err := c.RemoveNamespace(ctx, list.Items[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// Version returns the version of the API server.
func (c *Cluster) Version() (string, error) {
	version, err := c.Kube.Discovery().ServerVersion()
	if err != nil {
		return "", err
	}
	return version.GitVersion, nil
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func eventually(ctx context.Context, what string, condition wait.ConditionWithContextFunc) error {
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, condition); err != nil {
		return fmt.Errorf("waiting for %s: %w", what, err)
	}
	return nil
}
