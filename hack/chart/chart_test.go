package main

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func object(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	objects, err := parse([]byte(manifest))
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	return objects[0]
}

func TestMarksBecomeActionsAndAllElseRendersAsItself(t *testing.T) {
	m := &marks{}
	got, err := m.write(map[string]any{
		"spec": map[string]any{
			"message":                          "{{ not an action }}",
			"name":                             "a" + m.value(".Values.suffix"),
			"args":                             []any{"--one", m.block("{{- range .Values.args }}\n- {{ . }}\n{{- end }}")},
			m.block(section("labels", "some")): nil,
		},
	})
	want := `spec:
  args:
  - --one
  {{- range .Values.args }}
  - {{ . }}
  {{- end }}
  message: '{{ ` + "`{{`" + ` }} not an action }}'
  name: a{{ .Values.suffix }}
  {{- with .Values.some }}
  labels: {{ toYaml . | nindent 4 }}
  {{- end }}
`
	if err != nil || got != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
}

func TestOwnNamesGetTheSuffixAndSharedOnesDoNot(t *testing.T) {
	role := object(t, "{apiVersion: v1, kind: ClusterRole, metadata: {name: mine}}")
	shared := object(t, "{apiVersion: v1, kind: ClusterRole, metadata: {name: sequential-operator-view}}")
	own := ownNames([]*unstructured.Unstructured{role, shared})
	_, mine, err := installed(role, own)
	if err != nil || !strings.Contains(mine, "name: mine{{ $.Values.nameSuffix }}") {
		t.Errorf("%v\n%s", err, mine)
	}
	file, theirs, err := installed(shared, own)
	if err != nil || file != "templates/shared.yaml" || !strings.HasPrefix(theirs, "{{- if .Values.userRoles.install }}") ||
		!strings.Contains(theirs, "name: sequential-operator-view\n") {
		t.Errorf("%s: %v\n%s", file, err, theirs)
	}
}

func TestADeploymentThatTheValuesDoNotFitIsAnError(t *testing.T) {
	for name, pod := range map[string]string{
		"no labels":              "{spec: {containers: [{args: [a], env: [{name: GOMEMLIMIT}]}]}}",
		"two containers":         "{metadata: {labels: {a: b}}, spec: {containers: [{}, {}]}}",
		"no args":                "{metadata: {labels: {a: b}}, spec: {containers: [{env: [{name: GOMEMLIMIT}]}]}}",
		"an unknown environment": "{metadata: {labels: {a: b}}, spec: {containers: [{args: [a], env: [{name: OTHER}]}]}}",
	} {
		t.Run(name, func(t *testing.T) {
			deployment := object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: "+pod+"}}")
			if _, text, err := installed(deployment, nil); err == nil {
				t.Errorf("no error, but\n%s", text)
			}
		})
	}
}

func TestCompareNamesWhatDiffers(t *testing.T) {
	one := map[string]*unstructured.Unstructured{
		"same":    object(t, "{apiVersion: v1, kind: Secret, metadata: {name: same}}"),
		"other":   object(t, "{apiVersion: v1, kind: Secret, metadata: {name: other}, data: {a: b}}"),
		"missing": object(t, "{apiVersion: v1, kind: Secret, metadata: {name: missing}}"),
	}
	two := map[string]*unstructured.Unstructured{
		"same":  one["same"],
		"other": object(t, "{apiVersion: v1, kind: Secret, metadata: {name: other}, data: {a: c}}"),
		"more":  object(t, "{apiVersion: v1, kind: Secret, metadata: {name: more}}"),
	}
	if err := compare(one, one); err != nil {
		t.Error(err)
	}
	got := compare(one, two)
	for _, want := range []string{"other: the chart has another one", "missing: the chart does not have it", "more: only the chart has it"} {
		if got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("%q is not in: %v", want, got)
		}
	}
}
