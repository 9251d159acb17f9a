//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// background is a command of the plugin that runs beside the test.
type background struct {
	c        *cluster
	cmd      *exec.Cmd
	out, err notedOutput
}

// notedOutput is what a command has written so far.
type notedOutput struct {
	mutex sync.Mutex
	buf   bytes.Buffer
}

func (o *notedOutput) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.buf.Write(p)
}

func (o *notedOutput) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.buf.String()
}

func (c *cluster) inBackground(args ...string) *background {
	c.T.Helper()
	b := &background{c: c, cmd: c.plugin(args...)}
	b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.err
	framework.Must(c.T, b.cmd.Start())
	return b
}

// until waits until the command has written a text to one of its outputs.
func (b *background) until(output *notedOutput, text string) {
	b.c.T.Helper()
	b.c.Eventually(fmt.Sprintf("%v to write %q", b.cmd.Args, text), func(context.Context) (bool, error) {
		return strings.Contains(output.String(), text), nil
	})
}

// end waits until the command ends.
func (b *background) end() said {
	b.c.T.Helper()
	err := b.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.c.T.Fatalf("%v: %v", b.cmd.Args, err)
	}
	return said{out: b.out.String(), err: b.err.String(), code: b.cmd.ProcessState.ExitCode()}
}

var (
	randomName = regexp.MustCompile(`-[a-z0-9]{5} on \S+\)`)
	podEnd     = " on the node)"
)

// headings returns what a command said of what it shows, without what is random.
func (s said) headings() []string {
	var headings []string
	for line := range strings.Lines(s.err) {
		if strings.HasPrefix(line, "=== ") {
			headings = append(headings, randomName.ReplaceAllString(strings.TrimSuffix(line, "\n"), podEnd))
		}
	}
	return headings
}

// All steps come in order, all attempts, all pods: in a follow that began before there was any, and afterwards.
func TestLogsComeInOrderAcrossPodsAttemptsAndSteps(t *testing.T) {
	c := newCluster(t)
	sj := shellSteps("etl", corev1.PodTemplateSpec{}, "echo extracted", "echo tries; sleep 1; exit 3", "echo never")
	sj.Spec.BackoffLimit, sj.Spec.Retries = new(int32(1)), new(int32(1))
	sj.Spec.Finally = shellSteps("", corev1.PodTemplateSpec{}, "printf 'no end'").Spec.Containers
	sj.Spec.Finally[0].Name = "notify"
	c.Create(sj)
	followed := c.sj("logs", "etl", "-f")
	const want = "[step-0] extracted\n[step-1] tries\n[step-1] tries\n[step-1] tries\n[step-1] tries\n[notify] no end\n"
	headings := []string{
		"=== step-0 (Job etl-0, pod etl-0" + podEnd,
		"=== step-1 (Job etl-1, pod etl-1" + podEnd,
		"=== step-1, pod 2 (Job etl-1, pod etl-1" + podEnd,
		"=== step-1, attempt 2 (Job etl-1-r1, pod etl-1-r1" + podEnd,
		"=== step-1, attempt 2, pod 2 (Job etl-1-r1, pod etl-1-r1" + podEnd,
		"=== notify, finally (Job etl-f0, pod etl-f0" + podEnd,
	}
	for name, got := range map[string]said{"followed": followed, "afterwards": c.sj("logs", "etl"), "the newest": c.sj("logs")} {
		if diff := cmp.Diff(want, got.out); diff != "" {
			t.Errorf("%s, standard output (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(headings, got.headings()); diff != "" {
			t.Errorf("%s, headings (-want +got):\n%s", name, diff)
		}
		if wantCode := map[bool]int{true: 1, false: 0}[name == "followed"]; got.code != wantCode {
			t.Errorf("%s: exit code %d, want %d\n%s", name, got.code, wantCode, got.err)
		}
	}
	if !strings.Contains(followed.err, "etl failed: Job 1 (step-1) failed") {
		t.Errorf("the end is not told:\n%s", followed.err)
	}
	if got := c.sj("logs", "etl", "--failed"); got.out != strings.Repeat("tries\n", 2) || got.code != 0 {
		t.Errorf("--failed: exit code %d: %q\n%s", got.code, got.out, got.err)
	}
	if got := c.sj("logs", "etl", "--step=notify"); got.out != "no end" || got.code != 0 {
		t.Errorf("--step: exit code %d: %q\n%s", got.code, got.out, got.err)
	}
	if got := c.sj("logs", "etl", "--step=nope"); got.code != 2 || !strings.Contains(got.err, "step-0, step-1, step-2, notify") {
		t.Errorf("an unknown step: exit code %d: %s", got.code, got.err)
	}
}

// What is long, and what is much, arrives as it was written.
func TestLogsArriveAsTheyWereWritten(t *testing.T) {
	const lines, length = 100_000, 5 << 20
	var many strings.Builder
	for i := range lines {
		fmt.Fprintln(&many, i+1)
	}
	for name, test := range map[string]struct{ script, want string }{
		"100,000 lines":       {"seq 100000", many.String()},
		"one line of 5 MiB":   {`head -c 5242880 /dev/zero | tr '\0' x; echo; printf last`, strings.Repeat("x", length) + "\nlast"},
		"bytes that are none": {`printf '\377\0\r\033[1m\n\n2026-01-01T00:00:00Z x\n'`, "\xff\x00\r\x1b[1m\n\n2026-01-01T00:00:00Z x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			// containerd may lose the last of what a process writes that ends at once.
			c.Create(shellSteps("much", corev1.PodTemplateSpec{}, test.script+"; sleep 1"))
			followed := c.sj("logs", "much", "-f")
			for how, got := range map[string]said{"followed": followed, "afterwards": c.sj("logs", "much")} {
				if got.out != test.want || got.code != 0 {
					t.Errorf("%s: exit code %d, %d bytes, want %d\n%s", how, got.code, len(got.out), len(test.want), got.err)
				}
			}
		})
	}
}

// manyLines writes 360,000 lines in bursts, more than a node keeps in one file.
const manyLines = `sleep 2; for k in 1 2 3 4 5 6 7 8 9 10 11 12; do seq $((k*30000-29999)) $((k*30000)); sleep 1; done`

func wantManyLines() string {
	const lines = 360_000
	var out strings.Builder
	for i := range lines {
		fmt.Fprintln(&out, i+1)
	}
	return out.String()
}

func TestFollowGoesOnAcrossRotation(t *testing.T) {
	c := newCluster(t)
	c.Create(shellSteps("rotated", corev1.PodTemplateSpec{}, manyLines))
	got := c.sj("logs", "rotated", "-f")
	if got.out != wantManyLines() || got.code != 0 {
		t.Errorf("exit code %d, %d lines\n%s", got.code, strings.Count(got.out, "\n"), got.err)
	}
	// The rest of this test means nothing if the log was not rotated.
	if left := c.sj("logs", "rotated"); len(left.out) == 0 || len(left.out) >= len(got.out) {
		t.Errorf("afterwards, %d of %d bytes are left: the log was not rotated", len(left.out), len(got.out))
	}
}

func TestFollowGoesOnAcrossRestartsOfTheAPIServerAndAnotherLeader(t *testing.T) {
	c := newCluster(t)
	const slowly = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; sleep 1; done; printf 'no end'"
	c.Create(shellSteps("restarted", corev1.PodTemplateSpec{}, slowly, "echo second"))
	b := c.inBackground("logs", "restarted", "-f")
	b.until(&b.out, "line 3\n")
	for _, args := range [][]string{{"kill", "kube-apiserver"}, {"start"}} {
		if out, err := c.script(nil, "cluster/cluster.sh", args...); err != nil {
			t.Fatalf("cluster.sh %v: %v\n%s", args, err, out)
		}
	}
	b.until(&b.out, "line 8\n")
	c.system("delete", "pod", "--wait=false", c.leader(t.Context()))
	var want strings.Builder
	for i := range 12 {
		fmt.Fprintf(&want, "[step-0] line %d\n", i+1)
	}
	want.WriteString("[step-0] no end\n[step-1] second\n")
	got := b.end()
	if diff := cmp.Diff(want.String(), got.out); diff != "" || got.code != 0 {
		t.Errorf("exit code %d (-want +got):\n%s\n%s", got.code, diff, got.err)
	}
}

func TestFollowWaitsForAPodAndSaysWhy(t *testing.T) {
	c := newCluster(t)
	const label = "example.com/plugin-logs"
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{NodeSelector: map[string]string{label: "true"}}}
	sj := shellSteps("waits", template, "echo first", "echo second")
	sj.Spec.Suspend = new(true)
	c.Create(sj)
	b := c.inBackground("logs", "waits", "-f")
	b.until(&b.err, "Waiting: ")
	b.until(&b.err, "Resume it when it may go on")
	c.Patch("waits", `{"spec":{"suspend":false}}`)
	b.until(&b.err, "Waiting: step-0 has no running pod: Unschedulable")
	if got := c.sj("logs", "waits"); got.code != 0 || !strings.Contains(got.err, "no log, it has not started: Unschedulable") {
		t.Errorf("without -f: exit code %d: %s", got.code, got.err)
	}
	c.kubectl("", "label", "nodes", "--all", label+"=true")
	t.Cleanup(func() { c.kubectl("", "label", "nodes", "--all", label+"-") })
	if got := b.end(); got.out != "[step-0] first\n[step-1] second\n" || got.code != 0 {
		t.Errorf("exit code %d: %q\n%s", got.code, got.out, got.err)
	}
}

func TestLogsSayWhatIsGone(t *testing.T) {
	c := newCluster(t)
	c.Create(shellSteps("gone", corev1.PodTemplateSpec{}, "echo a", "echo b", "echo c"))
	c.mustComplete("gone")
	c.kubectl("", "delete", "job", "gone-0")
	c.kubectl("", "delete", "pods", "-l", batchv1.JobNameLabel+"=gone-1")
	got := c.sj("logs", "gone")
	want := []string{
		"=== step-0 (Job gone-0): the Job is gone, and its log with it",
		"=== step-1 (Job gone-1): a pod is gone, and its log with it",
		"=== step-2 (Job gone-2, pod gone-2" + podEnd,
	}
	if diff := cmp.Diff(want, got.headings()); diff != "" || got.out != "[step-2] c\n" || got.code != 0 {
		t.Errorf("exit code %d, %q (-want +got):\n%s", got.code, got.out, diff)
	}
}

func TestFollowIsNotFooledByAnotherSequenceOfThatName(t *testing.T) {
	c := newCluster(t)
	old := c.Create(shellSteps("again", corev1.PodTemplateSpec{}, "trap 'exit 0' TERM; echo old; sleep 600 & wait"))
	b := c.inBackground("logs", "again", "-f")
	b.until(&b.out, "old\n")
	// The old one stays until its pod has ended, and the new one follows at once.
	c.Delete("again", metav1.DeletePropagationBackground)
	c.WaitUntilGone(old)
	c.Create(shellSteps("again", corev1.PodTemplateSpec{}, "echo new"))
	if got := b.end(); got.code != 2 || strings.Contains(got.out, "new") || !strings.Contains(got.err, "again was deleted before it ended") {
		t.Errorf("exit code %d: %q\n%s", got.code, got.out, got.err)
	}
}

// Ctrl-C ends the command, and nothing else.
func TestInterruptEndsOnlyTheFollow(t *testing.T) {
	c := newCluster(t)
	sj := c.Create(shellSteps("goeson", corev1.PodTemplateSpec{}, "echo begun; sleep 5; echo done"))
	b := c.inBackground("logs", "goeson", "-f")
	b.until(&b.out, "begun\n")
	framework.Must(t, b.cmd.Process.Signal(os.Interrupt))
	if got := b.end(); got.code != 130 || strings.Contains(got.out, "done") {
		t.Errorf("exit code %d: %q\n%s", got.code, got.out, got.err)
	}
	c.mustComplete(sj.Name)
}
