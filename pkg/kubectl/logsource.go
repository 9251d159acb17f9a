package kubectl

import (
	"context"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/follow"
)

// logSource is where logs, and what is known of their sequence, come from.
type logSource interface {
	// Snapshot is what is known now. It may lag behind.
	Snapshot() (Snapshot, error)
	// Fresh reads Jobs and pods again.
	Fresh(ctx context.Context) (Snapshot, error)
	// Changed has a value when there may be something new.
	Changed() <-chan struct{}
	// Open opens a log.
	Open(ctx context.Context, request follow.Request) (io.ReadCloser, error)
}

// clusterLogs are the logs of a sequence in a cluster.
type clusterLogs struct {
	tool     *Tool
	clients  Clients
	latest   Snapshot  // if nothing is followed
	observer *Observer // nil if nothing is followed
}

// logSourceOf returns the logs of a sequence in a cluster, which are watched until the context ends if they are to be followed.
func (t *Tool) logSourceOf(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob, isFollowed bool) (*clusterLogs, error) {
	l := &clusterLogs{tool: t, clients: c, latest: Snapshot{SequentialJob: sj}}
	var err error
	if isFollowed {
		l.observer, err = t.observe(ctx, c, sj, true)
	} else {
		l.latest, err = t.read(ctx, c, sj)
	}
	return l, err
}

// Snapshot is what is known now.
func (l *clusterLogs) Snapshot() (Snapshot, error) {
	if l.observer == nil {
		return l.latest, nil
	}
	return l.observer.Snapshot()
}

// Fresh reads Jobs and pods again, if they are watched.
func (l *clusterLogs) Fresh(ctx context.Context) (Snapshot, error) {
	if l.observer == nil {
		return l.latest, nil
	}
	known, err := l.observer.Snapshot()
	if err != nil {
		return known, err
	}
	s, err := l.tool.read(ctx, l.clients, known.SequentialJob)
	s.Gone, s.Replaced = known.Gone, known.Replaced
	return s, err
}

// Changed has a value when there may be something new.
func (l *clusterLogs) Changed() <-chan struct{} {
	if l.observer == nil {
		return nil
	}
	return l.observer.Changed
}

// Open opens a log, with timestamps.
func (l *clusterLogs) Open(ctx context.Context, request follow.Request) (io.ReadCloser, error) {
	options := &corev1.PodLogOptions{
		Container: request.Container, Follow: request.Follow, Previous: request.Previous, Timestamps: true,
		SinceSeconds: request.SinceSeconds, TailLines: request.TailLines,
	}
	if !request.Since.IsZero() {
		options.SinceTime = &metav1.Time{Time: request.Since}
	}
	return l.clients.Kube.CoreV1().Pods(request.Namespace).GetLogs(request.Pod, options).Stream(ctx)
}

// isPodGone tells a pod that the API server does not have from one that its node does not have, yet or any more.
func isPodGone(err error) bool { return apierrors.IsNotFound(err) && !isUnknownResource(err) }

// isPodWaiting says whether a log cannot be had because the container has not started, or not yet once more.
func isPodWaiting(err error) bool { return apierrors.IsBadRequest(err) }
