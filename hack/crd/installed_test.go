package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/scheme"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	fieldpath "k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// installed is the CRD in manifests, with what an API server makes of it.
type installed struct {
	schema     *schema
	structural *structuralschema.Structural
	values     validation.SchemaValidator
	rules      *cel.Validator
}

func readInstalled(t testing.TB) *installed {
	t.Helper()
	raw, err := os.ReadFile("../../manifests/crd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(raw, &crd); err != nil {
		t.Fatal(err)
	}
	out := &installed{schema: crd.Spec.Versions[0].Schema.OpenAPIV3Schema}
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(out.schema, &internal, nil); err != nil {
		t.Fatal(err)
	}
	if out.structural, err = structuralschema.NewStructural(&internal); err != nil {
		t.Fatal(err)
	}
	// The oldest that is supported; it does not look at the formats of numbers.
	if out.values, _, err = validation.NewSchemaValidatorForVersion(&internal, version.MajorMinor(1, 34)); err != nil {
		t.Fatal(err)
	}
	out.rules = cel.NewValidator(out.structural, true, celconfig.PerCallLimit)
	return out
}

// refusal is what an API server answers to an object that is to replace old, nil for one that it takes.
func (crd *installed) refusal(t testing.TB, object, old map[string]any) fieldpath.ErrorList {
	t.Helper()
	if errs := crd.schemaRefusal(object); len(errs) > 0 {
		return errs
	}
	// A nil map is not a nil interface.
	var before any
	if old != nil {
		before = old
	}
	errs, _ := crd.rules.Validate(t.Context(), nil, crd.structural, object, before, celconfig.RuntimeCELCostBudget)
	return errs
}

// schemaRefusal is refusal without rules, which take far longer. As an API server does, it first adds the defaults to the object.
func (crd *installed) schemaRefusal(object map[string]any) fieldpath.ErrorList {
	defaulting.Default(object, crd.structural)
	return validation.ValidateCustomResource(nil, object, crd.values)
}

// stored is the object as an API server has read it.
func stored(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := utiljson.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func encoded(t testing.TB, object any) []byte {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// decode does as our clientset and informers do.
func decode(text []byte) (*v1alpha1.SequentialJob, error) {
	got, _, err := scheme.Codecs.UniversalDeserializer().Decode(text, nil, &v1alpha1.SequentialJob{})
	if err != nil {
		return nil, err
	}
	return got.(*v1alpha1.SequentialJob), nil
}

// place is where a value stands: names of fields, `[]` for the item of a list and `{}` for a value of a map.
type place struct {
	path   []string
	schema *schema
}

func (p place) String() string { return strings.Join(p.path, ".") }

// places returns those of all values that stand alone, with null, lists and objects of their own for what is around them.
func (crd *installed) places(under ...string) (out []place) {
	var visit func(s *schema, path []string)
	visit = func(s *schema, path []string) {
		out = append(out, place{path: slices.Clone(path), schema: s})
		for _, name := range sortedKeys(s.Properties) {
			property := s.Properties[name]
			visit(&property, append(path, name))
		}
		if s.Items != nil {
			visit(s.Items.Schema, append(path, "[]"))
		}
		if s.AdditionalProperties != nil {
			visit(s.AdditionalProperties.Schema, append(path, "{}"))
		}
	}
	at := crd.schema
	for _, name := range under {
		at = child(at, name)
	}
	visit(at, under)
	return out
}

func child(s *schema, name string) *schema {
	switch name {
	case "[]":
		return s.Items.Schema
	case "{}":
		return s.AdditionalProperties.Schema
	}
	property := s.Properties[name]
	return &property
}

// with returns an object that has the value at that place, and else what is required.
func (crd *installed) with(p place, value any) map[string]any {
	object := sample(crd.schema).(map[string]any)
	object["apiVersion"], object["kind"] = v1alpha1.GroupVersion.String(), "SequentialJob"
	object["metadata"] = map[string]any{"name": "a"}
	return set(object, crd.schema, p.path, value).(map[string]any)
}

func setAt(s *schema, path []string, value any) any { return set(sample(s), s, path, value) }

func set(in any, s *schema, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	below := child(s, path[0])
	switch path[0] {
	case "[]":
		return []any{setAt(below, path[1:], value)}
	case "{}":
		return map[string]any{"key": setAt(below, path[1:], value)}
	}
	object := in.(map[string]any)
	if existing := object[path[0]]; existing != nil {
		object[path[0]] = set(existing, below, path[1:], value)
	} else {
		object[path[0]] = setAt(below, path[1:], value)
	}
	return object
}

// sample is a value of a schema that has only what is required.
func sample(s *schema) any {
	switch {
	case len(s.Enum) > 0:
		return strings.Trim(string(s.Enum[0].Raw), `"`)
	case s.XIntOrString:
		return int64(1)
	case s.Type == "array" && (s.MinItems != nil || s.Default != nil): // a rule refuses the empty default
		return []any{sample(s.Items.Schema)}
	case s.Type == "array":
		return []any{}
	case s.Type == "object":
		object := map[string]any{}
		for _, name := range s.Required {
			object[name] = sample(child(s, name))
		}
		return object
	case s.Type == "integer":
		return max(int64(1), int64(ptrOr(s.Minimum, 1)))
	case s.Type == "boolean":
		return true
	case s.Format == "date-time":
		return "2024-01-01T00:00:00Z"
	case strings.HasPrefix(s.Pattern, "^(True"):
		return "True"
	case strings.HasPrefix(s.Pattern, "^(Never"):
		return "Never"
	default:
		return "a"
	}
}

func ptrOr(p *float64, otherwise float64) float64 {
	if p == nil {
		return otherwise
	}
	return *p
}
