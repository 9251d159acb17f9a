package sequence_test

import (
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

var overrideSetting = regexp.MustCompile(`^stepOverrides\[(\S+)\]\.(suspend|activeDeadlineSeconds|nodeSelector)$`)

// setOverride sets what is different for a step, and says whether the name is of the kind: "stepOverrides[load].suspend".
func setOverride(spec *v1alpha1.SequentialJobSpec, name, value string) bool {
	match := overrideSetting.FindStringSubmatch(name)
	if match == nil {
		return false
	}
	at := slices.IndexFunc(spec.StepOverrides, func(o v1alpha1.StepOverride) bool { return o.Name == match[1] })
	if at < 0 {
		at = len(spec.StepOverrides)
		spec.StepOverrides = append(spec.StepOverrides, v1alpha1.StepOverride{Name: match[1]})
	}
	switch override := &spec.StepOverrides[at]; match[2] {
	case "suspend":
		override.Suspend = new(value == "true")
	case "activeDeadlineSeconds":
		if override.ActiveDeadlineSeconds = nil; number(value) > 0 {
			override.ActiveDeadlineSeconds = new(int64(number(value)))
		}
	case "nodeSelector":
		override.Template = &corev1.PodTemplateSpec{Spec: corev1.PodSpec{NodeSelector: map[string]string{"node": value}}}
	}
	return true
}
