package sequence

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Class is what a request that did not succeed means for what comes next.
type Class string

const (
	// Gone means that the object of the request does not exist.
	Gone Class = "gone"
	// NamespaceGone means that the namespace does not exist, or is going away with everything in it.
	NamespaceGone Class = "namespace gone"
	// Conflict means that the object is no longer as it was when the request was decided on.
	Conflict Class = "conflict"
	// NameTaken means that there is an object of that name already.
	NameTaken Class = "name taken"
	// Invalid means that the API server itself finds the object invalid: the same request never succeeds.
	Invalid Class = "invalid"
	// TooLarge means that the object cannot be stored for its size: the same request never succeeds.
	TooLarge Class = "too large"
	// Rejected means that a policy or a webhook calls the object invalid. That may be for good, as for an image from elsewhere, or for
	// now, as in a change freeze.
	Rejected Class = "rejected"
	// Denied means that somebody does not let the request pass now: a quota, a policy, a webhook, permissions.
	Denied Class = "denied"
	// Unavailable means that there was no answer, or none that tells anything: it may even have been carried out.
	Unavailable Class = "unavailable"
	// PutOff means that the request was not sent, because there are too many of its kind.
	PutOff Class = "put off"
)

// Refusal says why a request did not succeed. The zero value says that it did.
type Refusal struct {
	Class Class
	// Message is in the words of whoever refused it.
	Message string
	// Causes are what is wrong, field by field. There is at least one if the class is Invalid, TooLarge or Rejected.
	Causes []metav1.StatusCause
}

// RefusalOf classifies an error: status is what the API server answered, or nil if it did not, and message is the text of the error.
func RefusalOf(status *metav1.Status, message string) Refusal {
	r := Refusal{Class: classOf(status, message), Message: message}
	if r.Class != Invalid && r.Class != TooLarge && r.Class != Rejected {
		return r
	}
	switch {
	case status != nil && status.Details != nil && len(status.Details.Causes) > 0:
		r.Causes = status.Details.Causes
	case len(unknownFields(message)) > 0:
		for _, field := range unknownFields(message) {
			r.Causes = append(r.Causes, metav1.StatusCause{Field: field,
				Message: "unknown field: this Kubernetes does not have it, and would leave it out without a word: remove it"})
		}
	default:
		r.Causes = []metav1.StatusCause{{Message: message}}
	}
	return r
}

func classOf(status *metav1.Status, message string) Class {
	switch {
	case status != nil && isFromAdmission(status) && status.Code == http.StatusUnprocessableEntity:
		return Rejected
	case status != nil && isFromAdmission(status):
		return Denied
	// etcd's own limit comes as an error 500 without a reason.
	case strings.Contains(message, "etcdserver: request is too large"):
		return TooLarge
	// What does not come from the API server, but from a proxy before it, tells nothing, least of all that an object is gone.
	case status == nil || status.Code >= http.StatusInternalServerError || hasCause(status, metav1.CauseTypeUnexpectedServerResponse):
		return Unavailable
	}
	switch status.Code {
	case http.StatusRequestEntityTooLarge:
		return TooLarge
	case http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusRequestTimeout:
		return Unavailable
	case http.StatusConflict:
		if status.Reason == metav1.StatusReasonAlreadyExists {
			return NameTaken
		}
		return Conflict
	case http.StatusNotFound:
		return classOfNotFound(status)
	}
	switch {
	case hasCause(status, corev1.NamespaceTerminatingCause):
		return NamespaceGone
	case isOwnValidation(status), len(unknownFields(message)) > 0:
		return Invalid
	}
	return Denied
}

// classOfNotFound tells an object that does not exist from a type that does not, whose status has no name.
func classOfNotFound(status *metav1.Status) Class {
	switch {
	case status.Details == nil || status.Details.Name == "":
		return Denied
	case status.Details.Kind == "namespaces":
		return NamespaceGone
	}
	return Gone
}

// isOwnValidation says whether it is the API server's own validation that found an object invalid.
func isOwnValidation(status *metav1.Status) bool {
	return status.Reason == metav1.StatusReasonInvalid && status.Details != nil && len(status.Details.Causes) > 0
}

// isFromAdmission says whether a policy or a webhook did not let a request pass. They may give any code and reason, such as those of
// validation, or of an object that does not exist. Before what a webhook says the API server puts the webhook's name. An admission
// policy gives a cause without a type; only an internal error has one, too.
func isFromAdmission(status *metav1.Status) bool {
	return strings.HasPrefix(status.Message, "admission webhook ") ||
		hasCause(status, "") && status.Code < http.StatusInternalServerError
}

func hasCause(status *metav1.Status, cause metav1.CauseType) bool {
	return status.Details != nil &&
		slices.ContainsFunc(status.Details.Causes, func(c metav1.StatusCause) bool { return c.Type == cause })
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// unknownFields returns the fields that strict validation names.
func unknownFields(message string) []string {
	if !strings.Contains(message, "strict decoding error") {
		return nil
	}
	var out []string
	for _, match := range unknownField.FindAllStringSubmatch(message, -1) {
		out = append(out, match[1])
	}
	return out
}
