//go:build integration

package faults_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// auditEvent is what the oracle reads of a line of the API server's audit log.
type auditEvent struct {
	Verb       string
	RequestURI string
	ObjectRef  struct{ Resource, Subresource, Namespace, Name string }
	// ResponseStatus has code 0 if the API server was killed or gave up before it answered.
	ResponseStatus           struct{ Code int }
	ResponseObject           json.RawMessage
	RequestReceivedTimestamp metav1.MicroTime
	StageTimestamp           metav1.MicroTime
}

// tell adds an event to the history of its namespace.
func (e *auditEvent) tell(h *history) error {
	if e.ResponseStatus.Code < 200 || e.ResponseStatus.Code > 299 || strings.Contains(e.RequestURI, "dryRun=") {
		return nil
	}
	switch e.Verb + " " + e.ObjectRef.Resource + "/" + e.ObjectRef.Subresource {
	case "create jobs/":
		return e.tellCreate(h)
	case "update jobs/status", "patch jobs/status":
		job := &batchv1.Job{}
		if err := json.Unmarshal(e.ResponseObject, job); err != nil {
			return err
		}
		h.add(job)
	case "update sequentialjobs/status", "patch sequentialjobs/status":
		sj := &v1alpha1.SequentialJob{}
		if err := json.Unmarshal(e.ResponseObject, sj); err != nil {
			return err
		}
		h.addStatus(sj)
	case "create pods/", "update pods/status", "patch pods/status":
		pod := &corev1.Pod{}
		if err := json.Unmarshal(e.ResponseObject, pod); err != nil {
			return err
		}
		h.addPod(pod, e.Verb == "create")
	case "delete jobs/":
		e.tellJobDeletion(h)
	case "delete sequentialjobs/":
		return e.tellDeletion(h)
	}
	return nil
}

func (e *auditEvent) tellCreate(h *history) error {
	job := &batchv1.Job{}
	if err := json.Unmarshal(e.ResponseObject, job); err != nil {
		return err
	}
	if known, ok := h.add(job); ok {
		// A line about its status may have come first.
		known.created = revision(job)
		known.asked, known.answered = e.RequestReceivedTimestamp.Time, e.StageTimestamp.Time
	}
	return nil
}

// tellJobDeletion notes the first deletion of the Job that had that name: the log does not tell its UID.
func (e *auditEvent) tellJobDeletion(h *history) {
	for _, job := range slices.Backward(h.jobs) {
		if job.name != e.ObjectRef.Name || job.asked.After(e.StageTimestamp.Time) {
			continue
		}
		if job.deleted.IsZero() {
			job.deleted = e.RequestReceivedTimestamp.Time
		}
		return
	}
}

// tellDeletion notes when the user was told that a SequentialJob is deleted. The answer is the object if something keeps
// it for now, and a Status that names it if it is gone.
func (e *auditEvent) tellDeletion(h *history) error {
	var answer struct {
		Metadata struct{ UID types.UID }
		Details  struct{ UID types.UID }
	}
	if err := json.Unmarshal(e.ResponseObject, &answer); err != nil {
		return err
	}
	uid := answer.Metadata.UID
	if uid == "" {
		uid = answer.Details.UID
	}
	if uid == "" {
		return errors.New("the answer to a deletion does not say what was deleted")
	}
	if _, ok := h.deletions[uid]; !ok {
		h.deletions[uid] = e.StageTimestamp.Time
	}
	return nil
}

// auditLog follows the API server's audit log for all tests of this process, so that each line is read once.
type auditLog struct {
	mu     sync.Mutex
	file   *os.File
	reader *bufio.Reader
	rest   []byte // of a line that is not written to its end
	// events holds what was said about each namespace.
	events map[string][]*auditEvent
}

var theAuditLog = sync.OnceValues(func() (*auditLog, error) {
	path := os.Getenv("AUDIT_LOG")
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("AUDIT_LOG has to name the API server's audit log (hack/cluster/cluster.sh audit-log): %w", err)
	}
	return &auditLog{file: file, reader: bufio.NewReaderSize(file, 1<<20), events: map[string][]*auditEvent{}}, nil
})

// readOn reads what was written since, and returns what the log holds about a namespace.
func (l *auditLog) readOn(ns string) ([]*auditEvent, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		line, err := l.reader.ReadBytes('\n')
		l.rest = append(l.rest, line...)
		if errors.Is(err, io.EOF) {
			return slices.Clone(l.events[ns]), nil
		}
		if err != nil {
			return nil, err
		}
		event := &auditEvent{}
		if err := json.Unmarshal(l.rest, event); err != nil {
			return nil, fmt.Errorf("audit log: %w: %s", err, l.rest)
		}
		l.rest = nil
		l.events[event.ObjectRef.Namespace] = append(l.events[event.ObjectRef.Namespace], event)
	}
}

// forget frees what was kept for a test that is over.
func (l *auditLog) forget(ns string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.events, ns)
}

var marks atomic.Int64

// history returns what the audit log holds about the namespace of c, up to now, and of Jobs that a watch has seen as well:
// the API server cannot log the success of a request that it had stored when it, or the client, was killed.
func (c *cluster) history(seen ...*batchv1.Job) *history {
	c.T.Helper()
	log, err := theAuditLog()
	framework.Must(c.T, err)
	c.T.Cleanup(func() { log.forget(c.Namespace) })
	// The log is written in the order of the answers: what was answered before this request is in it when this one is.
	mark := fmt.Sprintf("mark-%d", marks.Add(1))
	if err := c.Kube.BatchV1().Jobs(c.Namespace).Delete(c.T.Context(), mark, metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
		c.T.Fatalf("delete Job %s: %v, want that it is not found", mark, err)
	}
	var events []*auditEvent
	c.Eventually("the audit log to be written", func(context.Context) (bool, error) {
		var err error
		events, err = log.readOn(c.Namespace)
		return slices.ContainsFunc(events, func(e *auditEvent) bool { return e.ObjectRef.Name == mark }), err
	})
	h := newHistory()
	for _, event := range events {
		framework.Must(c.T, event.tell(h))
	}
	for _, job := range seen {
		h.add(job)
	}
	return h
}

// judge asks the oracle about the namespace, and returns the violations that it reported to the test.
func (c *cluster) judge(seen ...*batchv1.Job) (*history, []string) {
	c.T.Helper()
	h := c.history(seen...)
	violations := h.violations()
	for _, violation := range violations {
		c.T.Errorf("VIOLATION: %s", violation)
	}
	if len(violations) > 0 {
		c.T.Logf("the history:\n%s", h)
	}
	return h, violations
}
