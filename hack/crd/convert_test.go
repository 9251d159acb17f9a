package main

import (
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// embedded are the fields of Kubernetes' own types that Convert changes, beside some that it must not.
var embedded = []string{
	"spec.containers[].name",
	"spec.containers[].image",
	"spec.containers[].restartPolicy",
	"spec.containers[].resources.limits",
	"spec.containers[].resources.requests",
	"spec.containers[].env[].name",
	"spec.containers[].ports[].protocol",
	"spec.containers[].volumeMounts[].name",
	"spec.containers[].volumeDevices[].name",
	"spec.template.metadata",
	"spec.template.spec.containers[].name",
	"spec.template.spec.ephemeralContainers[].name",
	"spec.template.spec.initContainers[].name",
	"spec.template.spec.initContainers[].image",
	"spec.template.spec.initContainers[].resources.limits",
	"spec.template.spec.initContainers[].resources.requests",
	"spec.template.spec.initContainers[].volumeMounts[].name",
	"spec.template.spec.initContainers[].volumeDevices[].name",
	"spec.template.spec.restartPolicy",
	"spec.template.spec.volumes[].name",
	"spec.template.spec.volumes[].ephemeral.volumeClaimTemplate.metadata",
	"spec.podFailurePolicy.rules[].action",
	"spec.podFailurePolicy.rules[].onExitCodes.containerName",
	"spec.podFailurePolicy.rules[].onExitCodes.operator",
	"spec.podFailurePolicy.rules[].onExitCodes.values",
	"spec.podFailurePolicy.rules[].onPodConditions[].status",
	"status.conditions[].type",
}

// input is what controller-gen writes, reduced to the given fields. Every field has a description and a default, every
// list is merged by name.
func input(t *testing.T, fields []string) []byte {
	t.Helper()
	root := &schema{Type: "object"}
	put(root, "metadata")
	for _, field := range fields {
		put(root, strings.ReplaceAll(field, "[]", ".[]"))
	}
	if !edit(root, []string{"spec", "template", "spec"}, func(s *schema) { s.Required = []string{"containers"} }) {
		t.Fatal("the fields lack spec.template.spec")
	}
	crd := apiextensionsv1.CustomResourceDefinition{Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
			Name:   "v1alpha1",
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: root},
		}},
	}}
	raw, err := yaml.Marshal(crd)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func put(s *schema, path string) {
	name, rest, more := strings.Cut(path, ".")
	if name == "[]" {
		byKey := "map"
		s.Type, s.Default, s.XListType, s.XListMapKeys = "array", nil, &byKey, []string{"name"}
		if s.Items == nil {
			s.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: field("item")}
		}
		if more {
			put(s.Items.Schema, rest)
		}
		return
	}
	s.Type, s.Default = "object", nil
	if s.Properties == nil {
		s.Properties = map[string]schema{}
	}
	child, found := s.Properties[name]
	if !found {
		child = *field(name)
	}
	if more {
		put(&child, rest)
	}
	s.Properties[name] = child
}

func field(name string) *schema {
	out := &schema{Type: "string", Description: "about " + name, Default: &apiextensionsv1.JSON{Raw: []byte(`"x"`)}}
	switch name {
	case "metadata":
		out.Type = "object"
	case "limits", "requests":
		out.Type = "object"
		out.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Schema: &schema{XIntOrString: true}}
	case "values":
		out.Type = "array"
		out.Items = &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &schema{Type: "integer"}}
	}
	return out
}

func convert(t *testing.T) *editor {
	t.Helper()
	out, err := Convert(input(t, embedded))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(out, &crd); err != nil {
		t.Fatal(err)
	}
	return &editor{root: crd.Spec.Versions[0].Schema.OpenAPIV3Schema}
}

func (e *editor) get(t *testing.T, path string) (got schema) {
	t.Helper()
	e.at(path, func(s *schema) { got = *s })
	if err := e.err(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestFailsIfAFieldHasGone(t *testing.T) {
	untouched := []string{"spec.containers[].env[].name", "spec.containers[].ports[].protocol", "status.conditions[].type",
		// These lists are replaced as they are, whatever their items are.
		"spec.template.spec.containers[].name", "spec.template.spec.ephemeralContainers[].name"}
	for i, gone := range embedded {
		if slices.Contains(untouched, gone) {
			continue
		}
		t.Run(gone, func(t *testing.T) {
			_, err := Convert(input(t, slices.Delete(slices.Clone(embedded), i, i+1)))
			if err == nil || !strings.Contains(err.Error(), gone) {
				t.Errorf("got %v, want an error that names %s", err, gone)
			}
		})
	}
}

func TestFailsIfTemplateContainersAreNoLongerRequired(t *testing.T) {
	raw := strings.Replace(string(input(t, embedded)), "- containers\n", "- volumes\n", 1)
	if _, err := Convert([]byte(raw)); err == nil || !strings.Contains(err.Error(), "spec.template.spec: required: containers") {
		t.Errorf("got %v", err)
	}
}

func TestFailsIfTheGoTypesCannotHoldAField(t *testing.T) {
	raw := string(input(t, append(slices.Clone(embedded), "spec.containers[].env[].value")))
	for from, test := range map[string]struct{ to, want string }{
		"type: integer": {"type: number", `spec.podFailurePolicy.rules[].onExitCodes.values[]: int32 needs integer in the schema`},
		" value:":       {" worth:", `spec.containers[].env[].worth: v1.EnvVar has no such field`},
	} {
		if _, err := Convert([]byte(strings.Replace(raw, from, test.to, 1))); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.to, err, test.want)
		}
	}
}

func TestFailsIfTooLargeForApply(t *testing.T) {
	raw := strings.Replace(string(input(t, embedded)), "about image", strings.Repeat("a", maxBytes), 1)
	if _, err := Convert([]byte(raw)); err == nil || !strings.Contains(err.Error(), "kubectl apply") {
		t.Errorf("got %v", err)
	}
}

func TestListsWithinContainersAreAtomic(t *testing.T) {
	e := convert(t)
	for path, want := range map[string]string{
		"spec.containers":                                  "atomic",
		"spec.containers[].env":                            "atomic",
		"spec.containers[].ports":                          "atomic",
		"spec.containers[].volumeMounts":                   "atomic",
		"spec.template.spec.initContainers[].volumeMounts": "atomic",
		"spec.template.spec.initContainers":                "map",
		"spec.template.spec.volumes":                       "map",
		"status.conditions":                                "map",
	} {
		got := e.get(t, path)
		if *got.XListType != want {
			t.Errorf("%s: list type %s, want %s", path, *got.XListType, want)
		}
		if (want == "map") != (len(got.XListMapKeys) > 0) {
			t.Errorf("%s: list type %s with keys %v", path, want, got.XListMapKeys)
		}
	}
}

func TestEmbeddedTypesHaveNoDefaults(t *testing.T) {
	spec := convert(t).get(t, "spec")
	walk(&spec, func(s *schema) {
		if s.Default != nil {
			t.Errorf("%q has the default %s", s.Description, s.Default.Raw)
		}
	})
}

func TestDescriptions(t *testing.T) {
	e := convert(t)
	for path, want := range map[string]string{
		"spec.containers[].env[].name":             "about name",
		"spec.containers[].volumeMounts":           "about volumeMounts",
		"spec.template.spec.volumes":               "about volumes",
		"spec.template.spec.volumes[].name":        "",
		"spec.template.spec.initContainers[].name": "",
		"status.conditions[].type":                 "about type",
	} {
		if got := e.get(t, path).Description; got != want {
			t.Errorf("%s: description %q, want %q", path, got, want)
		}
	}
}

func TestTemplateContainersAreRefusedWithTheRemedy(t *testing.T) {
	e := convert(t)
	got := e.get(t, "spec.template.spec.containers")
	if !got.Nullable || len(got.XValidations) != 1 || !strings.Contains(got.XValidations[0].Message, "spec.template.spec.initContainers") {
		t.Errorf("got %+v", got)
	}
	if items := got.Items.Schema; len(items.Properties) > 0 || !*items.XPreserveUnknownFields {
		t.Errorf("the items must be left open, so that the message about the list is seen: %+v", items)
	}
	if required := e.get(t, "spec.template.spec").Required; len(required) > 0 {
		t.Errorf("required: %v", required)
	}
}

// A rule that loops must not be evaluated on the controller's status writes.
func TestRootRulesAreGuarded(t *testing.T) {
	for _, rule := range append(rootRules(), transitionRules("true")...) {
		loops := strings.Contains(rule.Rule, ".all(") || strings.Contains(rule.Rule, ".map(")
		guarded := strings.HasPrefix(rule.Rule, unlessStatusChanges) || strings.HasPrefix(rule.Rule, unlessStatusChangesToo)
		if loops && !guarded {
			t.Errorf("not guarded: %s", rule.Rule)
		}
		if rule.Message == "" || rule.FieldPath == "" {
			t.Errorf("a message and a field are missing: %s", rule.Rule)
		}
	}
}
