//go:build integration

package faults_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// A fault is what becomes of one call instead of its answer.
type fault struct {
	name string
	do   func(*http.Request, http.RoundTripper) (*http.Response, error)
}

var faults = []fault{
	{"request lost", func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, errReset }},
	{"response lost", func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		return nil, errReset
	}},
	{"500", refuse(http.StatusInternalServerError, metav1.StatusReasonInternalError, "a fault was injected")},
	{"409 Conflict", refuse(http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified")},
	{"429 with Retry-After", refuse(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "please try again later")},
	{"403 quota", refuse(http.StatusForbidden, metav1.StatusReasonForbidden, "exceeded quota: jobs")},
	{"timeout", func(request *http.Request, _ http.RoundTripper) (*http.Response, error) {
		// The controller would wait for half a minute; what it does afterwards does not depend on that.
		select {
		case <-request.Context().Done():
			return nil, request.Context().Err()
		case <-time.After(200 * time.Millisecond):
			return nil, &net.OpError{Op: "read", Net: "tcp", Err: timeoutError{}}
		}
	}},
}

// errReset is what a client sees of a connection that broke.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// refuse answers in the API server's place.
func refuse(code int, reason metav1.StatusReason, message string) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(request *http.Request, _ http.RoundTripper) (*http.Response, error) {
		body, err := json.Marshal(&metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
		})
		if err != nil {
			return nil, err
		}
		response := &http.Response{
			StatusCode: code, Status: fmt.Sprintf("%d %s", code, http.StatusText(code)), Request: request,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)),
			Header: http.Header{"Content-Type": {"application/json"}},
			Body:   io.NopCloser(bytes.NewReader(body)),
		}
		if code == http.StatusTooManyRequests {
			response.Header.Set("Retry-After", "1")
		}
		return response, nil
	}
}

// isCall says whether a request is one of the controller's calls, reads included. Watches are streams, and get faults of
// their own; nothing depends on whether an event could be told.
func isCall(request *http.Request) bool {
	isEvent := request.Method != http.MethodGet && strings.Contains(request.URL.Path, "/events")
	return request.URL.Query().Get("watch") == "" && !isEvent
}

// calls numbers the calls of a controller, from 1, and lets a fault happen to one of them.
type calls struct {
	mu    sync.Mutex
	made  []string
	at    int
	fault fault
	hit   string // the call that the fault happened to
}

// next counts a call and says whether the fault is due.
func (c *calls) next(request *http.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := request.Method + " " + request.URL.RequestURI()
	c.made = append(c.made, call)
	if len(c.made) != c.at {
		return false
	}
	c.hit = call
	return true
}

func (c *calls) wrap(next http.RoundTripper) http.RoundTripper {
	return framework.RoundTripperFunc(func(request *http.Request) (*http.Response, error) {
		if !isCall(request) || !c.next(request) {
			return next.RoundTrip(request)
		}
		if request.Body != nil {
			defer request.Body.Close()
		}
		return c.fault.do(request, next)
	})
}

// injected returns how often the fault happened: a run that makes fewer calls than another one does not meet it.
func (c *calls) injected() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hit == "" {
		return 0
	}
	return 1
}

func (c *calls) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.made)
}
