package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
// A lease that cannot be renewed is an error. Work goes on then: the process has to end at once. It is an error as well if the
// API server keeps refusing a process that does not lead what it needs to become the leader.
func lead(
	ctx context.Context, election config.LeaderElectionConfiguration, client *rest.Config, watchDog *leaderelection.HealthzAdaptor,
	work func(context.Context) error,
) error {
	logger := klog.FromContext(ctx)
	lock, err := newLock(election, client)
	if err != nil {
		return err
	}
	electing, stopElecting := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopElecting(nil)
	var leading atomic.Bool
	lock = &refusableLock{Interface: lock, patience: election.RenewDeadline.Duration, now: time.Now, giveUp: func(err error) {
		if !leading.Load() {
			stopElecting(fmt.Errorf("leader election: %w", err))
		}
	}}
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
				leading.Store(true)
				logger.Info("Leading", "identity", lock.Identity())
				worked <- work(ctx)
				stopElecting(nil)
			},
			OnStoppedLeading: func() {},
			OnNewLeader: func(leader string) {
				if leader != lock.Identity() {
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
			stopElecting(nil)
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
	}
	return causeOf(electing)
}

// causeOf returns why ctx was cancelled, if there was more to it than that it was.
func causeOf(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// newLock returns the lease, for somebody whose name is new.
func newLock(election config.LeaderElectionConfiguration, client *rest.Config) (resourcelock.Interface, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("make a name for the leader election: %w", err)
	}
	lock, err := resourcelock.NewFromKubeconfig(election.ResourceLock, election.ResourceNamespace, election.ResourceName,
		resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}, client, election.RenewDeadline.Duration)
	if err != nil {
		return nil, fmt.Errorf("leader election: %w", err)
	}
	return lock, nil
}

// refusableLock is a lock that gives up once the API server has refused requests about it for so long that it is no accident:
// an elector would go on forever, and the process would look as if it stood by.
type refusableLock struct {
	resourcelock.Interface
	patience time.Duration
	now      func() time.Time
	giveUp   func(error)

	// Since when reads and writes have been refused; zero if they are not. Only the elector calls, one after another.
	reads, writes time.Time
}

// Get reads the lease.
func (l *refusableLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	if apierrors.IsNotFound(err) { // nobody has led yet
		l.observe(&l.reads, nil)
	} else {
		l.observe(&l.reads, err)
	}
	return record, raw, err
}

// Create creates the lease.
func (l *refusableLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Create(ctx, record)
	l.observe(&l.writes, err)
	return err
}

// Update takes the lease or renews it.
func (l *refusableLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Update(ctx, record)
	l.observe(&l.writes, err)
	return err
}

func (l *refusableLock) observe(since *time.Time, err error) {
	refused := apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
	switch now := l.now(); {
	case !refused:
		*since = time.Time{}
	case since.IsZero():
		*since = now
	case now.Sub(*since) >= l.patience:
		l.giveUp(err)
	}
}
