//go:build integration

package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

// A Go program fills in the types; what it leaves out reaches the API server as null, {} or not at all.
func TestIntegrationGoClient(t *testing.T) {
	s := newServer(t)
	clientset, err := versioned.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	client := clientset.BatchV1alpha1().SequentialJobs(s.ns)
	sj := &v1alpha1.SequentialJob{
		ObjectMeta: metav1.ObjectMeta{Name: "from-go"},
		Spec: v1alpha1.SequentialJobSpec{
			Containers: []corev1.Container{{
				Name: "extract", Image: "data-tools/extractor:v1",
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
			}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "pipeline"}},
				Spec: corev1.PodSpec{Volumes: []corev1.Volume{{
					Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
				}}},
			},
		},
	}
	got, err := client.Create(t.Context(), sj, strict)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sj.Spec, got.Spec); diff != "" {
		t.Errorf("the spec changed on the way: %s", diff)
	}
	again := got
	// The first write stores what the CRD has as the status of one that nobody has worked on.
	for range 2 {
		got = again
		if again, err = client.Update(t.Context(), got, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
			t.Fatal(err)
		}
	}
	if again.ResourceVersion != got.ResourceVersion {
		t.Errorf("an update without a change made resourceVersion %s of %s", again.ResourceVersion, got.ResourceVersion)
	}
}

// normal gives numbers the type that JSON gives them.
func normal(t *testing.T, value any) (out any) {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Nothing is dropped (a plain CRD drops embedded metadata) and nothing is added (a default would be).
func TestIntegrationSpecSurvives(t *testing.T) {
	s := newServer(t)
	sent := object(t, string(read(t, "testdata/full.yaml")))
	s.create(t, sent.DeepCopy())
	got, err := s.sj.Get(t.Context(), sent.GetName(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(normal(t, sent.Object["spec"]), normal(t, got.Object["spec"])); diff != "" {
		t.Errorf("the spec changed on the way: %s", diff)
	}
}

// GitOps tools apply again and again.
func TestIntegrationApplyTwice(t *testing.T) {
	s := newServer(t)
	for _, text := range []string{string(read(t, "testdata/full.yaml")), string(read(t, files(t, "artifacts", "examples", "data-processing-pipeline.yaml")[0]))} {
		o := object(t, text)
		var versions []string
		for range 4 {
			got, err := s.sj.Apply(t.Context(), o.GetName(), o.DeepCopy(), metav1.ApplyOptions{FieldManager: fieldManager})
			if err != nil {
				t.Fatalf("%s: %v", o.GetName(), err)
			}
			versions = append(versions, fmt.Sprintf("generation %d, resourceVersion %s", got.GetGeneration(), got.GetResourceVersion()))
		}
		// The first write after the creation stores what the CRD has as the status of one that nobody has worked on.
		if len(slices.Compact(versions[1:])) != 1 {
			t.Errorf("%s changes each time it is applied: %v", o.GetName(), versions)
		}
	}
}
