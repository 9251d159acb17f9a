package framework

import (
	"context"
	"errors"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// MutateJobs makes the API server change each Job that is created in the namespace from now on, as somebody else's admission
// policy does. expression is that of an apply configuration; isChanged tells whether a Job was changed by it.
func (c *Cluster) MutateJobs(expression string, isChanged func(*batchv1.Job) bool) {
	c.T.Helper()
	c.mutate(admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}}, expression)
	probe := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}
	probe.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	c.Eventually("the policy to be in force", func(ctx context.Context) (bool, error) {
		// Another policy may refuse what this one has not changed.
		job, err := c.Kube.BatchV1().Jobs(c.Namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && isChanged(job), nil
	})
}

// MutatePods is MutateJobs for pods.
func (c *Cluster) MutatePods(expression string, isChanged func(*corev1.Pod) bool) {
	c.T.Helper()
	c.mutate(admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}, expression)
	probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}
	probe.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}}
	c.Eventually("the policy to be in force", func(ctx context.Context) (bool, error) {
		pod, err := c.Kube.CoreV1().Pods(c.Namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && isChanged(pod), nil // at first there is no service account either
	})
}

func (c *Cluster) mutate(rule admissionv1.Rule, expression string) {
	c.T.Helper()
	policy := mutation(c.Namespace+"-"+rand.String(5), map[string]string{corev1.LabelMetadataName: c.Namespace}, rule, expression)
	remove, err := installMutation(RestConfig(c.T), policy)
	Must(c.T, err)
	c.T.Cleanup(remove)
}

// mutation is a policy for what is created in the namespaces that have these labels.
func mutation(name string, namespaces map[string]string, rule admissionv1.Rule, expression string) *admissionv1.MutatingAdmissionPolicy {
	create := []admissionv1.OperationType{admissionv1.Create}
	return &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: namespaces},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionv1.RuleWithOperations{Operations: create, Rule: rule},
				}},
			},
			Mutations: []admissionv1.Mutation{{
				PatchType:          admissionv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: expression},
			}},
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		},
	}
}

// installMutation puts a policy into force, which takes a moment after it has returned.
func installMutation(config *rest.Config, policy *admissionv1.MutatingAdmissionPolicy) (remove func(), err error) {
	ctx := context.Background()
	version, err := mutatingPolicyVersion(kubernetes.NewForConfigOrDie(config))
	if err != nil {
		return nil, err
	}
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
	}, nil
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
