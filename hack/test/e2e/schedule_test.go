//go:build e2e

package e2e_test

import (
	"context"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// A CronJob's pod creates the sequence, with the permissions that the example gives it and no others. One that may create
// sequences but not Jobs is refused.
func TestASequenceRunsOnASchedule(t *testing.T) {
	c := newCluster(t)
	c.kubectl("", "apply", "-f", filepath.Join(framework.Root, "artifacts/schedule/nightly.yaml"))
	c.kubectl("", "create", "job", "--from=cronjob/nightly", "now")
	c.kubectl("", "wait", "job/now", "--for=condition=Complete", "--timeout="+framework.Patience.String())
	name := ""
	c.Eventually("the sequence to be there", func(ctx context.Context) (bool, error) {
		sjs, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=nightly"})
		if err != nil || len(sjs.Items) != 1 {
			return false, err
		}
		name = sjs.Items[0].Name
		return true, nil
	})
	c.mustComplete(name)

	c.kubectl("", "patch", "role", "nightly", "--type=json", "--patch", `[{"op": "remove", "path": "/rules/1"}]`)
	c.kubectl("", "create", "job", "--from=cronjob/nightly", "refused")
	c.kubectl("", "wait", "job/refused", "--for=condition=Failed", "--timeout="+framework.Patience.String())
}
