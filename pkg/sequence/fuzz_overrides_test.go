package sequence_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// override returns anything that may be different for a step, or for none.
func (d *dice) override(i int) v1alpha1.StepOverride {
	return v1alpha1.StepOverride{
		Name:     oneOf(d, fmt.Sprintf("step-%d", i), fmt.Sprintf("step-%d", i), "edited", "nobody"),
		Suspend:  maybe(d, func() bool { return d.below(4) == 1 }),
		Template: maybe(d, d.template), BackoffLimit: maybe(d, d.int32), ActiveDeadlineSeconds: maybe(d, d.int64),
	}
}

// template returns a few pod templates that differ, and some that cannot be merged.
func (d *dice) template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: d.labels(), Annotations: oneOf(d, nil, map[string]string{"$patch": "replace"}, map[string]string{"$patch": "unknown"})},
		Spec: corev1.PodSpec{
			RestartPolicy:    oneOf(d, "", corev1.RestartPolicyOnFailure, "forged"),
			Volumes:          several(d, 2, func(i int) corev1.Volume { return corev1.Volume{Name: fmt.Sprint(i)} }),
			ImagePullSecrets: oneOf(d, nil, []corev1.LocalObjectReference{{Name: "registry"}}, []corev1.LocalObjectReference{{}}),
		},
	}
}

// awaitsApproval says whether a step of that name must not start.
func awaitsApproval(spec *v1alpha1.SequentialJobSpec, name string) bool {
	for i := range spec.StepOverrides {
		if spec.StepOverrides[i].Name == name {
			return ptr.Deref(spec.StepOverrides[i].Suspend, false)
		}
	}
	return false
}
