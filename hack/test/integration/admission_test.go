//go:build integration

package integration_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	admissionreview "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	certutil "k8s.io/client-go/util/cert"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

var (
	jobsRule = admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}}
	aPod     = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
)

// refuse makes the API server refuse what is created in the namespace, or what else is done, and does not fulfil a condition,
// until it is lifted. Both take effect a moment later.
func (c *cluster) refuse(rule admissionv1.Rule, unless admissionv1.Validation, operations ...admissionv1.OperationType) (lift func()) {
	c.T.Helper()
	if len(operations) == 0 {
		operations = []admissionv1.OperationType{admissionv1.Create}
	}
	policies := c.Kube.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	bindings := c.Kube.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	_, err := policies.Create(c.T.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: c.Namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: c.onlyThisNamespace(),
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: operations, Rule: rule,
				}}},
			},
			Validations: []admissionv1.Validation{unless},
		},
	}, metav1.CreateOptions{})
	framework.Must(c.T, err)
	_, err = bindings.Create(c.T.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: c.Namespace},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: c.Namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}, metav1.CreateOptions{})
	framework.Must(c.T, err)
	lift = sync.OnceFunc(func() {
		if err := errors.Join(bindings.Delete(context.Background(), c.Namespace, metav1.DeleteOptions{}),
			policies.Delete(context.Background(), c.Namespace, metav1.DeleteOptions{})); err != nil {
			c.T.Error(err)
		}
	})
	c.T.Cleanup(lift)
	return lift
}

func (c *cluster) onlyThisNamespace() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: c.Namespace}}
}

// refuseJobs is refuse for the creation of Jobs. It returns once it has taken effect.
func (c *cluster) refuseJobs(unless admissionv1.Validation) (lift func()) {
	c.T.Helper()
	lift = c.refuse(jobsRule, unless)
	c.waitForRefusal(unless.Message)
	return lift
}

// waitForRefusal waits until Jobs are refused with that message.
func (c *cluster) waitForRefusal(message string) {
	c.T.Helper()
	probe := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}
	probe.Spec.Template.Spec = aPod
	c.Eventually("Jobs to be refused", func(ctx context.Context) (bool, error) {
		_, err := c.Kube.BatchV1().Jobs(c.Namespace).Create(ctx, probe, onlyTry)
		return err != nil && strings.Contains(err.Error(), message), nil
	})
}

// serveWebhook answers the API server's admission reviews until the test ends, and returns where.
func (c *cluster) serveWebhook(
	answer func(*admissionreview.AdmissionRequest) *admissionreview.AdmissionResponse,
) admissionv1.WebhookClientConfig {
	c.T.Helper()
	webhook := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionreview.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = answer(review.Request)
		review.Response.UID = review.Request.UID
		_ = json.NewEncoder(w).Encode(review) // the API server tells if it misses something
	}))
	certificate, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	framework.Must(c.T, err)
	pair, err := tls.X509KeyPair(certificate, key)
	framework.Must(c.T, err)
	webhook.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	webhook.StartTLS()
	c.T.Cleanup(webhook.Close)
	return admissionv1.WebhookClientConfig{URL: &webhook.URL, CABundle: certificate}
}

// refuseJobsByWebhook makes a webhook refuse every Job that is created in the namespace with that status, until it is lifted.
func (c *cluster) refuseJobsByWebhook(status metav1.Status) (lift func()) {
	c.T.Helper()
	webhook := c.serveWebhook(func(*admissionreview.AdmissionRequest) *admissionreview.AdmissionResponse {
		return &admissionreview.AdmissionResponse{Allowed: false, Result: &status}
	})
	none, configurations := admissionv1.SideEffectClassNone, c.Kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := configurations.Create(c.T.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: c.Namespace},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "jobs.example.com", SideEffects: &none, AdmissionReviewVersions: []string{"v1"}, ClientConfig: webhook,
			NamespaceSelector: c.onlyThisNamespace(),
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create}, Rule: jobsRule,
			}},
		}},
	}, metav1.CreateOptions{})
	framework.Must(c.T, err)
	lift = sync.OnceFunc(func() {
		framework.Must(c.T, configurations.Delete(context.Background(), c.Namespace, metav1.DeleteOptions{}))
	})
	c.T.Cleanup(lift)
	c.waitForRefusal(status.Message)
	return lift
}
