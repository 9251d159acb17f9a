//go:build integration

package api_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/example/sequential-job-operator/pkg/kubectl"
)

// lint runs the plugin on a file, and returns what it writes and its exit code.
func (s *server) lint(t *testing.T, file string) (out, errOut string, code int) {
	t.Helper()
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	cmd := kubectl.NewCommand("kubectl sj", streams)
	cmd.SetArgs([]string{"lint", "--namespace", s.ns, "--filename", file})
	err := cmd.ExecuteContext(t.Context())
	if err != nil {
		stderr.WriteString(err.Error())
	}
	return stdout.String(), stderr.String(), kubectl.ExitCode(err)
}

// prepare makes of a file of artifacts/invalid one that can be linted. What an edit is about exists then, as `kubectl apply` makes it.
func (s *server) prepare(t *testing.T, file string) string {
	t.Helper()
	documents := decode(t, read(t, file))
	if len(documents) == 1 {
		return file
	}
	before, status, edit := documents[0], documents[1], documents[2]
	applied, err := before.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	before.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": string(applied)})
	s.create(t, before)
	s.writeStatus(t, before.GetName(), status.Object["status"])
	raw, err := yaml.Marshal(edit.Object)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "edit.yaml")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// stored returns all that a dry run must not change.
func (s *server) stored(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, resource := range []schema.GroupVersionResource{sequentialJobs, {Group: "batch", Version: "v1", Resource: "jobs"}} {
		list, err := s.client.Resource(resource).Namespace(s.ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Items {
			all = append(all, item.GetKind()+"/"+item.GetName()+"@"+item.GetResourceVersion())
		}
	}
	return all
}

// artifacts/invalid/README.md describes the files.
func TestIntegrationLintSaysWhyAManifestIsRefused(t *testing.T) {
	s := newServer(t)
	for _, original := range files(t, "artifacts", "invalid", "*.yaml") {
		t.Run(strings.TrimSuffix(filepath.Base(original), ".yaml"), func(t *testing.T) {
			file := s.prepare(t, original)
			before := s.stored(t)
			out, errOut, code := s.lint(t, file)
			if code != kubectl.ExitFailed || errOut != "" {
				t.Errorf("exit code %d, and on the standard error %q", code, errOut)
			}
			out = typeOfValue.ReplaceAllString(out, "Invalid value: ")
			for _, want := range expectations(read(t, original)) {
				if !strings.Contains(out, want) {
					t.Errorf("the output lacks %q:\n%s", want, out)
				}
			}
			for line := range strings.Lines(out) {
				if !strings.HasPrefix(line, file+": sequentialjob/") {
					t.Errorf("the line does not begin with the file and the object: %q", line)
				}
			}
			if after := s.stored(t); !slices.Equal(after, before) {
				t.Errorf("something was stored: %q, before %q", after, before)
			}
		})
	}
}

func TestIntegrationLintAcceptsTheExamples(t *testing.T) {
	s := newServer(t)
	for _, file := range files(t, "artifacts", "examples", "*.yaml") {
		out, errOut, code := s.lint(t, file)
		if code != 0 || !strings.Contains(out, ": valid (") || strings.Contains(errOut, "Warning") {
			t.Errorf("%s: exit code %d: %s%s", file, code, out, errOut)
		}
	}
	if stored := s.stored(t); len(stored) > 0 {
		t.Errorf("something was stored: %q", stored)
	}
}

// The API server gets one of the two, and finds nothing wrong with it.
func TestIntegrationLintRefusesKeysThatAreGivenTwice(t *testing.T) {
	s := newServer(t)
	file := filepath.Join(t.TempDir(), "twice.yaml")
	manifest := "apiVersion: batch.example.com/v1alpha1\nkind: SequentialJob\nmetadata: {name: etl}\n" +
		"spec:\n  retries: 1\n  retries: 2\n  containers: [{name: a, image: a}]\n"
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errOut, code := s.lint(t, file)
	if want := file + ": sequentialjob/etl: line 6: key \"retries\" already set\n"; out != want || errOut != "" || code != kubectl.ExitFailed {
		t.Errorf("exit code %d: %q %s, want %q", code, out, errOut, want)
	}
}

// Whoever applies on the server says so in each request; lint takes the name of the one who did.
func TestIntegrationLintOfAnEditFollowsHowTheObjectWasMade(t *testing.T) {
	const before = `{containers: [{name: step-0, image: a}, {name: step-1, image: b}], stepOverrides: [{name: step-0, template: {metadata: {labels: {team: a}}}}]}`
	const without = `{containers: [{name: step-0, image: a}, {name: step-1, image: b}]}`
	s := newServer(t)
	for name, create := range map[string]func(t *testing.T, o *unstructured.Unstructured){
		"applied on the server": func(t *testing.T, o *unstructured.Unstructured) {
			if _, err := s.sj.Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "flux"}); err != nil {
				t.Fatal(err)
			}
		},
		"applied by the client": func(t *testing.T, o *unstructured.Unstructured) {
			applied, err := o.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			o.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": string(applied)})
			s.create(t, o)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := object(t, "spec: "+before)
			o.SetName(strings.ReplaceAll(name, " ", "-"))
			create(t, o)
			s.writeStatus(t, o.GetName(), started("Running", "Completed", "Running"))
			edit := object(t, "spec: "+without)
			edit.SetName(o.GetName())
			raw, err := yaml.Marshal(edit.Object)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "edit.yaml")
			if err := os.WriteFile(file, bytes.TrimSpace(raw), 0o600); err != nil {
				t.Fatal(err)
			}
			out, _, code := s.lint(t, file)
			out = typeOfValue.ReplaceAllString(out, "Invalid value: ") // as older API servers write it
			if code != kubectl.ExitFailed || !strings.Contains(out, "spec.stepOverrides: Invalid value: the template of a step that has started") {
				t.Errorf("the override that is taken away is not told: exit code %d: %s", code, out)
			}
		})
	}
}
