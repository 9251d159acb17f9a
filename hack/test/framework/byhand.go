package framework

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// ByHand labels a namespace whose Jobs the Job controller leaves alone (spec.managedBy), so that a test can end them when
// and as it likes. They have no pods.
var ByHand = map[string]string{"sequentialjob-test/jobs": "by-hand"}

// NewByHandCluster is NewCluster with the label ByHand.
func NewByHandCluster(t *testing.T) *Cluster {
	t.Helper()
	return NewClusterLabelled(t, ByHand)
}

// installByHandPolicy makes the API server set spec.managedBy in such namespaces.
func installByHandPolicy() (remove func(), err error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, fmt.Errorf("KUBECONFIG has to name a cluster to test against: %w", err)
	}
	remove, err = installMutation(config, mutation("test-jobs-by-hand-"+rand.String(5), ByHand,
		admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}},
		`Object{spec: Object.spec{managedBy: "example.com/by-hand"}}`))
	if err != nil {
		return nil, err
	}
	return remove, waitForPolicy(context.Background(), kubernetes.NewForConfigOrDie(config))
}

// waitForPolicy waits until the API server, which learns of policies by a watch, applies the policy.
func waitForPolicy(ctx context.Context, kube kubernetes.Interface) error {
	ns, err := kube.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: ByHand}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = kube.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}) }()
	probe := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}
	probe.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, Patience, true, func(ctx context.Context) (bool, error) {
		job, err := kube.BatchV1().Jobs(ns.Name).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && job.Spec.ManagedBy != nil, err
	})
}
