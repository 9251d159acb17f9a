//go:build integration

package controller_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
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
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// byHand labels a namespace whose Jobs the Job controller leaves alone (spec.managedBy), so that a test can end them when
// and as it likes. They have no pods.
var byHand = map[string]string{"controller-test/jobs": "by-hand"}

func newByHandCluster(t *testing.T) *cluster {
	t.Helper()
	return newClusterLabelled(t, byHand)
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
		ObjectMeta: metav1.ObjectMeta{Name: "controller-test-jobs-by-hand-" + rand.String(5)},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: byHand},
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
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "controller-test-", Labels: byHand}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = kube.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}) }()
	probe := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}
	probe.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		job, err := kube.BatchV1().Jobs(ns.Name).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && job.Spec.ManagedBy != nil, err
	})
}

// jobLog is what a watch told about the Jobs of a namespace, in the order in which it happened.
type jobLog struct {
	c  *cluster
	mu sync.Mutex
	// created holds the Jobs as they were when they were created.
	created []*batchv1.Job
	// tooEarly holds what was created while another Job had not ended.
	tooEarly     []string
	open         map[string]bool
	autoComplete bool
}

func watchJobs(c *cluster) *jobLog {
	c.t.Helper()
	l := &jobLog{c: c, open: map[string]bool{}}
	list, err := c.kube.BatchV1().Jobs(c.ns).List(c.t.Context(), metav1.ListOptions{})
	must(c.t, err)
	events, err := c.kube.BatchV1().Jobs(c.ns).Watch(c.t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	must(c.t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for event := range events.ResultChan() {
			l.record(event)
		}
	}()
	c.t.Cleanup(func() { events.Stop(); <-ended })
	return l
}

func (l *jobLog) record(event watch.Event) {
	job, ok := event.Object.(*batchv1.Job)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case event.Type == watch.Added:
		if len(l.open) > 0 {
			l.tooEarly = append(l.tooEarly, job.Name)
		}
		l.open[job.Name] = true
		l.created = append(l.created, job)
		if l.autoComplete {
			go func() {
				if err := l.c.tryEndJob(context.Background(), job.Name, batchv1.JobComplete, ""); err != nil {
					l.c.t.Errorf("complete Job %s: %v", job.Name, err)
				}
			}()
		}
	case event.Type == watch.Deleted, isTrue(job, batchv1.JobComplete):
		delete(l.open, job.Name)
	}
}

// completeAll makes every Job complete as soon as it is created.
func (l *jobLog) completeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.autoComplete = true
}

// names returns the names of all Jobs that ever were created, in that order.
func (l *jobLog) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, job := range l.created {
		out = append(out, job.Name)
	}
	return out
}

// want checks that exactly these Jobs ever were created, each once, in this order, and none while another had not ended.
func (l *jobLog) want(names ...string) {
	l.c.t.Helper()
	if got := l.names(); !slices.Equal(got, names) {
		l.c.t.Errorf("Jobs created: %q, want %q", got, names)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tooEarly) > 0 {
		l.c.t.Errorf("Jobs created before the one before them was complete: %q", l.tooEarly)
	}
}

func (c *cluster) job(name string) *batchv1.Job {
	c.t.Helper()
	job, err := c.kube.BatchV1().Jobs(c.ns).Get(c.t.Context(), name, metav1.GetOptions{})
	must(c.t, err)
	return job
}

// waitForRunning waits until a step's Job is recorded as running, and returns the Job.
func (c *cluster) waitForRunning(name string, index int) *batchv1.Job {
	c.t.Helper()
	sj := c.waitFor(name, fmt.Sprintf("step %d of %s to run", index, name), func(sj *v1alpha1.SequentialJob) bool {
		return len(sj.Status.Steps) == index+1 && sj.Status.Steps[index].State == v1alpha1.StepRunning
	})
	return c.job(sj.Status.Steps[index].JobName)
}

// endJob ends a Job of a by-hand namespace as the Job controller would.
func (c *cluster) endJob(name string, how batchv1.JobConditionType, reason string) {
	c.t.Helper()
	must(c.t, c.tryEndJob(c.t.Context(), name, how, reason))
}

func (c *cluster) tryEndJob(ctx context.Context, name string, how batchv1.JobConditionType, reason string) error {
	job, err := c.kube.BatchV1().Jobs(c.ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	now := metav1.Now()
	before := map[batchv1.JobConditionType]batchv1.JobConditionType{
		batchv1.JobComplete: batchv1.JobSuccessCriteriaMet, batchv1.JobFailed: batchv1.JobFailureTarget,
	}
	for _, condition := range []batchv1.JobConditionType{before[how], how} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: condition, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: now, LastProbeTime: now,
		})
	}
	job.Status.StartTime, job.Status.Active, job.Status.Ready = &job.CreationTimestamp, 0, nil
	if how == batchv1.JobComplete {
		job.Status.CompletionTime, job.Status.Succeeded = &now, 1
	}
	_, err = c.kube.BatchV1().Jobs(c.ns).UpdateStatus(ctx, job, metav1.UpdateOptions{})
	return err
}

func isTrue(job *batchv1.Job, condition batchv1.JobConditionType) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == condition && c.Status == corev1.ConditionTrue
	})
}

// requestCounter counts what a controller writes, events excluded.
type requestCounter struct {
	mu     sync.Mutex
	writes []string
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func (r *requestCounter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripperFunc(func(request *http.Request) (*http.Response, error) {
		if isWrite(request) {
			r.mu.Lock()
			r.writes = append(r.writes, request.Method+" "+request.URL.Path)
			r.mu.Unlock()
		}
		return next.RoundTrip(request)
	})
}

func (r *requestCounter) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.writes)
}

func isWrite(request *http.Request) bool {
	return request.Method != http.MethodGet && !strings.Contains(request.URL.Path, "/events")
}
