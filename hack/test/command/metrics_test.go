//go:build integration

package command_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// The dashboard and the alerts are checked against a list of metrics; this checks the list against a controller that runs.
func TestTheControllerHasTheMetricsThatAreListed(t *testing.T) {
	t.Parallel()
	s := newScenario(t)
	s.grant(permissions(t))
	s.run()
	reader := []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}}
	_, err := s.kube.RbacV1().ClusterRoles().Create(t.Context(),
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: s.ns + "-reader"}, Rules: reader}, metav1.CreateOptions{})
	s.must(err)
	_, err = s.kube.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.ns + "-reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: s.ns + "-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "default", Namespace: s.ns}},
	}, metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() {
		s.must(s.kube.RbacV1().ClusterRoles().Delete(context.Background(), s.ns+"-reader", metav1.DeleteOptions{}))
		s.must(s.kube.RbacV1().ClusterRoleBindings().Delete(context.Background(), s.ns+"-reader", metav1.DeleteOptions{}))
	})
	list, err := os.ReadFile(filepath.Join(framework.Root, "hack/compat/testdata/metrics.txt"))
	s.must(err)
	var missing []string
	s.until("all metrics", func(ctx context.Context) bool {
		missing = nil
		page := s.page(ctx)
		for line := range strings.Lines(string(list)) {
			if fields := strings.Fields(line); fields[0] != "#" && !has(page, fields[0], fields[1:]) {
				missing = append(missing, line)
			}
		}
		return len(missing) == 0
	})
}

// has says whether a page of metrics has one with these labels.
func has(page, name string, labels []string) bool {
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") {
			continue
		}
		if !slices.ContainsFunc(labels, func(label string) bool {
			return !strings.Contains(line, "{"+label+"=") && !strings.Contains(line, ","+label+"=")
		}) {
			return true
		}
	}
	return false
}

// page returns the metrics, or nothing if they cannot be read yet.
func (s *scenario) page(ctx context.Context) string {
	token, err := s.kube.CoreV1().ServiceAccounts(s.ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return ""
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.metrics, http.NoBody)
	s.must(err)
	request.Header.Set("Authorization", "Bearer "+token.Status.Token)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}
