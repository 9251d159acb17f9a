package setup

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/example/sequential-job-operator/hack/bench/internal/proc"
)

// Usage is the CPU time that processes have used by now, by their name.
type Usage struct {
	At      time.Time
	Process map[string]time.Duration
	// Machine is what all processes of the machine together have used.
	Machine time.Duration
}

// Usage reads the CPU time of the control plane and of some processes more.
func (c *Cluster) Usage(more map[string]int) (Usage, error) {
	usage := Usage{At: time.Now(), Process: map[string]time.Duration{}}
	for _, pids := range []map[string]int{c.PIDs, more} {
		for name, pid := range pids {
			used, err := proc.CPU(pid)
			if err != nil {
				return Usage{}, err
			}
			usage.Process[name] = used
		}
	}
	var err error
	usage.Machine, err = proc.Busy()
	return usage, err
}

// Since returns what was used since another reading, by process, and by all processes that are not among them.
func (u Usage) Since(before Usage) (used map[string]time.Duration, others time.Duration) {
	used = map[string]time.Duration{}
	others = u.Machine - before.Machine
	for name, now := range u.Process {
		used[name] = now - before.Process[name]
		others -= used[name]
	}
	return used, max(others, 0)
}

// WaitForRest waits until the control plane has come to rest, so that no run pays for what the one before has left. It gives up
// after a while: the run tells how busy the machine was.
func (c *Cluster) WaitForRest(ctx context.Context) error {
	const window, limit, idle = time.Second / 2, 40 * time.Second, 0.2
	var last Usage
	err := wait.PollUntilContextTimeout(ctx, window, limit, true, func(context.Context) (bool, error) {
		now, err := c.Usage(nil)
		if err != nil || last.At.IsZero() {
			last = now
			return false, err
		}
		used, _ := now.Since(last)
		took := now.At.Sub(last.At)
		last = now
		var sum time.Duration
		for _, process := range used {
			sum += process
		}
		return sum.Seconds() < idle*took.Seconds(), nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return nil
	}
	return err
}
