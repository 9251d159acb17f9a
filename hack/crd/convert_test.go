package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// embedded are the fields of Kubernetes' own types that Convert changes, beside some that it must not.
var embedded = slices.Concat(
	below("spec.containers[].", stepFields, []string{"readinessProbe", "startupProbe", "lifecycle.preStop"}),
	below("spec.finally[].", stepFields),
	below("spec.template.", templateFields),
	below("spec.stepOverrides[].template.", templateFields, []string{"spec.resources.limits", "spec.resources.requests"}),
	below("spec.podFailurePolicy.rules[].", []string{
		"action", "onExitCodes.containerName", "onExitCodes.operator", "onExitCodes.values", "onPodConditions[].status",
	}),
	[]string{"status.conditions[].type"},
)

var (
	containerFields = []string{"name", "image", "resources.limits", "resources.requests", "volumeMounts[].name", "volumeDevices[].name"}
	stepFields      = append([]string{"restartPolicy", "env[].name", "ports[].protocol"}, containerFields...)
	templateFields  = slices.Concat(below("spec.initContainers[].", containerFields), []string{
		"metadata", "spec.containers[].name", "spec.ephemeralContainers[].name", "spec.restartPolicy", "spec.volumes[].name",
		"spec.volumes[].ephemeral.volumeClaimTemplate.metadata",
	})
)

func below(path string, fields ...[]string) (out []string) {
	for _, field := range slices.Concat(fields...) {
		out = append(out, path+field)
	}
	return out
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
	for _, spec := range [][]string{{"spec", "template", "spec"}, {"spec", "stepOverrides", "[]", "template", "spec"}} {
		if !edit(root, spec, func(s *schema) { s.Required = []string{"containers"} }) {
			t.Fatalf("the fields lack %s", spec)
		}
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
	out := &schema{Type: "string", Description: "About " + name + ". At length.", Default: &apiextensionsv1.JSON{Raw: []byte(`"x"`)}}
	switch name {
	case "metadata", "readinessProbe", "startupProbe", "preStop":
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
	untouched := regexp.MustCompile(`env\[]|ports\[]|^status|` +
		// These lists are replaced as they are, whatever their items are.
		`template.spec.(c|ephemeralC)ontainers\[]`)
	for i, gone := range embedded {
		if untouched.MatchString(gone) {
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
	raw := strings.ReplaceAll(string(input(t, embedded)), "- containers\n", "- volumes\n")
	for _, spec := range []string{"spec.template.spec", "spec.stepOverrides[].template.spec"} {
		if _, err := Convert([]byte(raw)); err == nil || !strings.Contains(err.Error(), spec+": required: containers") {
			t.Errorf("got %v", err)
		}
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
	raw := strings.Replace(string(input(t, embedded)), "About image", strings.Repeat("a", maxBytes), 1)
	if _, err := Convert([]byte(raw)); err == nil || !strings.Contains(err.Error(), "kubectl apply") {
		t.Errorf("got %v", err)
	}
}

// A list is atomic if nothing is said of it.
func TestListsWithinContainersAreAtomic(t *testing.T) {
	e := convert(t)
	for path, want := range map[string]string{
		"spec.containers":                                  "",
		"spec.containers[].env":                            "",
		"spec.containers[].ports":                          "",
		"spec.containers[].volumeMounts":                   "",
		"spec.finally":                                     "",
		"spec.finally[].env":                               "",
		"spec.template.spec.initContainers[].volumeMounts": "",
		"spec.template.spec.initContainers":                "map",
		"spec.template.spec.volumes":                       "map",
		"spec.stepOverrides[].template.spec.initContainers[].volumeMounts": "",
		"spec.stepOverrides[].template.spec.initContainers":                "map",
		"spec.stepOverrides[].template.spec.volumes":                       "map",
		"spec.stepOverrides": "map",
		"status.conditions":  "map",
	} {
		got := e.get(t, path)
		kind := ""
		if got.XListType != nil {
			kind = *got.XListType
		}
		if kind != want {
			t.Errorf("%s: list type %q, want %q", path, kind, want)
		}
		if (want == "map") != (len(got.XListMapKeys) > 0) {
			t.Errorf("%s: list type %s with keys %v", path, want, got.XListMapKeys)
		}
	}
}

func TestEmbeddedTypesHaveNoDefaults(t *testing.T) {
	e := convert(t)
	e.at("spec.containers", func(s *schema) {
		if s.Default == nil || string(s.Default.Raw) != "[]" {
			t.Errorf("a spec without steps misses a required field, so no rule says where they belong: the default is %v", s.Default)
		}
		s.Default = nil
	})
	spec := e.get(t, "spec")
	walk(&spec, func(s *schema) {
		if s.Default != nil {
			t.Errorf("%q has the default %s", s.Description, s.Default.Raw)
		}
	})
}

func TestDescriptions(t *testing.T) {
	e := convert(t)
	for path, want := range map[string]string{
		"spec.containers[].env":                      "About env. At length.",
		"spec.containers[].env[].name":               "About name.",
		"spec.containers[].lifecycle.preStop":        "About preStop.",
		"spec.containers[].name":                     "Name of the step: a DNS label, unique in the sequence.",
		"spec.finally[]":                             "As in spec.containers.",
		"spec.finally[].env":                         "",
		"spec.finally[].name":                        "",
		"spec.template.spec.volumes":                 "About volumes.",
		"spec.template.spec.volumes[].name":          "",
		"spec.template.spec.initContainers[].name":   "",
		"spec.stepOverrides[].template":              "About template. At length.",
		"spec.stepOverrides[].template.spec":         "As in spec.template.spec; merged over it.",
		"spec.stepOverrides[].template.metadata":     "As in spec.template.metadata; merged over it.",
		"spec.stepOverrides[].template.spec.volumes": "",
		"status.conditions[].type":                   "About type. At length.",
	} {
		if got := e.get(t, path).Description; got != want {
			t.Errorf("%s: description %q, want %q", path, got, want)
		}
	}
}

func TestTemplateContainersAreRefusedWithTheRemedy(t *testing.T) {
	e := convert(t)
	for _, template := range templates {
		got := e.get(t, template+".spec.containers")
		if !got.Nullable || len(got.XValidations) != 1 || !strings.Contains(got.XValidations[0].Message, "template.spec.initContainers") {
			t.Errorf("%s: got %+v", template, got)
		}
		if items := got.Items.Schema; len(items.Properties) > 0 || !*items.XPreserveUnknownFields {
			t.Errorf("%s: the items must be left open, so that the message about the list is seen: %+v", template, items)
		}
		if required := e.get(t, template+".spec").Required; len(required) > 0 {
			t.Errorf("%s: required: %v", template, required)
		}
	}
}

// What an override has is merged by name over what has the rest.
func TestAnOverrideNeedsNamesOnly(t *testing.T) {
	e := convert(t)
	for path, want := range map[string][]string{
		"spec.template.spec.initContainers[]":                 {"name", "image"},
		"spec.finally[]":                                      {"name", "image"},
		"spec.stepOverrides[].template.spec.initContainers[]": {"name"},
	} {
		if got := e.get(t, path).Required; !slices.Equal(got, want) {
			t.Errorf("%s: required: %v, want %v", path, got, want)
		}
	}
}

// A rule that loops must not be evaluated on the controller's status writes.
func TestRootRulesAreGuarded(t *testing.T) {
	for _, rule := range readInstalled(t).schema.XValidations {
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
