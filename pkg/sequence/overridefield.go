package sequence

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// overriddenField translates a field as it is without overrides into that of the override of the step at index, if that sets it.
func overriddenField(sj *v1alpha1.SequentialJob, index int, override *v1alpha1.StepOverride, field string) string {
	own := overrideField(override.Name) + strings.TrimPrefix(field, "spec")
	if strings.HasPrefix(field, "spec.backoffLimit") && override.BackoffLimit != nil {
		return own
	}
	if !hasTemplate(override) {
		return field
	}
	if entry := mergedEntry.FindStringSubmatch(field); entry != nil {
		return entryField(sj, index, override, entry)
	}
	if setsField(override.Template, field) {
		return own
	}
	return field
}

var podField = regexp.MustCompile(`^spec\.template\.spec\.(\w+)`)

// setsField says whether a template has something of its own where a field of a pod template is.
func setsField(template *corev1.PodTemplateSpec, field string) bool {
	switch {
	case strings.HasPrefix(field, "spec.template.metadata.labels"):
		return len(template.Labels) > 0
	case strings.HasPrefix(field, "spec.template.metadata.annotations"):
		return len(template.Annotations) > 0
	}
	match := podField.FindStringSubmatch(field)
	set := map[string]any{}
	return match != nil && convert(&template.Spec, &set) == nil && set[match[1]] != nil
}

// mergedEntry is an entry of a list that is merged by name, so that it has another index in the pod than where it came from.
var mergedEntry = regexp.MustCompile(`^spec\.template\.spec\.(volumes|initContainers|resourceClaims)\[(\d+)\](.*)$`)

// entryField returns the field of such an entry where it came from: the override of the step at index, else spec.template.
func entryField(sj *v1alpha1.SequentialJob, index int, override *v1alpha1.StepOverride, entry []string) string {
	field, list, rest := entry[0], entry[1], entry[3]
	merged := entryNames(list, &NewJob(sj, index, 0).Spec.Template.Spec)
	at, err := strconv.Atoi(entry[2])
	if err != nil || at >= len(merged) {
		return field
	}
	place := func(in *corev1.PodSpec, path string) (string, bool) {
		i := slices.Index(entryNames(list, in), merged[at])
		return path + ".template.spec." + list + "[" + strconv.Itoa(i) + "]" + rest, i >= 0
	}
	if own, ok := place(&override.Template.Spec, overrideField(override.Name)); ok {
		return own
	}
	if own, ok := place(&sj.Spec.Template.Spec, "spec"); ok {
		return own
	}
	return field
}

// entryNames returns the names of the entries of a list of a pod.
func entryNames(list string, pod *corev1.PodSpec) []string {
	var names []string
	switch list {
	case "volumes":
		for i := range pod.Volumes {
			names = append(names, pod.Volumes[i].Name)
		}
	case "initContainers":
		for i := range pod.InitContainers {
			names = append(names, pod.InitContainers[i].Name)
		}
	case "resourceClaims":
		for i := range pod.ResourceClaims {
			names = append(names, pod.ResourceClaims[i].Name)
		}
	}
	return names
}
