//go:build integration

package integration_test

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
	typed "github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/typed/batch/v1alpha1"
)

// user returns a client of somebody who has no permissions but those that grant gives to that name.
func (c *cluster) user(name string) typed.SequentialJobInterface {
	c.T.Helper()
	config := framework.RestConfig(c.T)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	return versioned.NewForConfigOrDie(config).BatchV1alpha1().SequentialJobs(c.Namespace)
}

func (c *cluster) grant(user, name string, rules ...rbacv1.PolicyRule) {
	c.T.Helper()
	_, err := c.Kube.RbacV1().Roles(c.Namespace).Create(c.T.Context(),
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{})
	framework.Must(c.T, err)
	c.bind(user, "Role", name)
}

func (c *cluster) bind(user, kind, role string) {
	c.T.Helper()
	_, err := c.Kube.RbacV1().RoleBindings(c.Namespace).Create(c.T.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}, metav1.CreateOptions{})
	framework.Must(c.T, err)
}

var onlyTry = metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}

// mustBeForbidden wants a refusal, sooner or later: policies and permissions take effect a moment after they were made.
func (c *cluster) mustBeForbidden(what, because string, try func(context.Context) error) {
	c.T.Helper()
	c.Eventually(what+" to be forbidden", func(ctx context.Context) (bool, error) {
		err := try(ctx)
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), because), nil
	})
}

func (c *cluster) mustBeAllowed(what string, try func(context.Context) error) {
	c.T.Helper()
	var last error
	c.Eventually(what+" to be allowed", func(ctx context.Context) (bool, error) {
		if last = try(ctx); last != nil && !apierrors.IsForbidden(last) {
			c.T.Fatalf("%s: %v", what, last)
		}
		return last == nil, nil
	})
}

// The controller may create Jobs everywhere. That must not help a user without that permission.
func TestWhoMayNotCreateJobsCannotThroughASequentialJob(t *testing.T) {
	c := newCluster(t)
	const user = "somebody"
	theirs := c.user(user)
	c.grant(user, "sequences-only", rbacv1.PolicyRule{
		APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"sequentialjobs"}, Verbs: []string{rbacv1.VerbAll},
	})
	create := func(ctx context.Context) error {
		_, err := theirs.Create(ctx, framework.NewSequence("theirs", "extract"), onlyTry)
		return err
	}
	patch := func(patch string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := theirs.Patch(ctx, "etl", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
			return err
		}
	}
	const because = `user "somebody" may not create jobs.batch in namespace`
	c.mustBeForbidden("a create", because, create)

	suspended := framework.NewSequence("etl", "extract", "load")
	suspended.Spec.Suspend = new(true)
	c.Create(suspended)
	for what, change := range map[string]string{
		"to resume":       `{"spec":{"suspend":false}}`,
		"to retry":        `{"spec":{"retries":3}}`,
		"to change steps": `{"spec":{"containers":[{"name":"other","image":"example.com/other:v1"}]}}`,
	} {
		c.mustBeForbidden(what, because, patch(change))
	}
	c.mustBeAllowed("a label", patch(`{"metadata":{"labels":{"team":"a"}}}`))
	c.mustBeAllowed("a change that changes nothing", patch(`{"spec":{"suspend":true}}`))

	c.grant(user, "jobs", rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}})
	c.mustBeAllowed("a create", create)
	c.mustBeAllowed("to resume", patch(`{"spec":{"suspend":false}}`))
	c.mustBeAllowed("a deletion", func(ctx context.Context) error { return theirs.Delete(ctx, "etl", metav1.DeleteOptions{}) })
}

// What Kubernetes' own roles allow in addition, since ours are aggregated to them.
func TestTheRolesOfUsersCoverSequentialJobs(t *testing.T) {
	c := newCluster(t)
	c.Create(framework.NewSequence("etl", "extract"))
	for role, mayWrite := range map[string]bool{"view": false, "edit": true, "admin": true} {
		user := "user-of-" + role
		theirs := c.user(user)
		c.bind(user, "ClusterRole", role)
		c.mustBeAllowed(role+": to read", func(ctx context.Context) error {
			_, err := theirs.List(ctx, metav1.ListOptions{})
			return err
		})
		create := func(ctx context.Context) error {
			_, err := theirs.Create(ctx, framework.NewSequence("theirs", "extract"), onlyTry)
			return err
		}
		remove := func(ctx context.Context) error {
			return theirs.Delete(ctx, "etl", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		}
		if mayWrite {
			c.mustBeAllowed(role+": a create", create)
			c.mustBeAllowed(role+": a deletion", remove)
		} else {
			c.mustBeForbidden(role+": a create", "cannot create resource", create)
			c.mustBeForbidden(role+": a deletion", "cannot delete resource", remove)
		}
		c.mustBeForbidden(role+": the status", `cannot update resource "sequentialjobs/status"`, func(ctx context.Context) error {
			_, err := theirs.UpdateStatus(ctx, c.Get("etl"), metav1.UpdateOptions{})
			return err
		})
	}
}
