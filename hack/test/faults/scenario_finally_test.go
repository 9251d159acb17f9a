//go:build integration

package faults_test

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

var jobsOfFinally = []string{
	"etl-0", "etl-1", "etl-f0", "etl-f1", "etl-1-r1", "etl-f0-r1", "etl-f1-r1", "cancelled-0", "cancelled-f0",
}

// playFinally returns the scenario of a sequence that fails, as the first of its spec.finally does, and that is resumed; and of another
// one that is cancelled while it runs.
func playFinally(advanceOn v1alpha1.AdvanceOn) func(*cluster, func()) []ending {
	return func(c *cluster, between func()) []ending {
		c.T.Helper()
		end := c.ender(between)
		sj := framework.WithFinally(framework.NewSequence("etl", "extract", "load"), "notify", "unlock")
		sj.Spec.AdvanceOn = &advanceOn
		c.Create(sj)
		end("etl", "etl-0", batchv1.JobComplete)
		end("etl", "etl-1", batchv1.JobFailed)
		end("etl", "etl-f0", batchv1.JobFailed)
		end("etl", "etl-f1", batchv1.JobComplete)
		failed := endingOf(c.waitForEnd("etl"))
		between()
		c.Patch("etl", `{"spec":{"retries":1}}`)
		end("etl", "etl-1-r1", batchv1.JobComplete)
		end("etl", "etl-f0-r1", batchv1.JobComplete)
		end("etl", "etl-f1-r1", batchv1.JobComplete)
		completed := endingOf(c.waitForEnd("etl"))
		between()

		sj = framework.WithFinally(framework.NewSequence("cancelled", "extract", "load"), "notify")
		sj.Spec.AdvanceOn, sj.Spec.Retries = &advanceOn, new(int32(1))
		c.Create(sj)
		c.waitForJob("cancelled", "cancelled-0")
		between()
		c.Patch("cancelled", `{"spec":{"cancel":true}}`)
		c.Eventually("Job cancelled-0 to be stopped", func(context.Context) (bool, error) {
			return ptr.Deref(c.Job("cancelled-0").Spec.ActiveDeadlineSeconds, -1) == 0, nil
		})
		between()
		c.endNow("cancelled-0", batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded)
		end("cancelled", "cancelled-f0", batchv1.JobComplete)
		cancelled := endingOf(c.waitForEnd("cancelled"))
		between()
		return []ending{failed, completed, cancelled}
	}
}
