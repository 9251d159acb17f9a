//go:build integration

package controller_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// ownFields returns the paths of the fields that are the project's own: of the spec, those that it has itself.
func ownFields(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "manifests/crd.yaml"))
	must(t, err)
	var crd map[string]any
	must(t, yaml.Unmarshal(raw, &crd))
	versions, _, err := unstructured.NestedSlice(crd, "spec", "versions")
	must(t, err)
	schema, _, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema")
	must(t, err)
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

func TestIntegrationKubectlExplainsEveryFieldOfOurs(t *testing.T) {
	c := newCluster(t)
	fields := ownFields(t)
	if len(fields) < 40 {
		t.Fatalf("only %d fields were found: %q", len(fields), fields)
	}
	for _, field := range fields {
		out := c.kubectl("explain", "sequentialjob."+field)
		_, description, found := strings.Cut(out, "DESCRIPTION:")
		if !found || strings.HasPrefix(strings.TrimSpace(description), "<") || strings.Contains(out, "<no description>") {
			t.Errorf("kubectl explain sequentialjob.%s:\n%s", field, out)
		}
	}
}
