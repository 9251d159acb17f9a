package contest

import (
	"context"
	"time"

	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

// The names of the contestants.
const (
	ControllerName = "controller"
	IdealName      = "ideal"
)

// contestant is a process that runs sequences of Jobs.
type contestant interface {
	name() string
	account() setup.ServiceAccount
	// start starts the process in a namespace, and returns when it is ready to work.
	start(ctx context.Context, namespace string, shape Shape) error
	// pid is the process, once it is started.
	pid() int
	// died is closed once the process has ended.
	died() <-chan struct{}
	// begin has it begin all sequences.
	begin(ctx context.Context) error
	// finish waits until all is done that has to be, once all Jobs are complete, and returns when each sequence was begun.
	finish(ctx context.Context) (begun map[string]time.Time, err error)
	// stop ends the process. It may be called at any time, and more than once.
	stop()
}
