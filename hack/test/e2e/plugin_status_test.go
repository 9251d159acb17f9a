//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// failingSequence fails with its second step, also when that is tried again.
func failingSequence(name string) *v1alpha1.SequentialJob {
	sj := shellSteps(name, corev1.PodTemplateSpec{}, "true", "echo 'no such table' > /dev/termination-log; exit 2", "true")
	sj.Spec.Retries = new(int32(1))
	return sj
}

func withEnv(cmd *exec.Cmd, env ...string) *exec.Cmd {
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func TestPluginStatusTellsWhyAndWhatNext(t *testing.T) {
	c := newCluster(t)
	c.Create(failingSequence("etl"))
	c.waitForEnd("etl")
	for name, test := range map[string]struct {
		args []string
		want []string
		note string
	}{
		"by name": {args: []string{"status", "etl"}, want: []string{
			`^etl  Failed  1/3  \S+  retries 1 of 1$`,
			`^├─ ✔ step-0 +\d+s .*█.*  etl-0 on \S+$`,
			`^├─ ✖ step-1 +\d+s .*▒.*█.*  attempt 2 \(etl-1-r1\) on \S+, BackoffLimitExceeded$`,
			`^│    ✖ attempt 1 \(etl-1, \d+s\): container "step-1" exited with code 2: no such table \(node \S+\)$`,
			`^└─ ○ step-2$`,
			`^Job 1 \(step-1\) failed again as etl-1-r1: BackoffLimitExceeded: container "step-1" exited with code 2: no such table \(node \S+\)$`,
			`^  kubectl sj retry etl -f -n `,
		}},
		"the newest": {[]string{"status"}, []string{`^etl  Failed `}, fmt.Sprintf("etl is the newest SequentialJob in namespace %q\n", c.Namespace)},
		"all": {args: []string{"status", "-A"}, want: []string{
			`^NAMESPACE +NAME +STATUS +COMPLETIONS +STEP +AGE +MESSAGE$`,
			c.Namespace + ` +etl +Failed +1/3 +step-1 +\S+ +Job 1 \(step-1\) failed again as etl-1-r1: .*no such table`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := runPlugin(t, withEnv(c.plugin(test.args...), "LC_ALL=C.UTF-8"))
			if got.code != 0 || got.err != test.note {
				t.Errorf("exit code %d, want 0: %s", got.code, got.err)
			}
			mustMatch(t, got.out, test.want...)
		})
	}
}

func TestPluginStatusNeedsToReadSequentialJobsOnly(t *testing.T) {
	c := newCluster(t)
	c.Create(failingSequence("etl"))
	c.waitForEnd("etl")
	c.kubectl("", "create", "role", "reader", "--verb=get,list,watch", "--resource=sequentialjobs.batch.example.com")
	c.kubectl("", "create", "rolebinding", "reader", "--role=reader", "--user=reader")

	got := c.sj("status", "etl", "--as", "reader")
	if got.code != 0 {
		t.Errorf("exit code %d, want 0: %s", got.code, got.err)
	}
	mustMatch(t, got.out, `etl  Failed  1/3`, `no such table`,
		`Not everything is shown: you may not list jobs.batch in namespace .*; you may not list pods in namespace .*`)

	if got := c.sj("status", "etl", "-w", "--as", "reader"); got.code != 1 {
		t.Errorf("exit code %d of a watch, want 1: %s", got.code, got.err)
	}
	if got := c.sj("status", "--as", "nobody"); got.code != 2 || !strings.Contains(got.err, "you may not list sequentialjobs.batch.example.com") {
		t.Errorf("exit code %d, want 2, and what may not be read: %s", got.code, got.err)
	}
}

func TestPluginStatusWatchIsOneLineATransitionInAPipe(t *testing.T) {
	c := newCluster(t)
	c.Create(failingSequence("etl"))
	got := c.sj("status", "etl", "-w")
	if got.code != 1 {
		t.Errorf("exit code %d, want 1: %s", got.code, got.err)
	}
	at := 0
	for _, want := range []string{
		"etl: step-0: Completed (etl-0, ",
		"etl: step-1: Running (etl-1)",
		"etl: step-1: Failed (etl-1, ",
		"etl: step-1: Running (etl-1-r1)",
		"etl: step-1: Failed (etl-1-r1, ",
		"etl: Failed (",
	} {
		next := strings.Index(got.out[at:], want)
		if next < 0 {
			t.Fatalf("no %q after line %d of:\n%s", want, strings.Count(got.out[:at], "\n"), got.out)
		}
		at += next
		if n := strings.Count(got.out, want); n != 1 {
			t.Errorf("%q is said %d times in:\n%s", want, n, got.out)
		}
	}
	if strings.ContainsRune(got.out, '\x1b') {
		t.Errorf("there are escape codes in %q", got.out)
	}
	mustMatch(t, got.err, "^  kubectl sj retry etl -f -n ")
}

func TestPluginStatusWatchRedrawsInPlace(t *testing.T) {
	c := newCluster(t)
	c.newLongSequence("long", 30)
	shell := c.openTerminal(100, 20)
	shell.enter("clear; $sj status long -w; echo code=$?")
	shell.await(`(?m)^long  Running  0/31 (?s).*⟳ step-0 .*not started`)
	before := shell.state("history_size")
	shell.awaitRedraws(4)
	if after := shell.state("history_size"); after != before {
		t.Errorf("the scrollback has grown from %s to %s lines:\n%s", before, after, shell.screen("-S", "-"))
	}
	if n := shell.lines(`^long  `); n != 1 {
		t.Errorf("the tree is shown %d times:\n%s", n, shell.screen("-S", "-"))
	}

	for _, size := range [][2]string{{"60", "20"}, {"60", "9"}, {"120", "30"}} {
		shell.tmux("resize-window", "-x", size[0], "-y", size[1])
		shell.awaitRedraws(3)
		before := shell.state("history_size")
		shell.awaitRedraws(3)
		if after := shell.state("history_size"); after != before {
			t.Errorf("at %v the scrollback grows from %s to %s lines", size, before, after)
		}
		mustMatch(t, shell.screen(), `^long  Running  0/31 `, `⟳ step-0 `, `not started$`)
		if n := strings.Count(shell.screen(), "long  Running"); n != 1 {
			t.Errorf("at %v the tree is shown %d times:\n%s", size, n, shell.screen())
		}
	}

	c.Patch("long", `{"spec":{"cancel":true}}`)
	shell.await(`code=1\n`)
	whole := shell.screen("-S", "-")
	mustMatch(t, whole, `^long  Failed  0/31 `, `✖ step-0 `, `├─ ○ step-1$`, `├─ ○ step-29$`, `└─ ○ step-30$`, `^Cancelled by spec.cancel`, `^  kubectl sj create `)
	if n := shell.lines(`○ step-15$`); n != 1 {
		t.Errorf("the last tree shows step-15 %d times:\n%s", n, whole)
	}
}

func TestPluginStatusWatchIsInterrupted(t *testing.T) {
	c := newCluster(t)
	c.newLongSequence("long", 1)
	for name, test := range map[string]struct {
		env                string
		shows              string
		isColoured, isTree bool
	}{
		"colour":   {"env", `(?m)^long  Running  0/2 `, true, true},
		"NO_COLOR": {"env NO_COLOR=1", `(?m)^long  Running  0/2 `, false, true},
		"dumb":     {"env TERM=dumb", `(?m)^long: step-0: Running \(long-0\)$`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			shell := c.openTerminal(100, 20)
			shell.enter("clear; " + test.env + " $sj status long -w; echo code=$?")
			shell.await(test.shows)
			raw := shell.screen("-e")
			if isColoured := strings.Contains(raw, "\x1b[3"); isColoured != test.isColoured {
				t.Errorf("coloured: %t, want %t: %q", isColoured, test.isColoured, raw)
			}
			if isTree := strings.Contains(raw, "└─ "); isTree != test.isTree {
				t.Errorf("a tree: %t, want %t:\n%s", isTree, test.isTree, raw)
			}
			shell.tmux("send-keys", "C-c")
			shell.await(`code=130\n`)
			for _, mode := range []string{"cursor_flag", "wrap_flag"} {
				if is := shell.state(mode); is != "1" {
					t.Errorf("%s is %q after Ctrl-C, want 1", mode, is)
				}
			}
			if phase := c.Get("long").Status.Phase; phase != v1alpha1.SequentialJobRunning {
				t.Errorf("the sequence is %s, want Running", phase)
			}
		})
	}
}
