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
	header := []string{"NAME", "STATUS", "COMPLETIONS", "STEP", "AGE", "REASON"}
	c.wantRow(header, []string{"etl", "Running", "0/3", "extract"})
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.WaitForRunning("etl", 1)
	c.wantRow(header, []string{"etl", "Running", "1/3", "transform"})
	c.EndJob("etl-1", batchv1.JobFailed, "BackoffLimitExceeded")
	c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	fields := c.wantRow(header, []string{"etl", "Failed", "1/3", "transform"})
	if reason := fields[len(fields)-1]; reason != "BackoffLimitExceeded" {
		t.Errorf("REASON %q", reason)
	}
}

// What has no running pod is told apart at first sight from what works, and -o wide has the text.
func TestKubectlGetShowsWhyAStepDoesNotRun(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	c.Create(framework.NewStuckSequence("etl", "extract"))
	c.waitForMessage("etl", v1alpha1.ReasonPodNotStarted, "Unschedulable")
	fields := c.wantRow([]string{"NAME", "STATUS", "COMPLETIONS", "STEP", "AGE", "REASON"}, []string{"etl", "Running", "0/1", "extract"})
	if reason := fields[len(fields)-1]; reason != v1alpha1.ReasonPodNotStarted {
		t.Errorf("REASON %q", reason)
	}
	if wide := c.Kubectl("get", "sj", "-o", "wide"); !strings.Contains(wide, "MESSAGE") || !strings.Contains(wide, progressingMessage(c.Get("etl"))) {
		t.Errorf("not the message of Progressing in\n%s", wide)
	}
}

func TestKubectlGetShowsAsPendingWhatNoControllerHasSeen(t *testing.T) {
	c := newByHandCluster(t)
	c.Create(framework.NewSequence("etl", "extract"))
	if fields := strings.Fields(c.Kubectl("get", "sj", "--no-headers")); len(fields) < 2 || fields[1] != "Pending" {
		t.Errorf("row %q", fields)
	}
	c.wantPlugin(0, []string{"not seen by a controller yet"}, "status", "etl")
}

// A message that can be long is told by one condition, by two once the sequence has failed.
func TestKubectlDescribeTellsALongMessageOnce(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract"))
	job := c.WaitForRunning("etl", 0)
	c.createFailedPod(job, "extract", 2, strings.Repeat("no such table. ", 20)+"That is all.")
	c.EndJob("etl-0", batchv1.JobFailed, "BackoffLimitExceeded")
	sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	told := []string{}
	for _, condition := range sj.Status.Conditions {
		if strings.Contains(condition.Message, "That is all.") {
			told = append(told, condition.Type)
		}
	}
	if diff := cmp.Diff([]string{"Progressing", "Failed"}, told); diff != "" {
		t.Errorf("conditions with the whole message (-want +got):\n%s", diff)
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
		"success":                {batchv1.JobComplete, "condition=Available"},
		"success, as with a Job": {batchv1.JobComplete, "condition=complete"},
		"failure":                {batchv1.JobFailed, "condition=Failed"},
		"failure, as with a Job": {batchv1.JobFailed, "condition=failed"},
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
	progress, end, ended := strings.Cut(string(out), "\nSequentialJob "+c.Namespace+"/hello-")
	if !ended || !strings.HasPrefix(progress, "Created SequentialJob "+c.Namespace+"/hello-") ||
		!strings.HasSuffix(progress, "Completed: All 3 steps completed successfully") {
		t.Fatalf("it printed:\n%s", out)
	}
	lines := strings.Split(strings.TrimSpace(end), "\n")
	if len(lines) != 6 || !strings.HasSuffix(lines[0], " Completed") || !strings.HasPrefix(lines[5], "To clean up: kubectl delete sequentialjob hello-") {
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

// The refusal to edit a step that runs tells how a wrong image is corrected without running the steps before it again.
func TestAWrongImageIsCorrectedAsTheRefusalSays(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "transform"))
	c.EndJob(c.WaitForRunning("etl", 0).Name, batchv1.JobComplete, "")
	c.WaitForRunning("etl", 1)
	correct := `[{"op": "replace", "path": "/spec/containers/1/image", "value": "example.com/corrected:v1"}]`
	out, err := framework.RunKubectl("patch", "-n", c.Namespace, "sj/etl", "--type=json", "--patch="+correct)
	_, told, isTold := strings.Cut(out, "To correct it, set retries to status.progress.retries, delete its Job (kubectl ")
	command, _, _ := strings.Cut(told, ")")
	if err == nil || !isTold {
		t.Fatalf("kubectl patch: %v\n%s", err, out)
	}
	c.Kubectl(append(strings.Fields(command), "--cascade=background")...)
	c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.Kubectl("patch", "sj/etl", "--type=json", "--patch="+strings.TrimSuffix(correct, "]")+`, {"op": "add", "path": "/spec/retries", "value": 1}]`)
	job := c.WaitForJob("etl", "etl-1-r1")
	if image := job.Spec.Template.Spec.Containers[0].Image; image != "example.com/corrected:v1" {
		t.Errorf("image %q", image)
	}
	c.Jobs.Want("etl-0", "etl-1", "etl-1-r1")
}
