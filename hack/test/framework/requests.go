package framework

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// RequestCounter notes what a controller asks of the API server: watches and the events that it publishes excluded.
type RequestCounter struct {
	mu       sync.Mutex
	requests []string
	answered []string // reads only
}

// RoundTripperFunc is an http.RoundTripper that is a function.
type RoundTripperFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f RoundTripperFunc) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// Wrap puts the counter before a connection.
func (r *RequestCounter) Wrap(next http.RoundTripper) http.RoundTripper {
	return RoundTripperFunc(func(request *http.Request) (*http.Response, error) {
		isRead := request.Method == http.MethodGet && request.URL.Query().Get("watch") == ""
		if isRead || IsWrite(request) {
			r.mu.Lock()
			r.requests = append(r.requests, request.Method+" "+request.URL.RequestURI())
			r.mu.Unlock()
		}
		response, err := next.RoundTrip(request)
		if isRead && err == nil {
			r.mu.Lock()
			r.answered = append(r.answered, request.Method+" "+request.URL.RequestURI())
			r.mu.Unlock()
		}
		return response, err
	})
}

// AnsweredReads returns method and URI of each read that the API server has answered: nothing that happens from now on changes what it
// said.
func (r *RequestCounter) AnsweredReads() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.answered)
}

// Requests returns method and URI of each request, in their order.
func (r *RequestCounter) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Writes returns method and path of those of Requests that are to change something.
func (r *RequestCounter) Writes() []string {
	var out []string
	for _, request := range r.Requests() {
		if path, _, _ := strings.Cut(request, "?"); !strings.HasPrefix(path, http.MethodGet+" ") {
			out = append(out, path)
		}
	}
	return out
}

// IsWrite says whether a request is to change something. Events do not count.
func IsWrite(request *http.Request) bool {
	return request.Method != http.MethodGet && !strings.Contains(request.URL.Path, "/events")
}
