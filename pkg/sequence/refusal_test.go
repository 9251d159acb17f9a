package sequence_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/example/sequential-job-operator/pkg/sequence"
)

var (
	jobsResource       = schema.GroupResource{Group: batchv1.GroupName, Resource: "jobs"}
	namespacesResource = schema.GroupResource{Resource: "namespaces"}
)

const byPolicyMessage = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: change freeze"

// byPolicy is how the API server answers for a ValidatingAdmissionPolicy with that reason.
func byPolicy(reason metav1.StatusReason, code int32) error {
	err := apierrors.NewForbidden(jobsResource, "etl-0", errors.New(byPolicyMessage))
	err.ErrStatus.Reason, err.ErrStatus.Code = reason, code
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Message: byPolicyMessage})
	return err
}

// byProxy is what client-go makes of an answer that is no Status.
func byProxy(code int) error {
	return apierrors.NewGenericServerResponse(code, "get", jobsResource, "etl-0", "<html>", 0, true)
}

// byWebhook is how the API server answers for a webhook that answers with that error.
func byWebhook(err *apierrors.StatusError) error {
	err.ErrStatus.Message = `admission webhook "w.example.com" denied the request: ` + err.ErrStatus.Message
	return err
}

func TestRefusalOf(t *testing.T) {
	invalid := func() *apierrors.StatusError {
		return apierrors.NewInvalid(batchv1.SchemeGroupVersion.WithKind("Job").GroupKind(), "etl-0", field.ErrorList{
			field.Required(field.NewPath("spec.template.spec.containers[0].image"), ""),
			field.Invalid(field.NewPath("spec.backoffLimit"), -1, "must be greater than or equal to 0"),
		})
	}
	terminating := apierrors.NewForbidden(jobsResource, "etl-0", errors.New("unable to create new content in namespace a because it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{
		Type: corev1.NamespaceTerminatingCause, Message: "namespace a is being terminated", Field: "metadata.namespace",
	}}
	etcd := &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 500, Message: "etcdserver: request is too large"}}
	strict := func(fields string) error { return apierrors.NewBadRequest("strict decoding error: " + fields) }
	const remove = "unknown field: this Kubernetes does not have it, and would leave it out without a word: remove it"
	job, namespace := apierrors.NewNotFound(jobsResource, "etl-0"), apierrors.NewNotFound(namespacesResource, "a")

	for name, tc := range map[string]struct {
		err    error
		class  sequence.Class
		causes []metav1.StatusCause
	}{
		"no answer":                    {errors.New("dial tcp: connection refused"), sequence.Unavailable, nil},
		"a timeout":                    {apierrors.NewTimeoutError("it took too long", 1), sequence.Unavailable, nil},
		"a timeout of the server":      {apierrors.NewServerTimeout(jobsResource, "create", 1), sequence.Unavailable, nil},
		"an internal error":            {apierrors.NewInternalError(errors.New("boom")), sequence.Unavailable, nil},
		"a webhook that does not work": {apierrors.NewInternalError(errors.New(`failed calling webhook "w": connection refused`)), sequence.Unavailable, nil},
		"a server that is not ready":   {apierrors.NewServiceUnavailable("starting"), sequence.Unavailable, nil},
		"too many requests":            {apierrors.NewTooManyRequests("slow down", 1), sequence.Unavailable, nil},
		"a token that has expired":     {apierrors.NewUnauthorized("expired"), sequence.Unavailable, nil},
		"a proxy that finds nothing":   {byProxy(404), sequence.Unavailable, nil},
		"a proxy that refuses":         {byProxy(403), sequence.Unavailable, nil},
		"a proxy that says invalid":    {byProxy(422), sequence.Unavailable, nil},

		"the object is gone":               {job, sequence.Gone, nil},
		"the namespace is gone":            {namespace, sequence.NamespaceGone, nil},
		"the namespace is going":           {terminating, sequence.NamespaceGone, nil},
		"the whole type is gone":           {apierrors.NewNotFound(jobsResource, ""), sequence.Denied, nil},
		"the object has changed":           {apierrors.NewConflict(jobsResource, "etl-0", errors.New("modified")), sequence.Conflict, nil},
		"the name is taken":                {apierrors.NewAlreadyExists(jobsResource, "etl-0"), sequence.NameTaken, nil},
		"a quota is used up":               {apierrors.NewForbidden(jobsResource, "etl-0", errors.New("exceeded quota: few")), sequence.Denied, nil},
		"permissions are missing":          {apierrors.NewForbidden(jobsResource, "", errors.New(`User "x" cannot create resource "jobs"`)), sequence.Denied, nil},
		"a request that is not understood": {apierrors.NewBadRequest("json: cannot unmarshal"), sequence.Denied, nil},
		"a method that is not supported":   {apierrors.NewMethodNotSupported(jobsResource, "patch"), sequence.Denied, nil},

		"a policy, by default":                {byPolicy(metav1.StatusReasonInvalid, 422), sequence.Rejected, []metav1.StatusCause{{Message: byPolicyMessage}}},
		"a policy that says forbidden":        {byPolicy(metav1.StatusReasonForbidden, 403), sequence.Denied, nil},
		"a policy that says unauthorized":     {byPolicy(metav1.StatusReasonUnauthorized, 401), sequence.Denied, nil},
		"a policy that says too large":        {byPolicy(metav1.StatusReasonRequestEntityTooLarge, 413), sequence.Denied, nil},
		"a webhook that says forbidden":       {byWebhook(apierrors.NewForbidden(jobsResource, "etl-0", errors.New("no"))), sequence.Denied, nil},
		"a webhook that says bad request":     {byWebhook(apierrors.NewBadRequest("no")), sequence.Denied, nil},
		"a webhook that says invalid":         {byWebhook(invalid()), sequence.Rejected, invalid().ErrStatus.Details.Causes},
		"a webhook that answers 404":          {byWebhook(&apierrors.StatusError{ErrStatus: metav1.Status{Code: 404, Message: "page not found"}}), sequence.Denied, nil},
		"a webhook that says not found":       {byWebhook(apierrors.NewNotFound(jobsResource, "x")), sequence.Denied, nil},
		"a webhook that misses the namespace": {byWebhook(apierrors.NewNotFound(namespacesResource, "a")), sequence.Denied, nil},
		"a webhook that says already exists":  {byWebhook(apierrors.NewAlreadyExists(jobsResource, "x")), sequence.Denied, nil},
		"a webhook that says conflict":        {byWebhook(apierrors.NewConflict(jobsResource, "x", errors.New("no"))), sequence.Denied, nil},
		"a webhook that says too many":        {byWebhook(apierrors.NewTooManyRequests("no", 1)), sequence.Denied, nil},
		"a webhook that says internal error":  {byWebhook(apierrors.NewInternalError(errors.New("no"))), sequence.Denied, nil},
		"a webhook that says too large":       {byWebhook(apierrors.NewRequestEntityTooLargeError("no")), sequence.Denied, nil},
		"a webhook that is strict":            {byWebhook(apierrors.NewBadRequest(`strict decoding error: unknown field "x"`)), sequence.Denied, nil},

		"validation": {invalid(), sequence.Invalid, []metav1.StatusCause{
			{Type: "FieldValueRequired", Field: "spec.template.spec.containers[0].image", Message: "Required value"},
			{Type: "FieldValueInvalid", Field: "spec.backoffLimit", Message: "Invalid value: -1: must be greater than or equal to 0"},
		}},
		"invalid without causes": {&apierrors.StatusError{ErrStatus: metav1.Status{Code: 422, Reason: metav1.StatusReasonInvalid, Message: "no"}}, sequence.Denied, nil},
		"fields that this Kubernetes does not have": {
			strict(`unknown field "spec.template.spec.a", unknown field "spec.b"`), sequence.Invalid,
			[]metav1.StatusCause{{Field: "spec.template.spec.a", Message: remove}, {Field: "spec.b", Message: remove}},
		},
		"strict without an unknown field": {strict(`duplicate field "spec"`), sequence.Denied, nil},
		"a field that is called unknown":  {apierrors.NewBadRequest(`unknown field "spec.b"`), sequence.Denied, nil},

		"too large for etcd": {etcd, sequence.TooLarge, []metav1.StatusCause{{Message: "etcdserver: request is too large"}}},
		"too large for the API server": {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), sequence.TooLarge,
			[]metav1.StatusCause{{Message: "Request entity too large: limit is 3145728"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var status *metav1.Status
			if known := apierrors.APIStatus(nil); errors.As(tc.err, &known) {
				status = new(known.Status())
			}
			want := sequence.Refusal{Class: tc.class, Message: tc.err.Error(), Causes: tc.causes}
			if diff := cmp.Diff(want, sequence.RefusalOf(status, tc.err.Error())); diff != "" {
				t.Errorf("unexpected class (-want +got):\n%s", diff)
			}
		})
	}
}
