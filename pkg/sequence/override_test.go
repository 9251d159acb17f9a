package sequence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// ownTemplate gives a step a template of its own.
func ownTemplate(sj *v1alpha1.SequentialJob, step string, template corev1.PodTemplateSpec) {
	sj.Spec.StepOverrides = append(sj.Spec.StepOverrides, v1alpha1.StepOverride{Name: step, Template: &template})
}

func configMap(name string) corev1.VolumeSource {
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
}

var emptyDir = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}

// sharedPod is the pod that all steps have without their overrides.
func sharedPod() corev1.PodSpec {
	return corev1.PodSpec{
		ServiceAccountName: "etl",
		NodeSelector:       map[string]string{"disk": "ssd"},
		Tolerations:        []corev1.Toleration{{Key: "spot", Operator: corev1.TolerationOpExists}},
		SecurityContext:    &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(1000))},
		Volumes:            []corev1.Volume{{Name: "data", VolumeSource: configMap("data")}, {Name: "tmp", VolumeSource: emptyDir}},
		ResourceClaims:     []corev1.PodResourceClaim{{Name: "nic", ResourceClaimTemplateName: new("nic")}},
		HostAliases:        []corev1.HostAlias{{IP: "10.0.0.1", Hostnames: []string{"a"}}},
		InitContainers: []corev1.Container{{
			Name: "proxy", Image: "proxy:1", RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
			Env:       []corev1.EnvVar{{Name: "LEVEL", Value: "info"}, {Name: "ZONE", Value: "a"}},
			Resources: corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "nic"}}, Limits: limit("1")},
		}},
		TerminationGracePeriodSeconds: new(int64(30)),
	}
}

func limit(cpu string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
}

func TestTheTemplateOfAStepIsMergedOverThatOfAll(t *testing.T) {
	for name, tc := range map[string]struct {
		override corev1.PodSpec
		want     func(pod *corev1.PodSpec)
	}{
		"nothing": {corev1.PodSpec{}, func(*corev1.PodSpec) {}},
		"a service account": {corev1.PodSpec{ServiceAccountName: "loader"}, func(pod *corev1.PodSpec) {
			pod.ServiceAccountName = "loader"
		}},
		"a node selector is added to": {corev1.PodSpec{NodeSelector: map[string]string{"gpu": "yes"}}, func(pod *corev1.PodSpec) {
			pod.NodeSelector = map[string]string{"disk": "ssd", "gpu": "yes"}
		}},
		"tolerations are replaced, as in a Pod": {corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "gpu"}}}, func(pod *corev1.PodSpec) {
			pod.Tolerations = []corev1.Toleration{{Key: "gpu"}}
		}},
		"a volume more": {corev1.PodSpec{Volumes: []corev1.Volume{{Name: "cache", VolumeSource: emptyDir}}}, func(pod *corev1.PodSpec) {
			pod.Volumes = append([]corev1.Volume{{Name: "cache", VolumeSource: emptyDir}}, pod.Volumes...)
		}},
		"a volume of the same name and kind": {corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data", VolumeSource: configMap("other")}}}, func(pod *corev1.PodSpec) {
			pod.Volumes[0].VolumeSource = configMap("other")
		}},
		"a volume of the same name and another kind": {corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data", VolumeSource: emptyDir}}}, func(pod *corev1.PodSpec) {
			pod.Volumes[0].VolumeSource = emptyDir
		}},
		"a volume of which only the name is given": {corev1.PodSpec{Volumes: []corev1.Volume{{Name: "data"}}}, func(*corev1.PodSpec) {}},
		"a claim more, and another one of the same name": {corev1.PodSpec{ResourceClaims: []corev1.PodResourceClaim{
			{Name: "gpu", ResourceClaimTemplateName: new("gpu")}, {Name: "nic", ResourceClaimName: new("fast")}}}, func(pod *corev1.PodSpec) {
			pod.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: new("gpu")}, {Name: "nic", ResourceClaimName: new("fast")}}
		}},
		"an init container by its name": {corev1.PodSpec{InitContainers: []corev1.Container{{Name: "proxy", Image: "proxy:2",
			Env: []corev1.EnvVar{{Name: "LEVEL", Value: "debug"}}}}}, func(pod *corev1.PodSpec) {
			pod.InitContainers[0].Image, pod.InitContainers[0].Env[0].Value = "proxy:2", "debug"
		}},
		"an init container's limits": {corev1.PodSpec{InitContainers: []corev1.Container{{Name: "proxy",
			Resources: corev1.ResourceRequirements{Limits: limit("2")}}}}, func(pod *corev1.PodSpec) {
			pod.InitContainers[0].Resources.Limits = limit("2")
		}},
		"an init container more": {corev1.PodSpec{InitContainers: []corev1.Container{{Name: "wait", Image: "wait"}}}, func(pod *corev1.PodSpec) {
			pod.InitContainers = append([]corev1.Container{{Name: "wait", Image: "wait"}}, pod.InitContainers...)
		}},
		"a part of the security context": {corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{RunAsUser: new(int64(0))}}, func(pod *corev1.PodSpec) {
			pod.SecurityContext.RunAsUser = new(int64(0))
		}},
		"an empty security context": {corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{}}, func(*corev1.PodSpec) {}},
		"no time to stop":           {corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(0))}, func(pod *corev1.PodSpec) { pod.TerminationGracePeriodSeconds = new(int64(0)) }},
		"the largest number":        {corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(1<<63 - 1))}, func(pod *corev1.PodSpec) { pod.TerminationGracePeriodSeconds = new(int64(1<<63 - 1)) }},
		"another restartPolicy":     {corev1.PodSpec{RestartPolicy: corev1.RestartPolicyOnFailure}, func(pod *corev1.PodSpec) { pod.RestartPolicy = corev1.RestartPolicyOnFailure }},
		"a host alias by its address": {corev1.PodSpec{HostAliases: []corev1.HostAlias{{IP: "10.0.0.2", Hostnames: []string{"b"}}}}, func(pod *corev1.PodSpec) {
			pod.HostAliases = []corev1.HostAlias{{IP: "10.0.0.2", Hostnames: []string{"b"}}, {IP: "10.0.0.1", Hostnames: []string{"a"}}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			sj := newSequence("extract", "load")
			sj.Spec.Template.Spec = sharedPod()
			sj.Spec.Containers[1].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
			expected := sj.DeepCopy()
			tc.want(&expected.Spec.Template.Spec)
			ownTemplate(sj, "load", corev1.PodTemplateSpec{Spec: tc.override})
			before := sj.DeepCopy()
			want := sequence.NewJob(expected, 1, 0).Spec
			if diff := cmp.Diff(want, sequence.NewJob(sj, 1, 0).Spec); diff != "" {
				t.Errorf("unexpected Job of the step (-want +got):\n%s", diff)
			}
			plain := sj.DeepCopy()
			plain.Spec.StepOverrides = nil
			if diff := cmp.Diff(sequence.NewJob(plain, 0, 0), sequence.NewJob(sj, 0, 0)); diff != "" {
				t.Errorf("another step's Job is changed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, sj); diff != "" {
				t.Errorf("the spec itself was changed:\n%s", diff)
			}
		})
	}
}

func TestTheLabelsOfAStepAreAddedToThoseOfAll(t *testing.T) {
	sj := richSequence()
	ownTemplate(sj, "load", corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{
		Labels:      map[string]string{"kueue.x-k8s.io/queue-name": "gpus", "team": "ml", "batch.example.com/step-name": "mine", "job-name": "mine"},
		Annotations: map[string]string{"note": "changed", "more": "kept", "batch.example.com/generation": "9"},
	}})
	job := sequence.NewJob(sj, 2, 0)
	labels := map[string]string{
		"app": "etl", "team": "ml", "kueue.x-k8s.io/queue-name": "gpus",
		"batch.example.com/sequentialjob-name": "etl", "batch.example.com/sequentialjob-uid": "uid-etl",
		"batch.example.com/step-index": "2", "batch.example.com/step-name": "load",
	}
	annotations := map[string]string{"note": "changed", "more": "kept"}
	type meta struct{ Labels, Annotations map[string]string }
	pod := job.Spec.Template
	if diff := cmp.Diff(meta{labels, annotations}, meta{pod.Labels, pod.Annotations}); diff != "" {
		t.Errorf("unexpected pod (-want +got):\n%s", diff)
	}
	annotations["batch.example.com/generation"] = "1"
	annotations["batch.example.com/step-hash"] = job.Annotations["batch.example.com/step-hash"]
	if diff := cmp.Diff(meta{labels, annotations}, meta{job.Labels, job.Annotations}); diff != "" {
		t.Errorf("unexpected Job (-want +got):\n%s", diff)
	}
}

func TestTheBackoffLimitOfAStep(t *testing.T) {
	sj := newSequence("extract", "load")
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "load", BackoffLimit: new(int32(0))}}
	sj.Spec.BackoffLimit = new(int32(4))
	for index, want := range []int32{4, 0} {
		if got := sequence.NewJob(sj, index, 0).Spec.BackoffLimit; got == nil || *got != want {
			t.Errorf("step %d has backoffLimit %v, want %d", index, got, want)
		}
	}
}

func TestAPolicyMayNameAHelperOfOneStep(t *testing.T) {
	sj := newSequence("extract", "load")
	sj.Spec.PodFailurePolicy = policy("proxy")
	ownTemplate(sj, "load", corev1.PodTemplateSpec{Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: "proxy"}}}})
	for index, want := range []*batchv1.PodFailurePolicy{nil, policy("proxy")} {
		if diff := cmp.Diff(want, sequence.NewJob(sj, index, 0).Spec.PodFailurePolicy); diff != "" {
			t.Errorf("unexpected policy of step %d (-want +got):\n%s", index, diff)
		}
	}
}

func TestAContainerOfFinallyHasAnOverrideToo(t *testing.T) {
	sj := newSequence("extract")
	sj.Spec.Finally = []corev1.Container{{Name: "report", Image: "report"}}
	ownTemplate(sj, "report", corev1.PodTemplateSpec{Spec: corev1.PodSpec{ServiceAccountName: "reporter"}})
	if got := sequence.NewJob(sj, sequence.FirstFinally, 0).Spec.Template.Spec.ServiceAccountName; got != "reporter" {
		t.Errorf("service account %q", got)
	}
}

// A step must never run without what was asked for it: what cannot be merged makes a Job that is refused.
func TestATemplateThatCannotBeMergedIsRefused(t *testing.T) {
	sj := newSequence("extract")
	sj.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	ownTemplate(sj, "extract", corev1.PodTemplateSpec{Spec: corev1.PodSpec{ImagePullSecrets: []corev1.LocalObjectReference{{}}}})
	const want = "spec.stepOverrides[extract].template cannot be merged: merge: map: map[] does not contain declared merge key: name"
	if got := sequence.NewJob(sj, 0, 0).Spec.Template.Spec.RestartPolicy; got != want {
		t.Errorf("restartPolicy %q", got)
	}
}
