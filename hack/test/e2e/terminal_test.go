//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// terminal is a shell in a terminal of tmux's, which shows what a user would see.
type terminal struct {
	c      *cluster
	socket string
}

// openTerminal starts a shell in which $sj is the plugin, for the test's namespace.
func (c *cluster) openTerminal(width, height int) *terminal {
	c.T.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		c.T.Fatal("this test needs tmux: install it, or run the suite by hack/test.sh, which does")
	}
	t := &terminal{c: c, socket: filepath.Join(c.T.TempDir(), "tmux")}
	t.tmux("-u", "-f", os.DevNull, "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "env", "PS1=$ ", "LC_ALL=C.UTF-8",
		"NO_COLOR=", "sj="+strings.Join(c.plugin().Args, " "), "sh")
	c.T.Cleanup(func() {
		if out, err := exec.Command("tmux", "-S", t.socket, "kill-server").CombinedOutput(); err != nil {
			c.T.Errorf("stop tmux: %v: %s", err, out)
		}
	})
	return t
}

func (t *terminal) tmux(args ...string) string {
	t.c.T.Helper()
	out, err := exec.CommandContext(t.c.T.Context(), "tmux", append([]string{"-S", t.socket}, args...)...).CombinedOutput()
	if err != nil {
		t.c.T.Fatalf("tmux %v: %v: %s", args, err, out)
	}
	return string(out)
}

// enter types a command.
func (t *terminal) enter(command string) {
	t.c.T.Helper()
	t.tmux("send-keys", "-l", command)
	t.tmux("send-keys", "Enter")
}

// screen is what is shown; with arguments of capture-pane more than that.
func (t *terminal) screen(args ...string) string {
	t.c.T.Helper()
	return t.tmux(append([]string{"capture-pane", "-p"}, args...)...)
}

// await waits until the screen matches.
func (t *terminal) await(pattern string) {
	t.c.T.Helper()
	match := regexp.MustCompile(pattern)
	defer func() {
		if t.c.T.Failed() {
			t.c.T.Logf("the screen:\n%s", t.screen())
		}
	}()
	t.c.Eventually(fmt.Sprintf("the screen to show %q", pattern), func(context.Context) (bool, error) {
		return match.MatchString(t.screen()), nil
	})
}

// awaitRedraws waits until the screen has changed so many times.
func (t *terminal) awaitRedraws(n int) {
	t.c.T.Helper()
	seen := map[string]bool{}
	t.c.Eventually(fmt.Sprintf("the screen to change %d times", n), func(context.Context) (bool, error) {
		seen[t.screen()] = true
		return len(seen) > n, nil
	})
}

// lines counts the lines, of all that can be scrolled back to as well, that match.
func (t *terminal) lines(pattern string) int {
	t.c.T.Helper()
	return len(regexp.MustCompile("(?m)"+pattern).FindAllString(t.screen("-S", "-"), -1))
}

// state is a variable of tmux's.
func (t *terminal) state(variable string) string {
	t.c.T.Helper()
	return strings.TrimSpace(t.tmux("display-message", "-p", "#{"+variable+"}"))
}

func mustMatch(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(text) {
			t.Errorf("nothing matches %q in:\n%s", pattern, text)
		}
	}
}

// newLongSequence is one whose first step goes on until it is stopped, with so many after it.
func (c *cluster) newLongSequence(name string, after int) {
	c.T.Helper()
	scripts := []string{"sleep 3600"}
	for range after {
		scripts = append(scripts, "true")
	}
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(1))}}
	stored := c.Create(shellSteps(name, template, scripts...))
	c.waitForRunningPod(stored.UID)
}
