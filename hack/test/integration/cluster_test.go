//go:build integration

// Package integration_test runs the controller against a real API server and Job controller, each test in a namespace of its
// own.
package integration_test

import (
	"testing"

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
