package v1alpha1_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const root = "../../../.."

// readCRD returns manifests/crd.yaml.
func readCRD(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "manifests", "crd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	crd := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(raw, &crd.Object); err != nil {
		t.Fatal(err)
	}
	return crd
}

func readSchema(t *testing.T) map[string]any {
	t.Helper()
	versions, _, err := unstructured.NestedSlice(readCRD(t).Object, "spec", "versions")
	if err != nil || len(versions) != 1 {
		t.Fatalf("%d versions, error %v", len(versions), err)
	}
	schema, found, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema")
	if err != nil || !found {
		t.Fatalf("found %t, error %v", found, err)
	}
	return schema
}

// `kubectl apply` stores the object in an annotation, and annotations are limited to 262,144 bytes.
func TestCRDFitsKubectlApply(t *testing.T) {
	raw, err := json.Marshal(readCRD(t).Object)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(raw))
	if len(raw) >= 262_144 {
		t.Errorf("the CRD is %d bytes long as JSON", len(raw))
	}
}

var explainedBefore = []string{".spec.finally", ".spec.stepOverrides.template.metadata", ".spec.stepOverrides.template.spec"}

// `kubectl explain` has to explain every field that is our own and every field of a step.
func TestEveryFieldIsExplained(t *testing.T) {
	fields := 0
	var check func(path string, schema map[string]any)
	check = func(path string, schema map[string]any) {
		properties, _, _ := unstructured.NestedMap(schema, "properties")
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			property := properties[name].(map[string]any)
			child := path + "." + name
			// The API server explains these itself.
			if path == "" && slices.Contains([]string{"apiVersion", "kind", "metadata"}, name) {
				continue
			}
			fields++
			if property["description"] == nil {
				t.Errorf("%s has no description", child)
			}
			// Of the template, what is below the fields of the pod is left to `kubectl explain pod.spec`. What is there twice refers
			// to where it is explained.
			if path != ".spec.template.spec" && !slices.Contains(explainedBefore, child) {
				check(child, property)
			}
		}
		if items, found, _ := unstructured.NestedMap(schema, "items"); found {
			check(path, items)
		}
	}
	check("", readSchema(t))
	if fields < 200 {
		t.Errorf("saw only %d fields", fields)
	}
}

func TestStepsAreExplainedToTheLastField(t *testing.T) {
	text, _, err := unstructured.NestedString(readSchema(t), "properties", "spec", "properties", "containers", "items",
		"properties", "livenessProbe", "properties", "httpGet", "properties", "scheme", "description")
	if err != nil || !strings.Contains(text, "Scheme to use") {
		t.Errorf("livenessProbe.httpGet.scheme is explained as %q, error %v", text, err)
	}
}
