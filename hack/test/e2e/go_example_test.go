//go:build e2e

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// No node of the test's cluster can pull this image.
const absentImage = "data-tools/nowhere:v1"

var cleanUpCommand = regexp.MustCompile(`(?m)^To clean up: (kubectl delete sequentialjob hello-\S+ --namespace \S+)$`)

// buildGoExample builds the program, which "go run" would hide from signals and whose exit code it would replace.
func buildGoExample(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "example")
	build := exec.Command("go", "build", "-o", path, "./artifacts/examples/go")
	build.Dir = framework.Root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// startGoExample starts the program in the test's namespace.
func (c *cluster) startGoExample(program string, args ...string) *background {
	c.T.Helper()
	b := &background{c: c, cmd: exec.CommandContext(c.T.Context(), program, append([]string{"-namespace", c.Namespace}, args...)...)}
	b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.err
	framework.Must(c.T, b.cmd.Start())
	return b
}

// mustSay checks the exit code of a program, and what is in its outputs.
func (c *cluster) mustSay(got said, code int, out, errOut []string) {
	c.T.Helper()
	if got.code != code {
		c.T.Errorf("exit code %d, want %d", got.code, code)
	}
	for _, want := range out {
		if !strings.Contains(got.out, want) {
			c.T.Errorf("it did not print %q", want)
		}
	}
	for _, want := range errOut {
		if !strings.Contains(got.err, want) {
			c.T.Errorf("it did not print %q to stderr", want)
		}
	}
	if c.T.Failed() {
		c.T.Logf("stdout:\n%s\nstderr:\n%s", got.out, got.err)
	}
}

// cleanUpAsTold runs the command that the program names, after which nothing of it is left.
func (c *cluster) cleanUpAsTold(got said) {
	c.T.Helper()
	command := cleanUpCommand.FindStringSubmatch(got.out)
	if command == nil {
		c.T.Fatalf("no command to clean up with:\n%s", got.out)
	}
	if out, err := c.shell()(command[1]); err != nil {
		c.T.Fatalf("%s: %v\n%s", command[1], err, out)
	}
	left, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).List(c.T.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) > 0 {
		c.T.Errorf("%d SequentialJobs are left (%v)", len(left.Items), err)
	}
}

func TestTheGoExampleSaysHowItsSequenceGetsOn(t *testing.T) {
	program := buildGoExample(t)
	for name, test := range map[string]func(c *cluster, program string){
		"to its end":      goExampleCompletes,
		"to a failure":    goExampleFails,
		"to its time-out": goExampleTimesOut,
		"to Ctrl-C":       goExampleIsInterrupted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newCluster(t), program)
		})
	}
}

func goExampleCompletes(c *cluster, program string) {
	got := c.startGoExample(program).end()
	c.mustSay(got, 0, []string{
		"Created SequentialJob " + c.Namespace + "/hello-", "of image data-tools/shell:v1\n", "  JobStarted: Started job 0\n",
		"  JobCompleted: Job 1 completed successfully\n", "  Completed: All 3 steps completed successfully\n", ": Completed\n", "\nreport ",
	}, nil)
	c.cleanUpAsTold(got)
}

// The image has a shell, but not the command of the steps.
func goExampleFails(c *cluster, program string) {
	got := c.startGoExample(program, "-image", "data-tools/kubectl:v1").end()
	c.mustSay(got, 1, []string{"  JobStarted: Started job 0\n", ": Failed\n", "StartError"}, nil)
	c.cleanUpAsTold(got)
}

// The time-out is long enough for the node to have tried to pull the image.
func goExampleTimesOut(c *cluster, program string) {
	got := c.startGoExample(program, "-image", absentImage, "-timeout", "40s").end()
	const cause = `PodNotStarted: Job 0 (prepare) has no running pod: ErrImagePull: container "prepare": `
	c.mustSay(got, 124, []string{"  " + cause}, []string{"Time-out: ", " within 40s, and continues. Its last message:\n  " + cause, absentImage})
	c.cleanUpAsTold(got)
}

func goExampleIsInterrupted(c *cluster, program string) {
	running := c.startGoExample(program, "-image", absentImage)
	running.until(&running.out, "ErrImagePull")
	framework.Must(c.T, running.cmd.Process.Signal(os.Interrupt))
	got := running.end()
	c.mustSay(got, 130, nil, []string{"Interrupted: the sequence continues. Its last message:\n  PodNotStarted: "})
	c.cleanUpAsTold(got)
}
