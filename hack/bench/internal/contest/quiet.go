package contest

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
)

// ReadUntilQuiet reads the audit log on until a user has asked for nothing for half a second: what it does late, such as to
// publish events, is part of what it costs.
func ReadUntilQuiet(ctx context.Context, log *audit.Log, user string) ([]audit.Event, error) {
	const interval, quiet, mostNoise = 100 * time.Millisecond, 5, 5 * time.Minute
	var all []audit.Event
	silent := 0
	err := wait.PollUntilContextTimeout(ctx, interval, mostNoise, true, func(context.Context) (bool, error) {
		events, err := log.ReadOn()
		all = append(all, events...)
		silent++
		for i := range events {
			if events[i].User.Username == user && events[i].Verb != "watch" {
				silent = 0
			}
		}
		return silent >= quiet, err
	})
	return all, err
}
