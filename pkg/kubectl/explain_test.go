package kubectl

import (
	"errors"
	"net/http"
	"net/url"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const mayNotPatch = `User "jane \"j\" (ops)" cannot patch resource "sequentialjobs" in API group "batch.example.com" in the namespace "ns"`

func forbid(why string) error {
	return apierrors.NewForbidden(v1alpha1.Resource("sequentialjobs"), "etl", errors.New(why))
}

func TestWhatErrorsOfTheAPIServerMean(t *testing.T) {
	const (
		object    = `sequentialjobs.batch.example.com "etl" is forbidden: `
		policy    = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
		jobsOnly  = policy + `the steps of a SequentialJob are Jobs, and user "jane" may not create jobs.batch in namespace "ns": grant that permission, too`
		lookAlike = policy + `User "jane" cannot patch resource "sequentialjobs" in API group "batch.example.com" on Fridays`
		quota     = "exceeded quota: q, requested: count/sequentialjobs=1, used: 1, limited: 1"
	)
	asked := access{verb: "patch", resource: resourceSequentialJobs, namespace: "ns", name: "etl"}
	for name, tc := range map[string]struct {
		err   error
		asked access
		want  string
	}{
		"nobody has given the permission": {forbid(mayNotPatch), asked,
			`you may not patch sequentialjobs.batch.example.com in namespace "ns": ask for the role "edit" there, or for one that allows it (` + object + mayNotPatch + ")"},
		"the API server knows better what was asked": {
			apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New(`User "jane" cannot list resource "pods" in API group "" in the namespace "ns"`)),
			access{verb: "watch", resource: resourcePods, namespace: "ns"},
			`you may not list pods in namespace "ns": ask for the role "view" there, or for one that allows it ` +
				`(pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "ns")`},
		"with what an authorizer adds": {
			apierrors.NewForbidden(batchv1.Resource("jobs"), "etl-0", errors.New(`User "jane" cannot get resource "jobs" in API group "batch" in the namespace "ns": no`)),
			access{verb: "get", resource: resourceJobs, namespace: "ns"},
			`you may not get jobs.batch in namespace "ns": ask for the role "view" there, or for one that allows it ` +
				`(jobs.batch "etl-0" is forbidden: User "jane" cannot get resource "jobs" in API group "batch" in the namespace "ns": no)`},
		"the policy of SequentialJobs": {forbid(jobsOnly), asked,
			`you may not create jobs.batch in namespace "ns": ask for the role "edit" there, or for one that allows it (` + object + jobsOnly + ")"},
		"a policy that speaks as the API server does": {forbid(lookAlike), asked, object + lookAlike},
		"a webhook": {forbid(`admission webhook "w" denied the request: jane cannot patch`), asked,
			object + `admission webhook "w" denied the request: jane cannot patch`},
		"a quota": {forbid(quota), asked, object + quota},
		"a token that has expired": {apierrors.NewUnauthorized("Unauthorized"), asked,
			"the API server does not know who you are, or no longer does: log in again, or renew the credentials in your kubeconfig"},
		"no CRD": {apierrors.NewGenericServerResponse(http.StatusNotFound, "GET", v1alpha1.Resource("sequentialjobs"), "etl", "404 page not found", 0, true), asked,
			"this cluster has no SequentialJobs: install them first, for example with `make deploy`, or choose another cluster with --context"},
		"no such object": {apierrors.NewNotFound(v1alpha1.Resource("sequentialjobs"), "etl"), asked,
			"SequentialJob \"etl\" not found in namespace \"ns\": `kubectl get sj -A` lists all"},
		"no API server": {&url.Error{Op: "Get", URL: "https://host", Err: syscall.ECONNREFUSED}, asked,
			`the API server cannot be reached: Get "https://host": connection refused`},
		"anything else": {apierrors.NewInternalError(errors.New("no")), asked, "Internal error occurred: no"},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&Tool{}).explain(tc.err, tc.asked)
			if diff := cmp.Diff(tc.want, got.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if ExitCode(got) != ExitError || !errors.Is(got, tc.err) {
				t.Errorf("exit code %d; it no longer is %v", ExitCode(got), tc.err)
			}
		})
	}
	if err := (&Tool{}).explain(nil, asked); err != nil {
		t.Errorf("no error means %v", err)
	}
}

func TestANamespaceThatIsMissingIsNamed(t *testing.T) {
	s := steer(t, runs())
	s.clients.Namespace = "nowhere"
	for _, name := range []string{"etl", ""} {
		_, err := s.tool.find(t.Context(), s.clients, name)
		s.want(err, `2: there is no namespace "nowhere": choose another one with --namespace`, "", "")
	}
}
