//go:build integration

package integration_test

import (
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// A device, or a volume that is made for a pod, is only for the steps that use it: the others must not wait for it.
func TestAStepGetsOnlyTheClaimsAndVolumesThatItUses(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	sj := framework.NewSequence("etl", "prepare", "train")
	sj.Spec.Containers[1].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
	sj.Spec.Containers[1].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
	template := &sj.Spec.Template.Spec
	template.InitContainers = []corev1.Container{{
		Name: "login", Image: "example.com/login:v1",
		Resources:    corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "key"}}},
		VolumeMounts: []corev1.VolumeMount{{Name: "token", MountPath: "/token"}},
	}}
	for _, name := range []string{"gpu", "key"} {
		template.ResourceClaims = append(template.ResourceClaims, corev1.PodResourceClaim{Name: name, ResourceClaimTemplateName: &name})
	}
	for _, name := range []string{"scratch", "token"} {
		template.Volumes = append(template.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Ephemeral: claimOfItsOwn()}})
	}
	c.Create(sj)
	job := c.WaitForRunning("etl", 0)
	wantNames(t, "claims of prepare", job.Spec.Template.Spec.ResourceClaims, func(r corev1.PodResourceClaim) string { return r.Name }, "key")
	wantNames(t, "volumes of prepare", job.Spec.Template.Spec.Volumes, func(v corev1.Volume) string { return v.Name }, "token")
	c.EndJob("etl-0", batchv1.JobComplete, "")
	job = c.WaitForRunning("etl", 1)
	wantNames(t, "claims of train", job.Spec.Template.Spec.ResourceClaims, func(r corev1.PodResourceClaim) string { return r.Name }, "gpu", "key")
	wantNames(t, "volumes of train", job.Spec.Template.Spec.Volumes, func(v corev1.Volume) string { return v.Name }, "scratch", "token")
}

func claimOfItsOwn() *corev1.EphemeralVolumeSource {
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	return &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: size},
	}}}
}

func wantNames[T any](t *testing.T, what string, items []T, name func(T) string, want ...string) {
	t.Helper()
	var got []string
	for _, item := range items {
		got = append(got, name(item))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
