package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// fakeCluster is an API server without any SequentialJobs and Jobs, which keeps a lease.
type fakeCluster struct {
	kubeconfig string

	lock     sync.Mutex
	lease    *coordinationv1.Lease
	renewals int
	// refused are the requests, such as "PUT /apis/coordination.k8s.io", that are answered with a status.
	refused map[string]int
}

func newFakeCluster(t *testing.T) *fakeCluster {
	t.Helper()
	c := &fakeCluster{refused: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	c.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`{"clusters":[{"name":"c","cluster":{"server":%q}}],"contexts":[{"name":"c","context":{"cluster":"c"}}],"current-context":"c"}`,
		server.URL)
	if err := os.WriteFile(c.kubeconfig, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// refuse has requests that begin with this answered with a status from now on.
func (c *fakeCluster) refuse(request string, status int) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.refused[request] = status
}

// leader returns who holds the lease, if anybody.
func (c *fakeCluster) leader() string {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.lease == nil || c.lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *c.lease.Spec.HolderIdentity
}

// led says whether somebody has led for long enough to know.
func (c *fakeCluster) led() bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.renewals > 0
}

func (c *fakeCluster) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	c.lock.Lock()
	defer c.lock.Unlock()
	for request, status := range c.refused {
		if strings.HasPrefix(r.Method+" "+r.URL.Path, request) {
			answerStatus(w, status)
			return
		}
	}
	switch {
	case strings.Contains(r.URL.Path, "/leases"):
		c.serveLease(w, r)
	case r.URL.Query().Get("sendInitialEvents") == "true":
		answerStatus(w, http.StatusUnprocessableEntity)
	case r.URL.Query().Get("watch") != "":
		c.lock.Unlock()
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		c.lock.Lock()
	case strings.HasSuffix(r.URL.Path, "/sequentialjobs"):
		fmt.Fprint(w, `{"apiVersion":"batch.example.com/v1alpha1","kind":"SequentialJobList","metadata":{"resourceVersion":"1"},"items":[]}`)
	case strings.HasSuffix(r.URL.Path, "/jobs"):
		fmt.Fprint(w, `{"apiVersion":"batch/v1","kind":"JobList","metadata":{"resourceVersion":"1"},"items":[]}`)
	default:
		fmt.Fprint(w, `{"major":"1","minor":"37","gitVersion":"v1.37.2"}`)
	}
}

func (c *fakeCluster) serveLease(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		var lease coordinationv1.Lease // as JSON or protobuf
		body, err := io.ReadAll(r.Body)
		if _, _, decodeErr := scheme.Codecs.UniversalDeserializer().Decode(body, nil, &lease); err != nil || decodeErr != nil {
			answerStatus(w, http.StatusBadRequest)
			return
		}
		c.lease = &lease
		if r.Method == http.MethodPut {
			c.renewals++
		}
	}
	if c.lease == nil {
		answerStatus(w, http.StatusNotFound)
		return
	}
	c.lease.APIVersion, c.lease.Kind = "coordination.k8s.io/v1", "Lease"
	_ = json.NewEncoder(w).Encode(c.lease) // the client is gone, then
}

func answerStatus(w http.ResponseWriter, status int) {
	reasons := map[int]string{
		http.StatusForbidden: "Forbidden", http.StatusNotFound: "NotFound", http.StatusUnprocessableEntity: "Invalid",
		http.StatusInternalServerError: "InternalError",
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"answered with %d","reason":%q,"code":%d}`,
		status, reasons[status], status)
}
