//go:build integration

// Package integration_test runs the controller against a real API server and Job controller, each test in a namespace of its
// own.
package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

func TestMain(m *testing.M) { framework.Main(m, 8) }

// cluster adds to the framework's what only these tests need.
type cluster struct{ *framework.Cluster }

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return &cluster{framework.NewCluster(t)}
}

func newClusterLabelled(t *testing.T, labels map[string]string) *cluster {
	t.Helper()
	return &cluster{framework.NewClusterLabelled(t, labels)}
}

func newByHandCluster(t *testing.T) *cluster {
	t.Helper()
	return &cluster{framework.NewByHandCluster(t)}
}

// waitUntil waits until a time has come.
func (c *cluster) waitUntil(then time.Time) {
	c.T.Helper()
	c.Eventually("it to be "+then.Format(time.TimeOnly), func(context.Context) (bool, error) { return time.Now().After(then), nil })
}

// runsLong is the age at which a step's pods are looked at, if they do not run.
const runsLong = 12 * time.Second
