//go:build integration

package integration_test

import (
	"os"
	"os/exec"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// A sequence whose manifest is taken out of a folder goes while it runs, with its Jobs; those beside it are left alone.
func TestKubectlApplyPrunes(t *testing.T) {
	for name, tc := range map[string]struct{ args, env []string }{
		"by label":     {args: []string{"-l", "app=pipelines", "--prune-allowlist=batch.example.com/v1alpha1/SequentialJob"}},
		"an apply set": {args: []string{"--applyset=configmaps/pipelines"}, env: []string{"KUBECTL_APPLYSET=true"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.StartController()
			dir := t.TempDir()
			old := writeSequence(t, dir, "old", "")
			writeSequence(t, dir, "kept", "")
			apply := func() {
				t.Helper()
				kubectl := exec.Command(os.Getenv("KUBECTL"), append([]string{"--namespace", c.Namespace, "apply", "-f", dir, "--prune"}, tc.args...)...)
				kubectl.Env = append(os.Environ(), tc.env...)
				if out, err := kubectl.CombinedOutput(); err != nil {
					t.Fatalf("kubectl apply --prune: %v\n%s", err, out)
				}
			}
			apply()
			c.Create(framework.NewSequence("of-somebody-else", "extract"))
			for _, name := range []string{"old", "kept", "of-somebody-else"} {
				c.WaitForRunning(name, 0)
			}
			gone := c.Get("old")
			framework.Must(t, os.Remove(old))
			apply()
			c.WaitUntilGone(gone)
			if _, err := c.Kube.BatchV1().Jobs(c.Namespace).Get(t.Context(), "old-0", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("the Job of what was pruned: %v", err)
			}
			c.EndJob("kept-0", batchv1.JobComplete, "")
			c.WaitForRunning("kept", 1)
			c.EndJob("of-somebody-else-0", batchv1.JobComplete, "")
			c.WaitForPhase("of-somebody-else", v1alpha1.SequentialJobCompleted)
		})
	}
}
