package audit

import (
	"net/http"
)

// Count is how often something was asked.
type Count struct {
	// Requests by their name, see Event.Request. Refused ones count: the API server has had the work.
	Requests map[string]int `json:"requests"`
	// Writes change something; events and dry runs are counted on their own.
	Writes  int `json:"writes"`
	DryRuns int `json:"dryRuns"`
	Events  int `json:"events"`
	// Reads are get and list; Lists and Watches are counted on their own as well.
	Reads   int `json:"reads"`
	Lists   int `json:"lists"`
	Watches int `json:"watches"`
	// Conflicts are the answers 409, TooMany 429 and Failures 5xx or none at all.
	Conflicts int `json:"conflicts"`
	TooMany   int `json:"tooManyRequests"`
	Failures  int `json:"failures"`
}

// CountRequests counts what a user asked.
func CountRequests(events []Event, user string) Count {
	count := Count{Requests: map[string]int{}}
	for i := range events {
		if e := &events[i]; e.User.Username == user && e.Counts() {
			count.add(e)
		}
	}
	return count
}

func (c *Count) add(e *Event) {
	c.Requests[e.Request()]++
	switch {
	case e.Verb == "watch":
		c.Watches++
	case e.Verb == "list":
		c.Lists++
		c.Reads++
	case e.Verb == "get":
		c.Reads++
	case e.isDryRun():
		c.DryRuns++
	case e.ObjectRef.Resource == "events":
		c.Events++
	default:
		c.Writes++
	}
	switch code := e.ResponseStatus.Code; {
	case code == http.StatusConflict:
		c.Conflicts++
	case code == http.StatusTooManyRequests:
		c.TooMany++
	case code == 0 || code >= http.StatusInternalServerError:
		c.Failures++
	}
}

// JobsCreated returns how often a Job of each name was stored in a namespace, whoever did it.
func JobsCreated(events []Event, namespace string) map[string]int {
	created := map[string]int{}
	for i := range events {
		if e := &events[i]; e.ObjectRef.Namespace == namespace && e.CreatesJob() {
			created[e.ObjectRef.Name]++
		}
	}
	return created
}
