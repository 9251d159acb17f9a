package v1alpha1_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	apply "github.com/example/sequential-job-operator/pkg/generated/applyconfiguration/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/fake"
)

// The tests of our users stand on this.
func TestFakeClientsetCreatesUpdatesAndApplies(t *testing.T) {
	client := fake.NewClientset().BatchV1alpha1().SequentialJobs("default")
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Name: "etl", Namespace: "default"}}
	sj.Spec.Containers = []corev1.Container{{Name: "extract", Image: "extract:v1"}}
	created, err := client.Create(t.Context(), sj, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created.Status.Phase = v1alpha1.SequentialJobRunning
	if _, err := client.UpdateStatus(t.Context(), created, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	applied, err := client.Apply(t.Context(), apply.SequentialJob("etl", "default").WithSpec(apply.SequentialJobSpec().
		WithBackoffLimit(2).
		WithContainers(applycorev1.Container().WithName("extract").WithImage("extract:v2"))),
		metav1.ApplyOptions{FieldManager: "test", Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := applied.Spec.Containers; len(got) != 1 || got[0].Image != "extract:v2" || applied.Status.Phase != v1alpha1.SequentialJobRunning {
		t.Errorf("applied %+v, phase %q", got, applied.Status.Phase)
	}
}
