package compat

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

const deploymentFile = "../../manifests/controller/deployment.yaml"

// Go has to notice before the kernel does that memory gets short.
func TestGoIsToldOfTheLimitOfMemory(t *testing.T) {
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict([]byte(read(t, deploymentFile)), &deployment); err != nil {
		t.Fatal(err)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	for _, env := range container.Env {
		if env.Name != "GOMEMLIMIT" {
			continue
		}
		told := resource.MustParse(strings.TrimSuffix(env.Value, "B")) // Go's 460MiB is Kubernetes' 460Mi
		if share := told.AsApproximateFloat64() / container.Resources.Limits.Memory().AsApproximateFloat64(); share < 0.85 || share > 0.9 {
			t.Errorf("GOMEMLIMIT is %s, %.2f of the limit", env.Value, share)
		}
		return
	}
	t.Error("GOMEMLIMIT is not set")
}
