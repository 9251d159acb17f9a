//go:build integration

// Package faults_test injects faults, and asks an oracle, which reads the API server's audit log, whether the promises were kept.
//
// The tests whose names begin with TestFaults break the cluster, and need one of their own. The others inject faults into the
// controller alone, and run beside each other.
package faults_test

import (
	"testing"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

func TestMain(m *testing.M) { framework.Main(m, 8) }

// cluster adds to the framework's what only these tests need.
type cluster struct{ *framework.Cluster }

func newByHandCluster(t *testing.T) *cluster {
	t.Helper()
	return &cluster{framework.NewByHandCluster(t)}
}
