package contest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// podRunsFor tells kwok how long a pod runs, see hack/bench/cluster/stages.yaml.
	podRunsFor = "bench.example.com/pod-runs-for"
	// idealPrefix is put in the place of the controller's own prefix of labels and annotations. It is as long, so that the Jobs of both
	// contestants are of the same size.
	idealPrefix = "bench.example.com/"
)

// newSequence returns a SequentialJob as a user might write it.
func newSequence(namespace string, index int, shape Shape) *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.SequentialJobKind},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: sequenceName(index)},
	}
	sj.Spec.Template.Labels = map[string]string{"app": "data-pipeline"}
	if shape.StepTime > 0 {
		sj.Spec.Template.Annotations = map[string]string{podRunsFor: shape.StepTime.String()}
	}
	for step := range shape.Steps {
		sj.Spec.Containers = append(sj.Spec.Containers, newStep(step))
	}
	return sj
}

func newStep(index int) corev1.Container {
	return corev1.Container{
		Name:    fmt.Sprintf("step-%d", index),
		Image:   "registry.example.com/data-tools/transformer:v1.2.3",
		Command: []string{"transform"},
		Args:    []string{"--source=/data/raw", "--target=/data/transformed"},
		Env:     []corev1.EnvVar{{Name: "REGION", Value: "eu-central-1"}, {Name: "STEP", Value: strconv.Itoa(index)}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("1Mi")},
		},
	}
}

// idealJob returns the Job that the ideal loop creates: the same as the controller's, but for whose it is.
func idealJob(sj *v1alpha1.SequentialJob, step int, owner metav1.OwnerReference) *batchv1.Job {
	job := sequence.NewJob(sj, step, 0)
	job.OwnerReferences = []metav1.OwnerReference{owner}
	for _, meta := range []*metav1.ObjectMeta{&job.ObjectMeta, &job.Spec.Template.ObjectMeta} {
		meta.Labels, meta.Annotations = withIdealPrefix(meta.Labels), withIdealPrefix(meta.Annotations)
	}
	return job
}

func withIdealPrefix(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for key, value := range in {
		if rest, ok := strings.CutPrefix(key, v1alpha1.LabelPrefix); ok {
			key = idealPrefix + rest
		}
		out[key] = value
	}
	return out
}

// idealLabel is on all Jobs of the ideal loop, and on no other.
var idealLabel = idealPrefix + strings.TrimPrefix(v1alpha1.SequentialJobUIDLabel, v1alpha1.LabelPrefix)

func ownerReference(owner *corev1.ConfigMap) metav1.OwnerReference {
	return *metav1.NewControllerRef(owner, corev1.SchemeGroupVersion.WithKind("ConfigMap"))
}

// idealUID is as long as that of a SequentialJob.
func idealUID(index int) types.UID {
	return types.UID(fmt.Sprintf("8e4b6a1c-0000-4000-8000-%012d", index))
}
