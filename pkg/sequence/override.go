package sequence

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// overrideOf returns what spec.stepOverrides say of the step of that name, or nil if nothing.
func overrideOf(spec *v1alpha1.SequentialJobSpec, name string) *v1alpha1.StepOverride {
	for i := range spec.StepOverrides {
		if spec.StepOverrides[i].Name == name {
			return &spec.StepOverrides[i]
		}
	}
	return nil
}

// overrideField is the path of the override of the step of that name in a SequentialJob.
func overrideField(name string) string { return fmt.Sprintf("spec.stepOverrides[%s]", name) }

// hasTemplate says whether an override, which may be nil, has a template that says anything.
func hasTemplate(override *v1alpha1.StepOverride) bool {
	return override != nil && override.Template != nil && !equality.Semantic.DeepEqual(*override.Template, corev1.PodTemplateSpec{})
}

// backoffLimitOf is how often the pod of a step is tried again.
func backoffLimitOf(spec *v1alpha1.SequentialJobSpec, override *v1alpha1.StepOverride) *int32 {
	if override != nil && override.BackoffLimit != nil {
		return copyOf(override.BackoffLimit)
	}
	return copyOf(spec.BackoffLimit)
}

// templateOf returns a copy of the pod template of a step: spec.template with that of its override merged over it.
func templateOf(spec *v1alpha1.SequentialJobSpec, override *v1alpha1.StepOverride) *corev1.PodTemplateSpec {
	if !hasTemplate(override) {
		return spec.Template.DeepCopy()
	}
	merged, err := mergeTemplate(&spec.Template, override.Template)
	if err != nil {
		// Such as a list whose entries lack the key that they are merged by. A step must not run without what was asked for: no API
		// server accepts this, and each tells why.
		merged = spec.Template.DeepCopy()
		merged.Spec.RestartPolicy = corev1.RestartPolicy(fmt.Sprintf("%s.template cannot be merged: %s", overrideField(override.Name), clean(err.Error())))
	}
	return merged
}

// mergeTemplate merges one template over another as `kubectl patch` would: what is unset in it stays as it is.
func mergeTemplate(base, override *corev1.PodTemplateSpec) (*corev1.PodTemplateSpec, error) {
	original, patch := map[string]any{}, map[string]any{}
	if err := convert(base, &original); err != nil {
		return nil, err
	}
	if err := convert(override, &patch); err != nil {
		return nil, err
	}
	dropNulls(patch)
	replaceSources(patch)
	merged, err := strategicpatch.StrategicMergeMapPatch(original, patch, corev1.PodTemplateSpec{})
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	out := &corev1.PodTemplateSpec{}
	return out, convert(merged, out)
}

// convert makes one type into another by way of JSON.
func convert(from, to any) error {
	raw, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// dropNulls takes out of JSON what is null: that is how Go writes a list that is unset and may not be left out, such as the containers
// of a pod, and in a patch it would delete. What else is written though it is unset is an empty object, which changes nothing.
func dropNulls(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, entry := range value {
			if entry == nil {
				delete(value, key)
			}
			dropNulls(entry)
		}
	case []any:
		for _, entry := range value {
			dropNulls(entry)
		}
	}
}

// replaceSources has each volume and resource claim in a patch keep only the kind of source that the patch gives it: a volume is an
// emptyDir or a claim, never both. `kubectl apply` does the same.
func replaceSources(patch map[string]any) {
	pod, _ := patch["spec"].(map[string]any)
	for _, list := range []string{"volumes", "resourceClaims"} {
		entries, _ := pod[list].([]any)
		for _, entry := range entries {
			entry, _ := entry.(map[string]any)
			var keys []any
			for key := range entry {
				keys = append(keys, key)
			}
			if len(keys) > 1 { // more than its name
				entry["$retainKeys"] = keys
			}
		}
	}
}

// hashedOverrides returns what is part of a hash of all steps beyond what it was before there were overrides, or of the one at index;
// nothing if there is nothing of the kind. What only lets a step start is not what it runs, and the deadline of one that runs
// reaches its Job whenever it is changed.
func hashedOverrides(spec *v1alpha1.SequentialJobSpec, index int) []any {
	if index != AllSteps {
		override := overrideOf(spec, nameAt(spec, index))
		if override == nil || !hasTemplate(override) && override.BackoffLimit == nil {
			return nil
		}
		return []any{v1alpha1.StepOverride{Name: override.Name, Template: override.Template, BackoffLimit: override.BackoffLimit}}
	}
	if overrides := overridesOf(spec, spec.Containers); len(overrides) > 0 {
		return []any{overrides}
	}
	return nil
}

// overridesOf returns what spec.stepOverrides say of these containers, by name, but for what only lets them start.
func overridesOf(spec *v1alpha1.SequentialJobSpec, containers []corev1.Container) []v1alpha1.StepOverride {
	var overrides []v1alpha1.StepOverride
	for _, override := range spec.StepOverrides {
		override.Suspend = nil
		isOfThese := slices.ContainsFunc(containers, func(c corev1.Container) bool { return c.Name == override.Name })
		if isOfThese && override != (v1alpha1.StepOverride{Name: override.Name}) {
			overrides = append(overrides, override)
		}
	}
	slices.SortStableFunc(overrides, func(a, b v1alpha1.StepOverride) int { return cmp.Compare(a.Name, b.Name) })
	return overrides
}
