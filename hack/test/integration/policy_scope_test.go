//go:build integration

package integration_test

import (
	"context"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func mayDo(resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{resource}, Verbs: verbs}
}

var mayCreateJobs = rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}}

// Neither a permission elsewhere nor another kind of write is a way around the policy.
func TestThePermissionToCreateJobsCountsInItsNamespaceAndForEveryKindOfWrite(t *testing.T) {
	c := newCluster(t)
	const user = "neighbour"
	theirs := c.user(user)
	c.grant(user, "sequences-only", mayDo("sequentialjobs", rbacv1.VerbAll))
	elsewhere, err := c.Kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.Namespace + "-elsewhere"}}, metav1.CreateOptions{})
	framework.Must(t, err)
	t.Cleanup(func() {
		if err := c.Kube.CoreV1().Namespaces().Delete(context.Background(), elsewhere.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	(&cluster{&framework.Cluster{T: t, Namespace: elsewhere.Name, Kube: c.Kube}}).grant(user, "jobs", mayCreateJobs)

	suspended := framework.NewSequence("etl", "extract")
	suspended.Spec.Suspend = new(true)
	c.Create(suspended)
	tries := map[string]func(context.Context) error{
		"a create": func(ctx context.Context) error {
			_, err := theirs.Create(ctx, framework.NewSequence("theirs", "extract"), onlyTry)
			return err
		},
		"a create with a generated name": func(ctx context.Context) error {
			sj := framework.NewSequence("", "extract")
			sj.GenerateName = "theirs-"
			_, err := theirs.Create(ctx, sj, onlyTry)
			return err
		},
		"a create by server-side apply": func(ctx context.Context) error {
			return apply(ctx, theirs, "applied", `{"containers":[{"name":"extract","image":"example.com/extract:v1"}]}`)
		},
		"a change by server-side apply": func(ctx context.Context) error { return apply(ctx, theirs, "etl", `{"suspend":false}`) },
		"a change by update": func(ctx context.Context) error {
			sj := c.Get("etl")
			sj.Spec.Suspend = nil
			_, err := theirs.Update(ctx, sj, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		},
		"a change by JSON patch": func(ctx context.Context) error {
			_, err := theirs.Patch(ctx, "etl", types.JSONPatchType, []byte(`[{"op":"remove","path":"/spec/suspend"}]`),
				metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		},
	}
	for what, try := range tries {
		c.mustBeForbidden(what, `may not create jobs.batch in namespace "`+c.Namespace+`": grant that permission`, try)
	}
	c.grant(user, "jobs", mayCreateJobs)
	for what, try := range tries {
		c.mustBeAllowed(what, try)
	}
}

type patcher interface {
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, sub ...string) (*v1alpha1.SequentialJob, error)
}

// apply tries a server-side apply of a spec.
func apply(ctx context.Context, client patcher, name, spec string) error {
	_, err := client.Patch(ctx, name, types.ApplyPatchType,
		[]byte(`{"apiVersion":"`+v1alpha1.GroupVersion.String()+`","kind":"SequentialJob","metadata":{"name":"`+name+`"},"spec":`+spec+`}`),
		metav1.PatchOptions{FieldManager: "apply-test", Force: new(true), DryRun: []string{metav1.DryRunAll}})
	return err
}

// Status and finalizers, which the controller writes, start nothing.
func TestThePolicyLooksAtTheSpecOnly(t *testing.T) {
	c := newCluster(t)
	const user = "bookkeeper"
	theirs := c.user(user)
	c.grant(user, "sequences-only", mayDo("sequentialjobs", rbacv1.VerbAll), mayDo("sequentialjobs/status", "update"))
	c.Create(framework.NewSequence("etl", "extract"))
	c.mustBeForbidden("a change of the spec", "may not create jobs.batch", func(ctx context.Context) error {
		_, err := theirs.Patch(ctx, "etl", types.MergePatchType, []byte(`{"spec":{"suspend":true}}`), metav1.PatchOptions{})
		return err
	})
	for _, patch := range []string{
		`{"metadata":{"finalizers":["` + v1alpha1.CleanupFinalizer + `"]}}`,
		`{"metadata":{"annotations":{"note":"mine"}}}`,
		`{"metadata":{"finalizers":null}}`,
	} {
		_, err := theirs.Patch(t.Context(), "etl", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		framework.Must(t, err)
	}
	sj := c.Get("etl")
	sj.Status.Phase = v1alpha1.SequentialJobPending
	_, err := theirs.UpdateStatus(t.Context(), sj, metav1.UpdateOptions{})
	framework.Must(t, err)
	framework.Must(t, theirs.Delete(t.Context(), "etl", metav1.DeleteOptions{}))
}

// Every verb of every part, by Kubernetes' own answer to whether a user of the role may do it.
func TestTheRolesOfUsersAllowExactlyThis(t *testing.T) {
	c := newCluster(t)
	read, write := []string{"get", "list", "watch"}, []string{"create", "update", "patch", "delete", "deletecollection"}
	for role, writes := range map[string]bool{"view": false, "edit": true, "admin": true} {
		user := "may-" + role
		c.bind(user, "ClusterRole", role)
		for _, verb := range append(read, write...) {
			want := writes || verb == "get" || verb == "list" || verb == "watch"
			c.mustAnswer(user, verb, "", want)
			// A namespace's admin has no more of these than anybody: only the controller writes them.
			c.mustAnswer(user, verb, "status", false)
			c.mustAnswer(user, verb, "finalizers", false)
		}
	}
}

func (c *cluster) mustAnswer(user, verb, subresource string, want bool) {
	c.T.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: c.Namespace, Group: v1alpha1.GroupName, Resource: "sequentialjobs", Subresource: subresource, Verb: verb,
		}}}
	what := strings.TrimSuffix(user+" "+verb+" sequentialjobs/"+subresource, "/")
	c.Eventually(what, func(ctx context.Context) (bool, error) {
		answer, err := c.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed == want, err
	})
}

// A policy of the cluster on Jobs sees those of a sequence as it sees any other: the last step is refused before the first runs.
func TestAPolicyOnJobsAppliesToTheStepsOfASequence(t *testing.T) {
	c := newByHandCluster(t)
	const message = "images have to come from example.com"
	c.refuseJobs(admissionv1.Validation{
		Expression: `object.spec.template.spec.containers.all(c, c.image.startsWith("example.com/"))`, Message: message,
	})
	c.StartController()
	sj := framework.NewSequence("etl", "extract", "load")
	sj.Spec.Containers[1].Image = "elsewhere.example.org/load:v1"
	c.Create(sj)
	sj = c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	failed := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionFailed)
	if !strings.Contains(failed.Message, message) || *sj.Status.Progress.FailedIndex != 1 {
		t.Errorf("condition %+v, progress %+v", failed, sj.Status.Progress)
	}
	c.Jobs.Want()
}
