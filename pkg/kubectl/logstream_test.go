package kubectl

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

// silentNode is a node that is cut off: it neither brings a log nor ends the stream.
type silentNode struct{ *fakeLogs }

func (silentNode) Open(ctx context.Context, _ follow.Request) (io.ReadCloser, error) {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { in.CloseWithError(context.Cause(ctx)) })
	return out, nil
}

// Snapshot does not change: the container runs forever.
func (n silentNode) Snapshot() (Snapshot, error) { return n.s, nil }

// What is not followed is there already: a container that runs is no reason to wait for it forever.
func TestANodeThatIsCutOffDoesNotKeepLogsFromEnding(t *testing.T) {
	l := newFakeLogs(1, 1)
	status := corev1.ContainerStatus{Name: "step-0", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	l.s.Pods = []corev1.Pod{{
		ObjectMeta: metav1.ObjectMeta{UID: "pod"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{status}},
	}}
	reader := (&Tool{}).newLogReader(silentNode{l}, l.s.SequentialJob, logOptions{tail: -1}, follow.Options{})
	reader.stallAfter = time.Millisecond
	stream := follow.Stream{Key: follow.Key{Pod: "pod", Container: "step-0"}}
	broke, fatal := reader.copy(t.Context(), stream, follow.Request{}, reader.filterOf(stream))
	if !errors.Is(broke, errStalled) || fatal != nil {
		t.Errorf("broke %v, fatal %v", broke, fatal)
	}
}

func TestNotesShowNoControlCharacters(t *testing.T) {
	var errOut strings.Builder
	tool := &Tool{}
	tool.Out, tool.ErrOut = io.Discard, &errOut
	newLogScreen(tool, true, newFakeLogs(1, 1).s.SequentialJob).note("the node says \x1b[2Jno\r\nand no")
	if got, want := errOut.String(), "the node says [2Jno  and no\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
