package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	controller = "sequential-operator-controller-manager"
	system     = "sequential-operator-system"
)

// names are those of the objects that each installation has for itself. They get the suffix of the installation.
type names []string

func ownNames(objects []*unstructured.Unstructured) names {
	var own names
	for _, object := range objects {
		if object.GetKind() != "Namespace" && sharedBy[name(object)] == "" {
			own = append(own, object.GetName())
		}
	}
	return own
}

// adapt puts the values into an object of the controller, and returns the condition under which it is rendered.
func (own names) adapt(object *unstructured.Unstructured, m *marks) (condition string, err error) {
	object.Object, _ = own.rename(object.Object, m).(map[string]any)
	switch object.GetKind() {
	case "Deployment":
		return "", deployment(object, m)
	case "Service":
		metadata, _ := object.Object["metadata"].(map[string]any)
		return "", service(metadata, m)
	case "PodDisruptionBudget":
		return ".Values.podDisruptionBudget.enabled", nil
	case "NetworkPolicy":
		return ".Values.networkPolicy.enabled", nil
	case "ClusterRoleBinding":
		if isAllNamespaces(object) {
			return "not .Values.namespaces", nil
		}
	}
	return "", nil
}

// rename puts the installation's own names and its namespace wherever these stand.
func (own names) rename(value any, m *marks) any {
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			value[key] = own.rename(value[key], m)
		}
	case []any:
		for i := range value {
			value[i] = own.rename(value[i], m)
		}
	case string:
		if value == system {
			return m.value("$.Release.Namespace")
		}
		if slices.Contains(own, value) {
			return value + m.value("$.Values.nameSuffix")
		}
	}
	return value
}

func service(metadata map[string]any, m *marks) error {
	labels, ok := metadata["labels"].(map[string]any)
	if !ok {
		return errors.New("it has no labels")
	}
	labels[m.block(entries("service.labels"))] = nil
	metadata[m.block(section("annotations", "service.annotations"))] = nil
	return nil
}

// deployment puts the values into the Deployment. What is not where it is expected is an error: a value would have no effect.
func deployment(object *unstructured.Unstructured, m *marks) error {
	spec, _ := object.Object["spec"].(map[string]any)
	pod, ok := spec["template"].(map[string]any)
	if !ok {
		return errors.New("it has no pod template")
	}
	spec["replicas"] = m.value(".Values.replicas")
	metadata, _ := pod["metadata"].(map[string]any)
	labels, ok := metadata["labels"].(map[string]any)
	if !ok {
		return errors.New("its pods have no labels")
	}
	labels[m.block(entries("podLabels"))] = nil
	metadata[m.block(section("annotations", "podAnnotations"))] = nil
	podSpec, _ := pod["spec"].(map[string]any)
	containers, _ := podSpec["containers"].([]any)
	if len(containers) != 1 {
		return fmt.Errorf("it has %d containers, want 1", len(containers))
	}
	podSpec[m.block(section("imagePullSecrets", "image.pullSecrets"))] = nil
	for _, field := range []string{"nodeSelector", "tolerations", "affinity"} {
		podSpec[m.block(section(field, field))] = nil
	}
	podSpec[m.block(priorityClass)] = nil
	manager, _ := containers[0].(map[string]any)
	return container(manager, m)
}

func container(manager map[string]any, m *marks) error {
	args, _ := manager["args"].([]any)
	if len(args) == 0 {
		return errors.New("its container has no args")
	}
	manager["args"] = append(args, m.block(arguments))
	manager["image"] = m.value(`include "sequentialjob.image" . | quote`)
	manager["imagePullPolicy"] = m.value(".Values.image.pullPolicy")
	delete(manager, "resources")
	manager[m.block(section("resources", "resources"))] = nil
	environment, _ := manager["env"].([]any)
	if len(environment) != 1 || !strings.Contains(fmt.Sprint(environment[0]), "GOMEMLIMIT") {
		return fmt.Errorf("its container has another environment than GOMEMLIMIT: %v", environment)
	}
	delete(manager, "env")
	manager[m.block(memoryLimit)] = nil
	return nil
}

const (
	arguments = `
{{- range .Values.namespaces }}
- {{ printf "--namespace=%s" . | quote }}
{{- end }}
{{- range .Values.args }}
- {{ . | quote }}
{{- end }}`
	memoryLimit = `
{{- with include "sequentialjob.memoryLimit" . }}
env:
- name: GOMEMLIMIT
  value: {{ . }}
{{- end }}`
	priorityClass = `
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}`
)

// entries are lines for what a value has, among other entries.
func entries(value string) string {
	return "{{- range $key, $value := .Values." + value + " }}\n{{ $key | quote }}: {{ $value | quote }}\n{{- end }}"
}

// section is a field with what a value has, or nothing if that is empty.
func section(field, value string) string {
	return "{{- with .Values." + value + " }}\n" + field + ": {{ toYaml . | nindent +2 }}\n{{- end }}"
}

func isAllNamespaces(object *unstructured.Unstructured) bool {
	return object.GetKind() == "ClusterRoleBinding" && strings.HasPrefix(object.GetName(), controller)
}

// perNamespace makes the binding for all namespaces one for each of some, if these are named.
func perNamespace(text string) (string, error) {
	const kind, metadata = "kind: ClusterRoleBinding\n", "metadata:\n"
	if strings.Count(text, kind) != 1 || strings.Count(text, metadata) != 1 {
		return "", fmt.Errorf("unexpected ClusterRoleBinding:\n%s", text)
	}
	one := strings.Replace(text, kind, "kind: RoleBinding\n", 1)
	one = strings.Replace(one, metadata, metadata+"  namespace: {{ . | quote }}\n", 1)
	return text + "{{- end }}\n{{- range .Values.namespaces }}\n---\n" + one, nil
}

// monitored returns the template of an object for the Prometheus Operator.
func monitored(object *unstructured.Unstructured, own names) (string, error) {
	m := &marks{}
	object.Object, _ = own.rename(object.Object, m).(map[string]any)
	switch object.GetKind() {
	case "ServiceMonitor":
		metadata, _ := object.Object["metadata"].(map[string]any)
		metadata[m.block(section("labels", "monitoring.serviceMonitor.labels"))] = nil
	case "ClusterRoleBinding":
		object.Object["subjects"] = []any{map[string]any{
			"kind":      "ServiceAccount",
			"name":      m.value(".Values.monitoring.prometheus.serviceAccount | quote"),
			"namespace": m.value(".Values.monitoring.prometheus.namespace | quote"),
		}}
	default:
		return "", errors.New("an object of a kind that the chart does not know")
	}
	text, err := m.write(object.Object)
	return when(".Values.monitoring.serviceMonitor.enabled", text), err
}
