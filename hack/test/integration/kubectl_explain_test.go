//go:build integration

package integration_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// ownFields returns the paths of the fields that are the project's own: of the spec, those that it has itself.
func ownFields(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(framework.Root, "manifests/crd.yaml"))
	framework.Must(t, err)
	var crd map[string]any
	framework.Must(t, yaml.Unmarshal(raw, &crd))
	versions, _, err := unstructured.NestedSlice(crd, "spec", "versions")
	framework.Must(t, err)
	schema, _, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema")
	framework.Must(t, err)
	return append(below(schema, "spec", 1), below(schema, "status", 3)...)
}

func below(schema map[string]any, path string, depth int) []string {
	name := path[strings.LastIndex(path, ".")+1:]
	child, _, _ := unstructured.NestedMap(schema, "properties", name)
	if items, found, _ := unstructured.NestedMap(child, "items"); found {
		child = items
	}
	out := []string{path}
	properties, _, _ := unstructured.NestedMap(child, "properties")
	if depth == 0 {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		out = append(out, below(child, path+"."+name, depth-1)...)
	}
	return out
}

func TestKubectlExplainsEveryFieldOfOurs(t *testing.T) {
	c := newCluster(t)
	fields := ownFields(t)
	if len(fields) < 40 {
		t.Fatalf("only %d fields were found: %q", len(fields), fields)
	}
	for _, field := range fields {
		out := c.Kubectl("explain", "sequentialjob."+field)
		if field == "spec.finally" {
			out, _, _ = strings.Cut(out, "FIELDS:") // those of a container, which are explained at spec.containers
		}
		_, description, found := strings.Cut(out, "DESCRIPTION:")
		if !found || strings.HasPrefix(strings.TrimSpace(description), "<") || strings.Contains(out, "<no description>") {
			t.Errorf("kubectl explain sequentialjob.%s:\n%s", field, out)
		}
	}
}
