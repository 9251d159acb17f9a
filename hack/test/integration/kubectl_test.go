//go:build integration

package integration_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestKubectlGetShowsHowFarASequenceIs(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "transform", "load"))
	c.WaitForRunning("etl", 0)
	c.wantRow([]string{"NAME", "STATUS", "COMPLETIONS", "STEP", "AGE"}, []string{"etl", "Running", "0/3", "extract"})
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 1)
	c.wantRow([]string{"NAME", "STATUS", "COMPLETIONS", "STEP", "AGE", "REASON"}, []string{"etl", "Running", "1/3", "transform"}, "-o", "wide")
	c.EndJob("etl-1", batchv1.JobFailed, "BackoffLimitExceeded")
	c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	fields := c.wantRow([]string{"NAME", "STATUS", "COMPLETIONS", "STEP", "AGE", "REASON"}, []string{"etl", "Failed", "1/3", "transform"}, "-o", "wide")
	if reason := fields[len(fields)-1]; reason != "BackoffLimitExceeded" {
		t.Errorf("REASON %q", reason)
	}
}

// wantRow checks header and first columns of what `kubectl get` prints, and returns the row.
func (c *cluster) wantRow(header, row []string, args ...string) []string {
	c.T.Helper()
	lines := strings.Split(strings.TrimSpace(c.Kubectl(append([]string{"get", "sj"}, args...)...)), "\n")
	if len(lines) != 2 {
		c.T.Fatalf("kubectl get: %q", lines)
	}
	if diff := cmp.Diff(header, strings.Fields(lines[0])); diff != "" {
		c.T.Errorf("header (-want +got):\n%s", diff)
	}
	fields := strings.Fields(lines[1])
	if len(fields) != len(header) {
		c.T.Fatalf("row %q for header %q", fields, header)
	}
	if diff := cmp.Diff(row, fields[:len(row)]); diff != "" {
		c.T.Errorf("row (-want +got):\n%s", diff)
	}
	return fields
}

func TestKubectlWaitSeesTheEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		how       batchv1.JobConditionType
		condition string
	}{
		"success": {batchv1.JobComplete, "condition=Available"},
		"failure": {batchv1.JobFailed, "condition=Failed"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.StartController()
			c.Create(framework.NewSequence("etl", "extract"))
			c.WaitForRunning("etl", 0)
			results := make(chan string, 2)
			for _, what := range []string{tc.condition, "jsonpath={.status.completionTime}"} {
				go func() {
					out, err := framework.RunKubectl("wait", "-n", c.Namespace, "sequentialjob/etl", "--for="+what, "--timeout="+framework.Patience.String())
					if err != nil {
						out += err.Error()
					}
					results <- strings.TrimSpace(out)
				}()
			}
			c.EndJob("etl-0", tc.how, "BackoffLimitExceeded")
			for range 2 {
				if out := <-results; out != "sequentialjob.batch.example.com/etl condition met" {
					t.Errorf("kubectl wait: %s", out)
				}
			}
		})
	}
}

func TestTheGoExampleRuns(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	binary := filepath.Join(t.TempDir(), "example")
	build := exec.Command("go", "build", "-race", "-o", binary, "./artifacts/examples/go")
	build.Dir = framework.Root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), binary, "-namespace", c.Namespace, "-timeout", framework.Patience.String()).Output()
	if err != nil {
		t.Fatalf("example: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "SequentialJob "+c.Namespace+"/hello-") || !strings.HasSuffix(lines[0], " Completed") {
		t.Fatalf("it printed:\n%s", out)
	}
	if diff := cmp.Diff([]string{"STEP", "JOB", "STATE", "DURATION", "MESSAGE"}, strings.Fields(lines[1])); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	for i, step := range []string{"prepare", "work", "report"} {
		if row := strings.Fields(lines[i+2]); len(row) < 3 || row[0] != step || row[2] != "Completed" {
			t.Errorf("row %q", row)
		}
	}
}
