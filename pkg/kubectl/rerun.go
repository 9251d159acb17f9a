package kubectl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// newSequence returns a SequentialJob of commands, each NAME=COMMAND.
func newSequence(name, image string, steps []string) (*unstructured.Unstructured, error) {
	var containers []any
	var names []string
	for _, step := range steps {
		stepName, command, found := strings.Cut(step, "=")
		switch {
		case !found || command == "":
			return nil, usageError("--step=%q: write NAME=COMMAND, such as 'extract=echo hello'", step)
		case len(validation.IsDNS1123Label(stepName)) > 0:
			return nil, usageError("--step=%q: the name %q is not valid: use lower case letters, digits and -, at most %d", step, stepName,
				validation.DNS1123LabelMaxLength)
		case slices.Contains(names, stepName):
			return nil, usageError("--step=%q: there are two steps %q: give each a name of its own", step, stepName)
		}
		names = append(names, stepName)
		containers = append(containers, map[string]any{"name": stepName, "image": image, "command": []any{"sh", "-c", command}})
	}
	return sequentialJob(map[string]any{"name": name}, map[string]any{"containers": containers}), nil
}

func sequentialJob(metadata, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.SequentialJobKind, "metadata": metadata, "spec": spec,
	}}
}

// parseSource returns the name of the SequentialJob that TYPE/NAME means.
func parseSource(from string) (string, error) {
	name, err := sequenceName(from)
	if err != nil {
		return "", usageError("--from=%q: write sj/NAME", from)
	}
	return name, nil
}

// rerunOf returns a SequentialJob that does again what another one did, from a step on if one is named. Fields that this plugin does not
// know stay.
func rerunOf(old *unstructured.Unstructured, name, fromStep string) (*unstructured.Unstructured, error) {
	spec, _, err := unstructured.NestedMap(old.Object, "spec")
	if err != nil {
		return nil, fmt.Errorf("read the spec of %s: %w", old.GetName(), err)
	}
	delete(spec, "cancel")
	delete(spec, "suspend")
	if fromStep != "" {
		if err := beginAt(spec, old.GetName(), fromStep); err != nil {
			return nil, err
		}
	}
	made := sequentialJob(map[string]any{"name": name}, spec)
	if annotations := withoutManager(old.GetAnnotations()); len(annotations) > 0 {
		made.SetAnnotations(annotations)
	}
	if labels := withoutManager(old.GetLabels()); len(labels) > 0 {
		made.SetLabels(labels)
	}
	return made, nil
}

// withoutManager leaves out what tells a tool that it made the object: it would take the copy for its own, and might delete it, because
// its sources do not have it. These are kubectl apply, Argo CD, Flux and Helm.
func withoutManager(in map[string]string) map[string]string {
	out := maps.Clone(in)
	maps.DeleteFunc(out, func(key, _ string) bool {
		prefix, _, _ := strings.Cut(key, "/")
		isFlux := strings.HasSuffix(prefix, ".toolkit.fluxcd.io")
		return key == lastApplied || isFlux || prefix == "argocd.argoproj.io" || prefix == "meta.helm.sh" || key == "helm.sh/chart" ||
			key == "app.kubernetes.io/managed-by" || key == "app.kubernetes.io/instance"
	})
	return out
}

// beginAt leaves out the steps before one, and what is said of these only.
func beginAt(spec map[string]any, sequence, step string) error {
	names := namesIn(spec, "containers")
	first := slices.Index(names, step)
	switch {
	case first < 0 && slices.Contains(namesIn(spec, "finally"), step):
		return usageError("--from-step=%q: it is one of spec.finally, which runs in any case: name one of %s", step, strings.Join(names, ", "))
	case first < 0:
		return usageError("--from-step=%q: %s has no such step: name one of %s", step, sequence, strings.Join(names, ", "))
	}
	leftOut := names[:first]
	containers, _ := spec["containers"].([]any)
	spec["containers"] = containers[first:]
	dropWhere(spec, "stepOverrides", func(override map[string]any) bool {
		return slices.Contains(leftOut, textAt(override, "name"))
	})
	policy, isThere := spec["podFailurePolicy"].(map[string]any)
	if !isThere {
		return nil
	}
	dropWhere(policy, "rules", func(rule map[string]any) bool {
		return slices.Contains(leftOut, textAt(rule, "onExitCodes", "containerName"))
	})
	if policy["rules"] == nil {
		delete(spec, "podFailurePolicy")
	}
	return nil
}

// dropWhere takes entries out of a list, and the list itself if none is left.
func dropWhere(from map[string]any, key string, isDropped func(map[string]any) bool) {
	list, _ := from[key].([]any)
	list = slices.DeleteFunc(list, func(entry any) bool {
		fields, ok := entry.(map[string]any)
		return ok && isDropped(fields)
	})
	if len(list) == 0 {
		delete(from, key)
		return
	}
	from[key] = list
}

// namesIn returns the names of the entries of a list of the spec.
func namesIn(spec map[string]any, key string) []string {
	var names []string
	list, _ := spec[key].([]any)
	for _, entry := range list {
		fields, _ := entry.(map[string]any)
		names = append(names, textAt(fields, "name"))
	}
	return names
}

func textAt(fields map[string]any, path ...string) string {
	text, _, _ := unstructured.NestedString(fields, path...)
	return text
}

// approval is what is said of one step that waits for approval, or did.
type approval struct {
	step  string
	isDue bool
}

func approvalsOf(made *unstructured.Unstructured) []approval {
	var approvals []approval
	overrides, _, _ := unstructured.NestedSlice(made.Object, "spec", "stepOverrides")
	for _, entry := range overrides {
		override, _ := entry.(map[string]any)
		if suspend, isSet := override["suspend"].(bool); isSet {
			approvals = append(approvals, approval{textAt(override, "name"), suspend})
		}
	}
	return approvals
}

// lostFields returns the fields of the spec that were sent and did not come back.
func lostFields(sent, got *unstructured.Unstructured) []string {
	wanted, _ := sent.Object["spec"].(map[string]any)
	stored, _ := got.Object["spec"].(map[string]any)
	var lost []string
	for field := range wanted {
		if _, isThere := stored[field]; !isThere {
			lost = append(lost, "spec."+field)
		}
	}
	slices.Sort(lost)
	return lost
}
