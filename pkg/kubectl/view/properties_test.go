package view_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// dice makes up sequences, most of which no controller would make.
type dice struct{ *rand.Rand }

func pick[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

func (d dice) text() string {
	var words []string
	for range d.IntN(12) {
		words = append(words, pick(d, "no such table", "\x1b[2J\x1b[31m", "\r\n", "テーブルがありません", "\u202eevil", "e\u0301", "\u200b", "👩‍👩‍👧",
			"\a\b", "\xff\xfe", strings.Repeat("x", d.IntN(250)), "container \"a\" exited with code 2:", "\t", "\u0085\u2028"))
	}
	return strings.Join(words, pick(d, " ", ""))
}

func (d dice) name() string {
	return pick(d, "a", "extract", "step-with-a-long-name", strings.Repeat("n", 63), d.text())
}

func (d dice) time() *metav1.Time {
	if d.IntN(4) == 0 {
		return nil
	}
	return at(d.IntN(1e5) - 5e4)
}

func (d dice) steps(containers []corev1.Container) []v1alpha1.StepStatus {
	var out []v1alpha1.StepStatus
	for i := range d.IntN(len(containers) + 2) {
		out = append(out, v1alpha1.StepStatus{
			Name: d.name(), JobName: d.name(), JobUID: types.UID(fmt.Sprintf("uid-%d", d.IntN(20))),
			State:     pick(d, v1alpha1.StepCompleted, v1alpha1.StepCompleted, v1alpha1.StepRunning, v1alpha1.StepFailed),
			StartTime: d.time(), CompletionTime: d.time(), Retries: int32(d.IntN(6) * i), Message: d.text(),
		})
	}
	return out
}

func (d dice) containers() []corev1.Container {
	var out []corev1.Container
	for range d.IntN(pick(d, 4, 30)) {
		out = append(out, corev1.Container{Name: d.name()})
	}
	return out
}

func (d dice) sequentialJob() *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{
		Name: d.name(), Namespace: "data", UID: "uid-etl", Generation: int64(d.IntN(3)), CreationTimestamp: *at(0), DeletionTimestamp: pick(d, nil, nil, at(9)),
	}}
	sj.Spec = v1alpha1.SequentialJobSpec{
		Containers: d.containers(), Finally: d.containers(), Suspend: pick(d, nil, new(true)), Cancel: pick(d, nil, nil, new(true)),
		Retries: pick(d, nil, new(int32(3))), ActiveDeadlineSeconds: pick(d, nil, new(int64(5))),
		StepOverrides: []v1alpha1.StepOverride{{Name: "extract", Suspend: new(true)}},
	}
	sj.Status = v1alpha1.SequentialJobStatus{
		ObservedGeneration: int64(d.IntN(3)), StartTime: d.time(), CompletionTime: d.time(), Steps: d.steps(sj.Spec.Containers), Finally: d.steps(sj.Spec.Finally),
		Phase: pick(d, "", v1alpha1.SequentialJobPending, v1alpha1.SequentialJobRunning, v1alpha1.SequentialJobSuspended, v1alpha1.SequentialJobCompleted, v1alpha1.SequentialJobFailed),
		Progress: pick(d, nil, &v1alpha1.JobProgress{
			Completions: d.text(), Retries: int32(d.IntN(9)), FinallyRuns: int32(d.IntN(4)), FailedIndex: pick(d, nil, new(int32(d.IntN(5)))), FailureReason: d.text(),
		}),
		Result: pick(d, nil, &v1alpha1.StepsResult{Type: v1alpha1.ResultFailed, Message: d.text()}),
	}
	if d.IntN(8) > 0 {
		reason := pick(d, v1alpha1.ReasonJobStarted, v1alpha1.ReasonPodFailed, v1alpha1.ReasonPodNotStarted, v1alpha1.ReasonJobNameConflict, v1alpha1.ReasonInvalidSpec,
			v1alpha1.ReasonJobDeleted, v1alpha1.ReasonJobEnding, "BackoffLimitExceeded")
		sj.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionProgressing, Status: pick(d, metav1.ConditionTrue, metav1.ConditionFalse), Reason: reason, Message: d.text()}}
	}
	return sj
}

func (d dice) input() view.Input {
	s := &story{view.Input{SequentialJob: d.sequentialJob(), Gone: d.IntN(9) == 0, Now: at(d.IntN(1e5)).Time, Commands: view.Commands{
		Tool: "kubectl sequentialjob", Flags: pick(d, nil, []string{"--context", "it's a \"context\" with a name that nobody would want to type twice", "-n", "data"}),
	}}}
	for range d.IntN(9) {
		name := fmt.Sprint(d.IntN(20))
		job := s.job(name, d.IntN(1000))
		job.Name = pick(d, s.SequentialJob.Name+"-0", s.SequentialJob.Name+"-1-r1", name)
		job.Status.Conditions = pick(d, nil, []batchv1.JobCondition{{
			Type: pick(d, batchv1.JobFailed, batchv1.JobComplete), Status: corev1.ConditionTrue, Reason: d.text(), Message: d.text(), LastTransitionTime: *at(d.IntN(1000)),
		}})
		pod := s.pod(name, d.IntN(1000), pick(d, corev1.PodRunning, corev1.PodFailed, corev1.PodPending))
		pod.Name, pod.Spec.NodeName, pod.Status.Reason, pod.Status.Message = d.name(), d.name(), d.text(), d.text()
		pod.Status.Conditions = pick(d, nil, []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: d.text(), Message: d.text()}})
	}
	for range d.IntN(3) {
		s.Missing = append(s.Missing, d.text())
	}
	return s.Input
}

// withoutColors takes out what this package may write that is no text.
func withoutColors(line string) string {
	for _, code := range []string{"0", "1", "2", "31", "32", "33", "36"} {
		line = strings.ReplaceAll(line, "\x1b["+code+"m", "")
	}
	return line
}

func FuzzTreeIsSafeAndFits(f *testing.F) {
	for seed := range uint64(400) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := dice{rand.New(rand.NewPCG(seed, 1))}
		in := d.input()
		style := view.Style{Width: 20 + d.IntN(181), Height: pick(d, 0, 1+d.IntN(60)), Color: d.IntN(2) == 0, Unicode: d.IntN(2) == 0}
		lines := view.Tree(in, style)
		if style.Height > 0 && len(lines) > style.Height {
			t.Errorf("%d lines, want at most %d", len(lines), style.Height)
		}
		lines = append(lines, style.Note(d.text()))
		for _, line := range append(lines, style.Transitions(nil, in.SequentialJob)...) {
			mustBeSafe(t, style, withoutColors(line))
		}
		for _, line := range lines {
			if n := view.Columns(withoutColors(line)); n > style.Width {
				t.Errorf("a line takes %d columns of %d: %q", n, style.Width, line)
			}
		}
		mustTellCause(t, in, style, lines)
	})
}

func mustBeSafe(t *testing.T, style view.Style, line string) {
	t.Helper()
	for _, r := range line {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar || !style.Unicode && r > unicode.MaxASCII {
			t.Errorf("a line has %U: %q", r, line)
		}
	}
}

// mustTellCause checks that no word of the cause is left out, however narrow the terminal is.
func mustTellCause(t *testing.T, in view.Input, style view.Style, lines []string) {
	t.Helper()
	if style.Height > 0 {
		return
	}
	squeeze := func(text string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || unicode.IsControl(r) || r > unicode.MaxASCII || r == '?' {
				return -1
			}
			return r
		}, strings.ToValidUTF8(text, ""))
	}
	cause := squeeze(sequence.RootCause(in.SequentialJob))
	if shown := squeeze(withoutColors(strings.Join(lines, ""))); !strings.Contains(shown, cause) {
		t.Errorf("the cause is not shown in full: %q in %q", cause, shown)
	}
}

func TestCommandsCanBePasted(t *testing.T) {
	in := failedSequence().Input
	in.SequentialJob.Name = strings.Repeat("a-long-name.", 4) + "etl"
	in.SequentialJob.Spec.ActiveDeadlineSeconds, in.SequentialJob.Status.ActiveSeconds = new(int64(3600)), 3600
	in.Commands = view.Commands{Tool: "echo sj", Flags: []string{"--context", "it's a context with spaces and quotes '' of more than one line"}}
	whole := pasted(t, view.Tree(in, view.Style{}))
	for width := 20; width <= 200; width++ {
		if got := pasted(t, view.Tree(in, view.Style{Width: width})); got != whole {
			t.Errorf("at %d columns, a shell reads %q, want %q", width, got, whole)
		}
	}
	if want := "--context\nit's a context with spaces and quotes '' of more than one line\n"; !strings.HasSuffix(whole, want) {
		t.Errorf("a shell reads %q, want it to end with %q", whole, want)
	}
}

// pasted is what a shell makes of the command below a tree, one word a line.
func pasted(t *testing.T, lines []string) string {
	t.Helper()
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "  kubectl") })
	if at < 0 {
		t.Fatalf("no command in %q", lines)
	}
	script := `kubectl() { printf '%s\n' "$@"; }` + "\n" + strings.Join(lines[at:], "\n")
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s of %s", err, out, script)
	}
	return string(out)
}

func TestRowsHaveNoControlCharacters(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(1, 2))}
	for range 200 {
		style := view.Style{Width: 80, Unicode: d.IntN(2) == 0}
		cells := style.Row(d.sequentialJob(), true, begin.Add(time.Hour))
		if len(cells) != len(view.Titles(true)) {
			t.Fatalf("%d cells for %d columns", len(cells), len(view.Titles(true)))
		}
		for _, cell := range cells {
			mustBeSafe(t, style, cell)
		}
	}
}
