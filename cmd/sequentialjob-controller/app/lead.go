package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/component-base/config"
	"k8s.io/klog/v2"
)

var errLeaseLost = errors.New("the lease of the leader could not be renewed: another replica may lead now, so this one ends")

// lead waits until this process leads and works then, until ctx is done. The lease is kept until work has returned, and
// then released, so that another replica takes over at once but never while something here is under way.
// A lease that cannot be renewed is an error. Work goes on then: the process has to end at once.
func lead(
	ctx context.Context, election config.LeaderElectionConfiguration, client *rest.Config, watchDog *leaderelection.HealthzAdaptor,
	work func(context.Context) error,
) error {
	logger := klog.FromContext(ctx)
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("make a name for the leader election: %w", err)
	}
	identity := host + "_" + string(uuid.NewUUID())
	lock, err := resourcelock.NewFromKubeconfig(election.ResourceLock, election.ResourceNamespace, election.ResourceName,
		resourcelock.ResourceLockConfig{Identity: identity}, client, election.RenewDeadline.Duration)
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	electing, stopElecting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopElecting()
	worked := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name:            election.ResourceName,
		Lock:            lock,
		LeaseDuration:   election.LeaseDuration.Duration,
		RenewDeadline:   election.RenewDeadline.Duration,
		RetryPeriod:     election.RetryPeriod.Duration,
		ReleaseOnCancel: true,
		WatchDog:        watchDog,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) {
				logger.Info("Leading", "identity", identity)
				worked <- work(ctx)
				stopElecting()
			},
			OnStoppedLeading: func() {},
			OnNewLeader: func(leader string) {
				if leader != identity {
					logger.Info("Standing by", "leader", leader)
				}
			},
		},
	})
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	// One that does not lead has nothing to finish.
	defer context.AfterFunc(ctx, func() {
		if !elector.IsLeader() {
			stopElecting()
		}
	})()
	elector.Run(electing)
	if electing.Err() == nil {
		return errLeaseLost
	}
	select {
	case err := <-worked:
		return err
	default:
		return nil
	}
}
