// Package audit reads the API server's audit log: what was asked, by whom, and what the answer was.
package audit

import (
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Event is what the benchmark reads of a line of the log.
type Event struct {
	Stage      string
	Verb       string
	RequestURI string
	User       struct{ Username string }
	ObjectRef  struct{ Resource, Subresource, Namespace, Name string }
	// ResponseStatus has code 0 if there was no answer.
	ResponseStatus           struct{ Code int }
	RequestReceivedTimestamp metav1.MicroTime
}

const (
	// The API server writes a line when a watch begins, and one when it ends; of other requests it writes only the latter.
	stageStarted  = "ResponseStarted"
	stageComplete = "ResponseComplete"
	stagePanic    = "Panic"
)

// Counts says whether this line is the one that a request is counted by.
func (e *Event) Counts() bool {
	if e.Verb == "watch" {
		return e.Stage == stageStarted || (e.Stage == stageComplete && e.Refused())
	}
	return e.Stage == stageComplete || e.Stage == stagePanic
}

// Refused says whether the answer was an error, or there was none.
func (e *Event) Refused() bool {
	return e.ResponseStatus.Code < http.StatusOK || e.ResponseStatus.Code >= http.StatusBadRequest
}

// Request names the kind of request: "create jobs", "update sequentialjobs/status", "dry run of create jobs".
func (e *Event) Request() string {
	name := e.Verb + " " + e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		name += "/" + e.ObjectRef.Subresource
	}
	if e.isDryRun() {
		name = "dry run of " + name
	}
	return name
}

func (e *Event) isDryRun() bool { return strings.Contains(e.RequestURI, "dryRun=") }

// CreatesJob says whether a Job was stored.
func (e *Event) CreatesJob() bool {
	return e.Counts() && e.Request() == "create jobs" && !e.Refused()
}
