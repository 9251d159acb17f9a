//go:build e2e

package e2e_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// An image that does not exist, as after a typo. Sequences go on, and so does the image before when it is deployed again.
func TestADeployOfAnImageThatCannotBePulledSaysSoAndStopsNothing(t *testing.T) {
	c := newCluster(t)
	t.Cleanup(c.deploy)
	out, err := c.script([]string{"TIMEOUT=20s"}, "deploy.sh", "registry.invalid/controller:typo")
	if err == nil {
		t.Error("it did not fail")
	}
	for _, want := range []string{
		"The controller with the image registry.invalid/controller:typo does not run.", "ImagePull", "registry.invalid",
		"Replicas that work now: 1.", "make deploy IMG=sequential-job-operator:latest\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	c.Create(shellSteps("meanwhile", corev1.PodTemplateSpec{}, "true", "true"))
	c.mustComplete("meanwhile")
	c.deploy()
	if out, err := c.script(nil, "deploy.sh"); err != nil || !strings.Contains(out, "keeps its image, sequential-job-operator:latest") {
		t.Errorf("%v: %s", err, out)
	}
}
