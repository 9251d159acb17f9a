package framework

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
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
	ctx, kube := context.Background(), kubernetes.NewForConfigOrDie(config)
	version, err := mutatingPolicyVersion(kube)
	if err != nil {
		return nil, err
	}
	policy := byHandPolicy()
	binding := &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policy.Name},
		Spec:       admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: policy.Name},
	}
	client := dynamic.NewForConfigOrDie(config)
	policies := client.Resource(version.WithResource("mutatingadmissionpolicies"))
	bindings := client.Resource(version.WithResource("mutatingadmissionpolicybindings"))
	if err := errors.Join(createAs(ctx, policies, version.WithKind("MutatingAdmissionPolicy"), policy),
		createAs(ctx, bindings, version.WithKind("MutatingAdmissionPolicyBinding"), binding)); err != nil {
		return nil, err
	}
	return func() {
		_ = bindings.Delete(ctx, binding.Name, metav1.DeleteOptions{})
		_ = policies.Delete(ctx, policy.Name, metav1.DeleteOptions{})
	}, waitForPolicy(ctx, kube)
}

// mutatingPolicyVersion returns in which version the API server has such policies; up to 1.35 it is not v1.
func mutatingPolicyVersion(kube kubernetes.Interface) (schema.GroupVersion, error) {
	served, err := kube.Discovery().ServerResourcesForGroupVersion(admissionv1.SchemeGroupVersion.String())
	if err != nil {
		return schema.GroupVersion{}, err
	}
	if slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Kind == "MutatingAdmissionPolicy" }) {
		return admissionv1.SchemeGroupVersion, nil
	}
	return schema.GroupVersion{Group: admissionv1.GroupName, Version: "v1beta1"}, nil
}

// createAs creates an object of v1 in a version that has the same fields.
func createAs(ctx context.Context, client dynamic.ResourceInterface, kind schema.GroupVersionKind, object runtime.Object) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(kind)
	_, err = client.Create(ctx, u, metav1.CreateOptions{})
	return err
}

func byHandPolicy() *admissionv1.MutatingAdmissionPolicy {
	create := []admissionv1.OperationType{admissionv1.Create}
	rule := admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}}
	return &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "test-jobs-by-hand-" + rand.String(5)},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: ByHand},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionv1.RuleWithOperations{Operations: create, Rule: rule},
				}},
			},
			Mutations: []admissionv1.Mutation{{
				PatchType: admissionv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionv1.ApplyConfiguration{
					Expression: `Object{spec: Object.spec{managedBy: "example.com/by-hand"}}`,
				},
			}},
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		},
	}
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
