package kubectl

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	errNone        = errors.New("there is no SequentialJob")
	errNoNamespace = errors.New("there is no namespace")
)

// Resources that are asked for.
const (
	resourceSequentialJobs = "sequentialjobs.batch.example.com"
	resourceJobs           = "jobs.batch"
	resourcePods           = "pods"
	resourceLogs           = "pods/log"
)

// access is what was asked of the API server.
type access struct {
	verb      string
	resource  string
	namespace string
	name      string
}

// role is the one of Kubernetes' own roles that allows it. The manifests add SequentialJobs to them.
func (a access) role() string {
	switch a.verb {
	case "get", "list", "watch":
		return "view"
	}
	return "edit"
}

// forbidden says in a few words what is missing, and what to ask for.
func (a access) forbidden() string {
	return fmt.Sprintf("you may not %s %s in namespace %q: ask for the role %q there, or for one that allows it", a.verb, a.resource, a.namespace, a.role())
}

// explained is an error of the API server in other words.
type explained struct {
	text string
	err  error
}

func (e explained) Error() string { return e.text }
func (e explained) Unwrap() error { return e.err }

// explain says what an error of the API server means, and what to do about it.
func (t *Tool) explain(err error, a access) error {
	var unreachable *url.Error
	switch {
	case err == nil:
		return nil
	case isMissingJobs(err):
		return explained{fmt.Sprintf("%s (%s)", access{verb: "create", resource: resourceJobs, namespace: a.namespace}.forbidden(), refusalText(err)), err}
	case isAuthorization(err):
		return explained{fmt.Sprintf("%s (%s)", a.denied(err).forbidden(), refusalText(err)), err} // without what client-go puts before it
	case apierrors.IsUnauthorized(err):
		return explained{"the API server does not know who you are, or no longer does: log in again, or renew the credentials in your kubeconfig", err}
	case isUnknownResource(err) && a.resource == resourceSequentialJobs:
		return explained{"this cluster has no SequentialJobs: install them first, for example with `make deploy`, or choose another cluster with --context", err}
	case apierrors.IsNotFound(err) && a.resource == resourceSequentialJobs && a.name != "":
		return explained{fmt.Sprintf("SequentialJob %q not found in namespace %q: `kubectl get sj -A` lists all", a.name, a.namespace), err}
	case errors.As(err, &unreachable):
		return fmt.Errorf("the API server cannot be reached: %w", err)
	}
	return err
}

// denial is how the API server says that nobody has given the user a permission, whichever way it authorizes. Policies, quotas and
// webhooks, whose answers have the same status and reason, put it in other words.
var denial = regexp.MustCompile(`^\S+(?: "[^"]*")? is forbidden: User "(?:[^"\\]|\\.)*" cannot (\S+) resource "([^"]+)" in API group "([^"]*)"`)

// missingJobs is how the admission policy of SequentialJobs says that the user may not create Jobs.
var missingJobs = regexp.MustCompile(`denied request: the steps of a SequentialJob are Jobs, and (?:this user|user ".*") may not create jobs\.batch in `)

// isAuthorization tells what a role would allow from what a policy, a quota or a webhook refuses.
func isAuthorization(err error) bool { return denial.MatchString(refusalText(err)) }

// isMissingJobs says whether the admission policy of SequentialJobs asks for the permission to create Jobs.
func isMissingJobs(err error) bool { return missingJobs.MatchString(refusalText(err)) }

// refusalText is what the API server says to a request that it forbids; "" for any other error.
func refusalText(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().Message
}

// denied returns what the API server says that it does not allow: it knows best.
func (a access) denied(err error) access {
	found := denial.FindStringSubmatch(refusalText(err))
	if found == nil {
		return a
	}
	a.verb, a.resource = found[1], found[2]
	if group := found[3]; group != "" {
		a.resource += "." + group
	}
	return a
}

// isUnknownResource says whether it is the resource that the API server does not know, and not the object.
func isUnknownResource(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
