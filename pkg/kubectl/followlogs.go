package kubectl

import (
	"context"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// followLogs shows the logs of a sequence, from what has not ended yet on, until its end.
func (t *Tool) followLogs(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob) error {
	return t.showLogs(ctx, c, sj, logOptions{follow: true, newOnly: true, tail: -1})
}
