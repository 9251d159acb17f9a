package framework

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// RequestCounter notes what a controller writes, events excluded.
type RequestCounter struct {
	mu     sync.Mutex
	writes []string
}

// RoundTripperFunc is an http.RoundTripper that is a function.
type RoundTripperFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f RoundTripperFunc) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// Wrap puts the counter before a connection.
func (r *RequestCounter) Wrap(next http.RoundTripper) http.RoundTripper {
	return RoundTripperFunc(func(request *http.Request) (*http.Response, error) {
		if IsWrite(request) {
			r.mu.Lock()
			r.writes = append(r.writes, request.Method+" "+request.URL.Path)
			r.mu.Unlock()
		}
		return next.RoundTrip(request)
	})
}

// Writes returns method and path of each write, in their order.
func (r *RequestCounter) Writes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.writes)
}

// IsWrite says whether a request is to change something. Events do not count.
func IsWrite(request *http.Request) bool {
	return request.Method != http.MethodGet && !strings.Contains(request.URL.Path, "/events")
}
