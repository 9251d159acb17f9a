package audit

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const us = "system:serviceaccount:ours:controller"

// line is one as the API server writes it. The path is without its query.
func line(user, stage, verb, resource, subresource, name, query string, code string) string {
	return `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stage":"` + stage + `","requestURI":"/apis/somewhere` + query +
		`","verb":"` + verb + `","user":{"username":"` + user + `"},"objectRef":{"resource":"` + resource + `","namespace":"ns","name":"` + name +
		`","subresource":"` + subresource + `"},"responseStatus":{"metadata":{},"code":` + code + `},` +
		`"requestReceivedTimestamp":"2026-11-26T21:00:00.000001Z"}` + "\n"
}

var lines = []string{
	line(us, "ResponseComplete", "create", "jobs", "", "a-0", "", "201"),
	line(us, "ResponseComplete", "create", "jobs", "", "a-1", "?dryRun=All", "201"),
	line(us, "ResponseComplete", "create", "jobs", "", "a-0", "", "409"),
	line(us, "ResponseComplete", "update", "sequentialjobs", "status", "a", "", "200"),
	line(us, "ResponseComplete", "update", "sequentialjobs", "status", "a", "", "409"),
	line(us, "ResponseComplete", "patch", "sequentialjobs", "", "a", "", "500"),
	line(us, "ResponseComplete", "get", "sequentialjobs", "", "a", "", "200"),
	line(us, "ResponseComplete", "list", "pods", "", "", "?labelSelector=a", "200"),
	line(us, "ResponseComplete", "create", "events", "", "a.1", "", "429"),
	line(us, "Panic", "delete", "jobs", "", "a-0", "", "0"),
	// A watch has two lines, and is one request.
	line(us, "ResponseStarted", "watch", "jobs", "", "", "?watch=true", "200"),
	line(us, "ResponseComplete", "watch", "jobs", "", "", "?watch=true", "200"),
	// Somebody else's.
	line("admin", "ResponseComplete", "create", "jobs", "", "a-0", "", "201"),
	line("admin", "ResponseComplete", "get", "sequentialjobs", "", "a", "", "200"),
}

func TestCountRequests(t *testing.T) {
	got := CountRequests(eventsOf(t, lines), us)
	want := Count{
		Requests: map[string]int{
			"create jobs": 2, "dry run of create jobs": 1, "update sequentialjobs/status": 2, "patch sequentialjobs": 1,
			"get sequentialjobs": 1, "list pods": 1, "create events": 1, "delete jobs": 1, "watch jobs": 1,
		},
		Writes: 6, DryRuns: 1, Events: 1, Reads: 2, Lists: 1, Watches: 1, Conflicts: 2, TooMany: 1, Failures: 2,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Who has created it does not matter, but whether it was stored.
func TestJobsCreated(t *testing.T) {
	if got, want := JobsCreated(eventsOf(t, lines), "ns"), map[string]int{"a-0": 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := JobsCreated(eventsOf(t, lines), "other"); len(got) != 0 {
		t.Errorf("in another namespace: %v", got)
	}
}

// The API server may be in the middle of a line when the log is read.
func TestALineThatIsNotWrittenToItsEndIsReadLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	appendTo(t, path, lines[0])
	log, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	half := len(lines[3]) / 2
	for _, step := range []struct {
		text string
		want int
	}{{"", 0}, {lines[3][:half], 0}, {lines[3][half:], 1}, {lines[4] + lines[5], 2}} {
		appendTo(t, path, step.text)
		events, err := log.ReadOn()
		if err != nil || len(events) != step.want {
			t.Errorf("%d events and error %v, want %d", len(events), err, step.want)
		}
	}
}

func eventsOf(t *testing.T, lines []string) []Event {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	appendTo(t, path, "")
	log, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	appendTo(t, path, strings.Join(lines, ""))
	events, err := log.ReadOn()
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
