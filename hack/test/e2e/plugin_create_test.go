//go:build e2e

package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const shellImage = "--image=data-tools/shell:v1"

func (c *cluster) mustSJ(args ...string) said {
	c.T.Helper()
	s := c.sj(args...)
	if s.code != 0 {
		c.T.Fatalf("sj %s: exit code %d: %s%s", strings.Join(args, " "), s.code, s.out, s.err)
	}
	return s
}

func TestPluginCreatesWhatItIsToldAndRunsIt(t *testing.T) {
	c := newCluster(t)
	s := c.mustSJ("create", "etl", shellImage, "--step=a=echo first", "--step=b=echo second")
	if want := "sequentialjob.batch.example.com/etl created\n"; s.out != want || s.err != "" {
		t.Errorf("said %q, %q", s.out, s.err)
	}
	c.mustComplete("etl")
	for job, want := range map[string]string{"etl-0": "first\n", "etl-1": "second\n"} {
		if got := c.kubectl("", "logs", "job/"+job); got != want {
			t.Errorf("%s wrote %q", job, got)
		}
	}
	if s := c.sj("create", "etl", shellImage, "--step=a=echo"); s.code != 2 || !strings.Contains(s.err, "choose another name") {
		t.Errorf("a name that is taken: %+v", s)
	}
	if s := c.mustSJ("create", "followed", shellImage, "--step=a=true", "-f"); strings.Contains(s.out, "created") || !strings.Contains(s.err, "created") {
		t.Errorf("what is created is told among the logs: %+v", s)
	}
}

// What --dry-run writes is a manifest like one of a person.
func TestPluginWritesManifestsThatCanBeApplied(t *testing.T) {
	c := newCluster(t)
	manifest := c.mustSJ("create", "etl", shellImage, "--step=a=echo first", "--dry-run=client", "-o", "yaml").out
	for _, noise := range []string{"status", "creationTimestamp", "uid", "null", "{}"} {
		if strings.Contains(manifest, noise) {
			t.Errorf("%q is in the manifest:\n%s", noise, manifest)
		}
	}
	if s := c.mustSJ("create", "etl", shellImage, "--step=a=echo first", "--dry-run=server"); s.out != "sequentialjob.batch.example.com/etl created (server dry run)\n" {
		t.Errorf("said %q", s.out)
	}
	if out := c.kubectl("", "get", "sj", "-o", "name"); out != "" && !strings.Contains(out, "No resources") {
		t.Errorf("a dry run created something: %s", out)
	}
	c.kubectl(manifest, "apply", "--server-side", "-f", "-")
	c.mustComplete("etl")
}

const toRunAgain = `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata: {name: etl, labels: {team: data}}
spec:
  containers:
  - {name: extract, image: "data-tools/shell:v1", command: [sh, -c, echo extract]}
  - {name: transform, image: "data-tools/shell:v1", command: [sh, -c, sleep 600]}
  - {name: load, image: "data-tools/shell:v1", command: [sh, -c, echo load]}
  template: {spec: {terminationGracePeriodSeconds: 1}}
  podFailurePolicy:
    rules: [{action: Ignore, onExitCodes: {containerName: extract, operator: In, values: [9]}}]
  stepOverrides:
  - {name: extract, backoffLimit: 0}
  - {name: load, suspend: true}
`

func TestPluginRunsOneAgain(t *testing.T) {
	c := newCluster(t)
	c.kubectl(toRunAgain, "apply", "-f", "-")
	c.WaitForRunning("etl", 1)
	c.Patch("etl", `{"spec":{"cancel":true}}`)
	c.mustFail("etl")

	s := c.mustSJ("create", "etl-2", "--from=sj/etl", "--from-step=load")
	if !strings.Contains(s.err, "Step load waits for approval: ") || !strings.Contains(s.err, " resume etl-2 --step load") {
		t.Errorf("it does not say that it waits: %q", s.err)
	}
	again := c.WaitForPhase("etl-2", v1alpha1.SequentialJobSuspended)
	if again.Labels["team"] != "data" || len(again.Spec.Containers) != 1 || len(again.Spec.StepOverrides) != 1 || again.Spec.Cancel != nil ||
		again.Annotations["kubectl.kubernetes.io/last-applied-configuration"] != "" {
		t.Errorf("it is not what it should be: %+v", again)
	}
	c.Patch("etl-2", `{"spec":{"stepOverrides":[{"name":"load","suspend":false}]}}`)
	c.mustComplete("etl-2")
	if out := c.kubectl("", "logs", "job/etl-2-0"); out != "load\n" {
		t.Errorf("the first step wrote %q", out)
	}
	if s := c.sj("create", "etl-3", "--from=sj/etl", "--from-step=publish"); s.code != 2 || !strings.Contains(s.err, "name one of extract, transform, load") {
		t.Errorf("a step that is not there: %+v", s)
	}
	if s := c.sj("create", "etl-3", "--from=sj/nope"); s.code != 2 || !strings.Contains(s.err, `"nope" not found`) {
		t.Errorf("a sequence that is not there: %+v", s)
	}
}

func TestPluginLintSaysWhatTheControllerSays(t *testing.T) {
	c := newCluster(t)
	const manifest = `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata: {name: etl}
spec:
  containers:
  - {name: a, image: "data-tools/shell:v1"}
  - {name: b, image: "data-tools/shell:v1", imagePullPolicy: Nevr}
  finally:
  - {name: x, image: "data-tools/shell:v1", ports: [{containerPort: 99999}]}
`
	cmd := c.plugin("lint", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	s := runPlugin(t, cmd)
	var problems []string
	for line := range strings.Lines(s.out) {
		problems = append(problems, strings.TrimPrefix(strings.TrimSpace(line), "STDIN: sequentialjob/etl: "))
	}
	if s.code != 1 || s.err != "" || len(problems) != 2 {
		t.Errorf("lint: %+v", s)
	}
	for _, list := range []string{"sequentialjobs", "jobs"} {
		if out := c.kubectl("", "get", list, "-o", "name"); strings.Contains(out, "etl") {
			t.Errorf("lint created %s", out)
		}
	}
	c.kubectl(manifest, "apply", "-f", "-")
	c.mustFail("etl")
	if said := c.Get("etl").Status.SpecCheck.Message; said != strings.Join(problems, "; ") {
		t.Errorf("lint says     %q\ncontroller says %q", problems, said)
	}
}

// A user without permission to create Jobs is told so, and not that the manifest is wrong.
func TestPluginLintNamesTheMissingPermission(t *testing.T) {
	c := newCluster(t)
	cmd := c.plugin("lint", "-f", framework.Root+"/artifacts/examples/hello.yaml", "--as=system:serviceaccount:"+c.Namespace+":default")
	if s := runPlugin(t, cmd); s.code != 2 || !strings.Contains(s.err, "you may not get sequentialjobs.batch.example.com") || s.out != "" {
		t.Errorf("without any permission: %+v", s)
	}
	c.kubectl("", "create", "role", "sj", "--verb=get,create", "--resource=sequentialjobs.batch.example.com")
	c.kubectl("", "create", "rolebinding", "sj", "--role=sj", "--serviceaccount="+c.Namespace+":default")
	cmd = c.plugin("lint", "-f", framework.Root+"/artifacts/examples/hello.yaml", "--as=system:serviceaccount:"+c.Namespace+":default")
	if s := runPlugin(t, cmd); s.code != 2 || !strings.Contains(s.err, "you may not create jobs.batch") || s.out != "" {
		t.Errorf("without the permission to create Jobs: %+v", s)
	}
}

func TestPluginVersionSeesWhetherAControllerWorks(t *testing.T) {
	c := newCluster(t)
	s := c.mustSJ("version", "-o", "json")
	var report struct {
		CRD        struct{ Installed bool }
		Controller struct{ Deployment, Leader, Works string }
		Fits       string
	}
	if err := json.Unmarshal([]byte(s.out), &report); err != nil {
		t.Fatal(err)
	}
	if !report.CRD.Installed || report.Controller.Works != "yes" || report.Fits != "yes" || report.Controller.Leader == "" ||
		report.Controller.Deployment != systemNamespace+"/sequential-operator-controller-manager" {
		t.Errorf("got %s", s.out)
	}
	cmd := c.plugin("version", "--as=system:serviceaccount:"+c.Namespace+":default")
	if s := runPlugin(t, cmd); s.code != 0 || !strings.Contains(s.out, "you may not list deployments.apps") || !strings.Contains(s.out, "is not known") {
		t.Errorf("without permissions: %+v", s)
	}
}

// installed returns a directory with all that `make install-plugin` installs.
func (c *cluster) installed() string {
	c.T.Helper()
	binary, err := builtPlugin()
	framework.Must(c.T, err)
	dir := c.T.TempDir()
	install := exec.CommandContext(c.T.Context(), filepath.Join(framework.Root, "hack/plugin/install.sh"), binary, dir)
	if out, err := install.CombinedOutput(); err != nil {
		c.T.Fatalf("install: %v: %s", err, out)
	}
	return dir
}

// complete returns what a shell shows of what kubectl suggests for a command line, the last word being the one to complete.
func (c *cluster) complete(dir string, words ...string) []string {
	c.T.Helper()
	kubectl, err := filepath.Abs(os.Getenv("KUBECTL"))
	framework.Must(c.T, err)
	cmd := exec.CommandContext(c.T.Context(), kubectl, append([]string{"__complete"}, words...)...)
	// The completers call kubectl by its name.
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+filepath.Dir(kubectl)+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		c.T.Fatalf("kubectl __complete %q: %v", words, err)
	}
	var suggestions []string
	for line := range strings.Lines(string(out)) {
		suggestion, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(suggestion, words[len(words)-1]) && !strings.HasPrefix(suggestion, ":") {
			suggestions = append(suggestions, suggestion)
		}
	}
	return suggestions
}

func TestKubectlCompletesThePluginsCommands(t *testing.T) {
	c := newCluster(t)
	dir := c.installed()
	c.kubectl(toRunAgain, "apply", "-f", "-")
	for _, plugin := range []string{"sj", "sequentialjob"} {
		for name, tc := range map[string]struct {
			words []string
			want  []string
		}{
			"commands":        {[]string{"cr"}, []string{"create"}},
			"a namespace":     {[]string{"version", "-n", c.Namespace[:len(c.Namespace)-1]}, []string{c.Namespace}},
			"what to copy":    {[]string{"create", "new", "-n", c.Namespace, "--from", ""}, []string{"sj/etl"}},
			"where to begin":  {[]string{"create", "new", "-n", c.Namespace, "--from", "sj/etl", "--from-step", ""}, []string{"extract", "transform", "load"}},
			"how to print it": {[]string{"version", "-o", ""}, []string{"json", "yaml"}},
		} {
			if got := c.complete(dir, append([]string{plugin}, tc.words...)...); !slices.Equal(got, tc.want) {
				t.Errorf("%s, %s: %q, want %q", plugin, name, got, tc.want)
			}
		}
	}
}
