package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

// fakeLogs is a sequence whose steps run one after another, a little further each time that anybody looks, and whose streams break
// anywhere.
type fakeLogs struct {
	random  *rand.Rand
	s       Snapshot
	steps   []string // the log of each, a line begins with its timestamp
	written int      // bytes of the log of the last step that has started
	changed chan struct{}
	// refuse returns the error that the next stream is refused with.
	refuse func() error
	opened int
}

const stepLines = 20

func newFakeLogs(seed int64, steps int) *fakeLogs {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "etl", UID: "etl-uid"}}
	l := &fakeLogs{random: rand.New(rand.NewSource(seed)), s: Snapshot{SequentialJob: sj}, changed: make(chan struct{}), refuse: func() error { return nil }}
	close(l.changed) // there is always something new
	at := time.Date(2026, 9, 14, 10, 0, 0, 0, time.UTC)
	for i := range steps {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: fmt.Sprint("step-", i)})
		var log strings.Builder
		for line := range l.random.Intn(stepLines) {
			at = at.Add(time.Duration(l.random.Int63n(int64(time.Second))))
			fmt.Fprintf(&log, "%s line %d of step %d\n", at.Format("2006-01-02T15:04:05.000000000Z"), line, i)
		}
		l.steps = append(l.steps, log.String())
	}
	return l
}

// content is what the steps write.
func (l *fakeLogs) content() string {
	var out strings.Builder
	for _, log := range l.steps {
		for line := range strings.Lines(log) {
			_, text, _ := strings.Cut(line, " ")
			out.WriteString(text)
		}
	}
	return out.String()
}

// advance lets the sequence get on.
func (l *fakeLogs) advance() {
	n := len(l.s.Pods)
	switch {
	case hasEnded(l.s.SequentialJob), l.s.Gone:
	case n == 0, l.s.Pods[n-1].Status.Phase == corev1.PodSucceeded && n < len(l.steps):
		l.startStep(n)
	case l.s.Pods[n-1].Status.Phase == corev1.PodSucceeded:
		l.s.SequentialJob = l.s.SequentialJob.DeepCopy()
		l.s.SequentialJob.Status.Phase = v1alpha1.SequentialJobCompleted
	case l.s.Pods[n-1].Status.Phase == corev1.PodPending:
		l.setPod(n-1, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	case l.written < len(l.steps[n-1]):
		// A whole line or none, as kubelet reads it.
		line := strings.IndexByte(l.steps[n-1][l.written:], '\n') + 1
		l.written += line
	default:
		l.setPod(n-1, corev1.PodSucceeded, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ContainerID: "x"}})
	}
}

func (l *fakeLogs) startStep(n int) {
	name := fmt.Sprint("etl-", n)
	meta := func(owner string) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(time.Unix(int64(n), 0)),
			OwnerReferences: []metav1.OwnerReference{{UID: types.UID(owner), Controller: new(true)}},
		}
	}
	l.s.Jobs = append(l.s.Jobs, batchv1.Job{ObjectMeta: meta("etl-uid")})
	l.s.Pods = append(l.s.Pods, corev1.Pod{ObjectMeta: meta(name), Status: corev1.PodStatus{Phase: corev1.PodPending}})
	l.written = 0
}

func (l *fakeLogs) setPod(n int, phase corev1.PodPhase, state corev1.ContainerState) {
	l.s.Pods[n].Status = corev1.PodStatus{
		Phase:             phase,
		ContainerStatuses: []corev1.ContainerStatus{{Name: fmt.Sprint("step-", n), State: state}},
	}
}

func (l *fakeLogs) Snapshot() (Snapshot, error) {
	l.advance()
	s := l.s
	s.Jobs, s.Pods = append([]batchv1.Job(nil), s.Jobs...), append([]corev1.Pod(nil), s.Pods...)
	return s, nil
}

func (l *fakeLogs) Fresh(context.Context) (Snapshot, error) { return l.Snapshot() }

func (l *fakeLogs) Changed() <-chan struct{} { return l.changed }

// errUnavailable is what the API server says if it does not reach the node.
var errUnavailable = apierrors.NewInternalError(errors.New( //nolint:staticcheck // as kubelet's proxy writes it
	`Get "https://10.0.0.1:10250/containerLogs/ns/etl-0/step-0": dial tcp: connection refused`))

func (l *fakeLogs) Open(_ context.Context, request follow.Request) (io.ReadCloser, error) {
	l.opened++
	if err := l.refuse(); err != nil {
		return nil, err
	}
	n := slices.IndexFunc(l.s.Pods, func(pod corev1.Pod) bool { return pod.Name == request.Pod })
	written := l.steps[n]
	if n == len(l.s.Pods)-1 {
		written = written[:l.written]
	}
	var log strings.Builder
	for line := range strings.Lines(written) {
		stamp, _, _ := strings.Cut(line, " ")
		if at, err := time.Parse(time.RFC3339Nano, stamp); err != nil || !at.Before(request.Since.Truncate(time.Second)) {
			log.WriteString(line)
		}
	}
	content := log.String()
	switch mode := l.random.Intn(6); {
	case mode < 3 && request.Follow: // cut off, and nobody says so
		content = content[:l.random.Intn(len(content)+1)]
	case mode == 3:
		content = content[:l.random.Intn(len(content)+1)]
		return io.NopCloser(io.MultiReader(strings.NewReader(content), iotest.ErrReader(io.ErrUnexpectedEOF))), nil
	}
	return io.NopCloser(strings.NewReader(content)), nil
}

// read runs a reader to its end, and returns what it wrote.
func (l *fakeLogs) read(t *testing.T, o logOptions) (out, errOut string, err error) {
	t.Helper()
	streams, _, outBuffer, errBuffer := genericiooptions.NewTestIOStreams()
	tool := &Tool{IOStreams: streams, Name: "kubectl sj", flags: genericclioptions.NewConfigFlags(true)}
	reader := tool.newLogReader(l, l.s.SequentialJob, o, o.walkOptions())
	reader.screen.hasPrefix = false
	err = reader.run(t.Context())
	return outBuffer.String(), errBuffer.String(), err
}

// However often streams break, and however fast the sequence gets on, each step's log is shown to its end, once and in order. A
// stream that ends although its container runs, and one that ends in the middle of a container that has ended, prove nothing.
func TestFollowedLogsAreCompleteWhereverStreamsBreak(t *testing.T) {
	for seed := range int64(300) {
		l := newFakeLogs(seed, 3)
		out, errOut, err := l.read(t, logOptions{follow: true, tail: -1})
		if diff := cmp.Diff(l.content(), out); diff != "" || err != nil {
			t.Fatalf("seed %d: %v (-written +shown):\n%s\n%s", seed, err, diff, errOut)
		}
	}
}

func TestARefusedStreamIsTriedAgainAndToldOnce(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		told int
	}{
		"the container has not started": {apierrors.NewBadRequest(`container "step-0" in pod "etl-0" is waiting to start: ContainerCreating`), 0},
		"the node is not reached":       {errUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFakeLogs(1, 1)
			l.refuse = func() error {
				if l.opened < 4 {
					return test.err
				}
				return nil
			}
			out, errOut, err := l.read(t, logOptions{follow: true, tail: -1})
			if diff := cmp.Diff(l.content(), out); diff != "" || err != nil {
				t.Errorf("%v (-written +shown):\n%s", err, diff)
			}
			if got := strings.Count(errOut, "Waiting for the log of pod etl-0: "); got < test.told || test.told == 0 && got > 0 {
				t.Errorf("told %d times:\n%s", got, errOut)
			}
		})
	}
}

func TestWhoMayNotReadLogsIsToldWhatToAskFor(t *testing.T) {
	l := newFakeLogs(1, 1)
	l.refuse = func() error {
		return apierrors.NewForbidden(corev1.Resource("pods/log"), "etl-0", errors.New(`User "ann" cannot get resource "pods/log" in API group "" in the namespace "ns"`))
	}
	_, _, err := l.read(t, logOptions{follow: true, tail: -1})
	if err == nil || !strings.Contains(err.Error(), `you may not get pods/log in namespace "ns": ask for the role "view"`) {
		t.Errorf("error %v", err)
	}
}

// A log that stays out of reach ends the command with an error, if nothing can be waited for.
func TestALogThatCannotBeReadIsAnError(t *testing.T) {
	l := newFakeLogs(1, 1)
	for len(l.s.Pods) == 0 || l.s.Pods[0].Status.Phase != corev1.PodSucceeded {
		l.advance()
	}
	l.refuse = func() error { return errUnavailable }
	out, errOut, err := l.read(t, logOptions{tail: -1})
	if !errors.Is(err, errIncomplete) || out != "" || !strings.Contains(errOut, "The log of pod etl-0 cannot be read to its end: ") || strings.Contains(errOut, "https://") {
		t.Errorf("error %v, standard error:\n%s", err, errOut)
	}
}

func TestADeletedSequenceIsNotFollowedAnyMore(t *testing.T) {
	for name, replaced := range map[string]bool{"etl was deleted before it ended": false, "the new one is not followed": true} {
		l := newFakeLogs(1, 1)
		l.s.Gone, l.s.Replaced = true, replaced
		_, _, err := l.read(t, logOptions{follow: true, tail: -1})
		if err == nil || !strings.Contains(err.Error(), name) || ExitCode(err) != ExitError {
			t.Errorf("error %v, want one that says %q", err, name)
		}
	}
}

func TestWhereStreamsMeetLinesAreWhole(t *testing.T) {
	const note = "=== b"
	for name, test := range map[string]struct {
		set              func(*logScreen)
		wantOut, wantErr string
	}{
		"apart, nothing is added":            {func(*logScreen) {}, "no end", "=== b\n"},
		"on a terminal, the line ends":       {func(s *logScreen) { s.isTerminal = true }, "no end\n", "=== b\n"},
		"in one file, the note begins again": {func(s *logScreen) { s.isShared = true }, "no end", "\n=== b\n"},
		"with prefixes, each begins a line":  {func(s *logScreen) { s.hasPrefix = true }, "[a] no end\n", "=== b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			sj := &v1alpha1.SequentialJob{}
			s := newLogScreen(&Tool{IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &errOut}}, false, sj)
			test.set(s)
			fmt.Fprint(follow.NewFilter(s.logs, s.prefix("a"), false), "2026-09-14T10:00:00Z no end")
			s.note(note)
			if diff := cmp.Diff([]string{test.wantOut, test.wantErr}, []string{out.String(), errOut.String()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogsRefusesWhatMakesNoSense(t *testing.T) {
	for args, want := range map[string]string{
		"etl --failed -f":       "nothing to follow",
		"etl --failed --step=a": "leave out --step",
		"etl --tail=-2":         "--tail has to be",
		"etl --since=-5m":       "--since has to be positive",
		"etl --since=5ms":       "--since has to be at least 1s",
		"etl other":             "takes one name",
		"etl --no-such-flag":    "unknown flag",
	} {
		streams, _, _, _ := genericiooptions.NewTestIOStreams()
		cmd := NewCommand("kubectl sj", streams)
		cmd.SetArgs(append([]string{"logs"}, strings.Fields(args)...))
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) || ExitCode(err) != ExitError {
			t.Errorf("logs %s: %v, want an error of usage that says %q", args, err, want)
		}
	}
}

func TestAnUnknownStepIsRefusedWithTheStepsThatThereAre(t *testing.T) {
	sj := newFakeLogs(1, 2).s.SequentialJob
	err := mustHaveSteps(sj, []string{"step-1", "step-7"})
	if err == nil || !strings.Contains(err.Error(), `etl has no step "step-7"; its steps are: step-0, step-1`) {
		t.Errorf("error %v", err)
	}
	sj.Status.Steps = []v1alpha1.StepStatus{{Name: "renamed"}}
	if err := mustHaveSteps(sj, []string{"step-1", "renamed"}); err != nil {
		t.Error(err)
	}
}
