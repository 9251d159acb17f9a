//go:build integration

package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl"
)

// lint runs the plugin on a manifest, and returns what it finds wrong, its standard error and its exit code.
func (c *cluster) lint(manifest string) (problems []string, errOut string, code int) {
	c.T.Helper()
	file := filepath.Join(c.T.TempDir(), "etl.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		c.T.Fatal(err)
	}
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	cmd := kubectl.NewCommand("kubectl sj", streams)
	cmd.SetArgs([]string{"lint", "--namespace", c.Namespace, "--filename", file})
	err := cmd.ExecuteContext(c.T.Context())
	for line := range strings.Lines(stdout.String()) {
		problems = append(problems, strings.TrimPrefix(strings.TrimSpace(line), file+": sequentialjob/etl: "))
	}
	return problems, stderr.String(), kubectl.ExitCode(err)
}

// What only a Job can be refused for is told with the words that the controller puts into the status.
func TestLintSaysWhatTheControllerWouldSay(t *testing.T) {
	const steps = "{name: a, image: a}, {name: b, image: b}"
	for name, tc := range map[string]struct{ spec, want string }{
		"a policy of the third step": {`containers: [` + steps + `, {name: c, image: c, imagePullPolicy: Nevr}]`,
			"spec.containers[2].imagePullPolicy"},
		"several causes": {`containers: [` + steps + `, {name: c, image: c, ports: [{containerPort: 99999}], env: [{name: "A="}]}]`,
			"spec.containers[2].ports[0].containerPort"},
		"two steps": {`containers: [` + steps + `, {name: c, image: c, imagePullPolicy: Nevr}, {name: d, image: d, ports: [{containerPort: 99999}]}]`,
			"spec.containers[3].ports[0].containerPort"},
		"a mount without a path": {`containers: [` + steps + `, {name: c, image: c, volumeMounts: [{name: v, mountPath: ""}]}], template: {spec: {volumes: [{name: v, emptyDir: {}}]}}`,
			"spec.containers[2].volumeMounts[0].mountPath"},
		"an override": {`containers: [` + steps + `], stepOverrides: [{name: b, template: {spec: {nodeSelector: {"a b": c}}}}]`,
			"spec.stepOverrides[b].template.spec.nodeSelector"},
		"finally": {`containers: [` + steps + `], finally: [{name: x, image: x, terminationMessagePolicy: Never}]`,
			"spec.finally[0].terminationMessagePolicy"},
		"the template": {`containers: [` + steps + `], template: {spec: {priority: 3, hostname: "A_B"}}`,
			"spec.template.spec.hostname"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			manifest := "apiVersion: batch.example.com/v1alpha1\nkind: SequentialJob\nmetadata: {name: etl}\nspec: {" + tc.spec + "}"
			problems, errOut, code := c.lint(manifest)
			if code != kubectl.ExitFailed || errOut != "" || !strings.Contains(strings.Join(problems, "\n"), tc.want) {
				t.Errorf("exit code %d: %q %s", code, problems, errOut)
			}
			if list, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
				t.Errorf("lint created something: %v, %v", list, err)
			}
			c.Jobs.Want()

			sj := &v1alpha1.SequentialJob{}
			if err := yaml.Unmarshal([]byte(manifest), sj); err != nil {
				t.Fatal(err)
			}
			c.StartController()
			c.Create(sj)
			said := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed).Status.SpecCheck.Message
			if got := strings.Join(problems, "; "); got != said {
				t.Errorf("lint says    %q\ncontroller says %q", got, said)
			}
		})
	}
}

// A quota is no fault of the manifest, and may be another one by the time that it is applied.
func TestLintSaysWhatItCouldNotCheck(t *testing.T) {
	c := newCluster(t)
	c.Kubectl("create", "quota", "none", "--hard=count/jobs.batch=0")
	manifest := "apiVersion: batch.example.com/v1alpha1\nkind: SequentialJob\nmetadata: {name: etl}\nspec: {containers: [{name: a, image: a}]}"
	said, errOut, code := c.lint(manifest)
	if code != 0 || len(said) != 1 || said[0] != "valid as far as it could be checked (1 step)" || !strings.Contains(errOut, "Warning:") || !strings.Contains(errOut, "exceeded quota") {
		t.Errorf("exit code %d: %q %s", code, said, errOut)
	}
}
