//go:build integration

package command_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// permission is one verb on one resource.
type permission struct {
	rule rbacv1.PolicyRule
	// clusterWide says that the resource has no namespace.
	clusterWide bool
}

func (p permission) String() string { return p.rule.Verbs[0] + " " + p.rule.Resources[0] }

// permissions are what the manifests grant to the controller, one by one.
func permissions(t *testing.T) []permission {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(framework.Root, "manifests/controller/rbac.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all []permission
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		var role rbacv1.ClusterRole // a Role has the same fields
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		if role.Name == "sequential-operator-metrics-reader" {
			continue // not for the controller, but for those who read its metrics
		}
		for _, rule := range role.Rules {
			all = append(all, split(rule)...)
		}
	}
	return all
}

func split(rule rbacv1.PolicyRule) []permission {
	var out []permission
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				out = append(out, permission{
					rule: rbacv1.PolicyRule{
						APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}, ResourceNames: rule.ResourceNames,
					},
					clusterWide: strings.HasSuffix(resource, "reviews"),
				})
			}
		}
	}
	return out
}

func TestNoPermissionIsBroad(t *testing.T) {
	all := permissions(t)
	if len(all) < 20 {
		t.Fatalf("only %d permissions were found: %v", len(all), all)
	}
	for _, p := range all {
		words := slices.Concat(p.rule.APIGroups, p.rule.Resources, p.rule.Verbs)
		if slices.Contains(words, rbacv1.ResourceAll) || slices.Contains(words, "secrets") {
			t.Errorf("too broad: %v", p)
		}
	}
}

// The controller is run with all permissions but one, for each of them, through all that it does: something has to fail each
// time, otherwise the permission is not needed. With all of them nothing fails.
func TestEveryPermissionIsNeededAndNoneIsMissing(t *testing.T) {
	all := permissions(t)
	t.Run("all", func(t *testing.T) {
		for _, env := range []string{"KUBE_FEATURE_WatchListClient=true", "KUBE_FEATURE_WatchListClient=false"} {
			t.Run(env, func(t *testing.T) {
				t.Parallel()
				s := newScenario(t)
				s.grant(all)
				s.run(env)
				s.until("everything to be done", s.isDone)
				if log := s.log(); strings.Contains(log, "forbidden: User") {
					t.Errorf("a permission is missing:\n%s", log)
				}
			})
		}
	})
	for i, missing := range all {
		t.Run("without "+missing.String(), func(t *testing.T) {
			t.Parallel()
			s := newScenario(t)
			s.grant(slices.Delete(slices.Clone(all), i, i+1))
			s.run("KUBE_FEATURE_WatchListClient=false") // as with API servers that know no streaming lists
			resource, verb := missing.rule.Resources[0], missing.rule.Verbs[0]
			want := []string{fmt.Sprintf("cannot %s resource %q", verb, resource)}
			if resource == "sequentialjobs/finalizers" {
				want = append(want, "cannot set blockOwnerDeletion")
			}
			s.until("it to be missed", func(context.Context) bool {
				log := strings.ReplaceAll(s.log()+s.messages(), `\"`, `"`)
				return slices.ContainsFunc(want, func(text string) bool { return strings.Contains(log, text) })
			})
		})
	}
}

// grant gives permissions to the user that the controller runs as.
func (s *scenario) grant(permissions []permission) {
	s.t.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: s.user}}
	clusterRole := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: s.user}}
	for _, p := range permissions {
		if p.clusterWide {
			clusterRole.Rules = append(clusterRole.Rules, p.rule)
		} else {
			role.Rules = append(role.Rules, p.rule)
		}
	}
	ctx, rbac, meta := s.t.Context(), s.kube.RbacV1(), metav1.ObjectMeta{Name: s.user}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: s.user}}
	_, err := rbac.Roles(s.ns).Create(ctx, role, metav1.CreateOptions{})
	s.must(err)
	_, err = rbac.RoleBindings(s.ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: s.user}}, metav1.CreateOptions{})
	s.must(err)
	_, err = rbac.ClusterRoles().Create(ctx, clusterRole, metav1.CreateOptions{})
	s.must(err)
	_, err = rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: s.user}}, metav1.CreateOptions{})
	s.must(err)
	s.t.Cleanup(func() {
		s.must(rbac.ClusterRoles().Delete(context.Background(), s.user, metav1.DeleteOptions{}))
		s.must(rbac.ClusterRoleBindings().Delete(context.Background(), s.user, metav1.DeleteOptions{}))
	})
}
