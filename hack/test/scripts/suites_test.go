package scripts_test

import (
	"os"
	"strings"
	"testing"
)

// withSuites provides test.sh, and programs that note which clusters it starts and stops instead of doing that.
func withSuites(t *testing.T) *sandbox {
	t.Helper()
	s := newSandbox(t)
	s.provide("hack/go.sh", "hack/test.sh")
	s.write("hack/tools/build.sh", "#!/bin/sh\n")
	s.write("hack/cluster/cluster.sh", "#!/bin/sh\ncase $1 in up | down) echo $1 $CLUSTER_NAME $CLUSTER >>clusters ;; *) echo run/$1 ;; esac\n")
	s.program("tools/gotestsum", "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ $1 != --jsonfile ] || echo '{\"Action\":\"pass\",\"Test\":\"T\"}' >$2; shift; done\n")
	s.program("gcc", "#!/bin/sh\n")
	for _, module := range []string{"bench", "crd", "compat", "demo/data-tools", "sbom"} {
		if err := os.MkdirAll(s.path("hack/"+module), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// The Makefile exports the name of the demo's cluster, in which people have work of theirs.
func TestASuiteStopsOnlyTheClusterThatItStarted(t *testing.T) {
	for suite, want := range map[string]string{
		"unit":        "",
		"integration": "up integration\ndown integration\n",
		"faults":      "up faults\ndown faults\n",
	} {
		t.Run(suite, func(t *testing.T) {
			s := withSuites(t)
			out, err := s.run([]string{"CLUSTER_NAME=demo", "CLUSTER=current"}, "bash", "hack/test.sh", suite)
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if got := s.content("clusters"); got != want {
				t.Errorf("clusters: %q, want %q", got, want)
			}
		})
	}
}

func TestCleanRefusesWhileAClusterRuns(t *testing.T) {
	s := newSandbox(t)
	s.provide("Makefile")
	s.write("bin/run/demo/kubeconfig", "")
	if out, err := s.run(nil, "make", "clean"); err == nil || !strings.Contains(out, "make cluster-down CLUSTER_NAME=demo") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(s.path("bin/run/demo/kubeconfig")); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(s.path("bin/run")); err != nil {
		t.Fatal(err)
	}
	if out, err := s.run(nil, "make", "clean"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(s.path("bin")); !os.IsNotExist(err) {
		t.Errorf("bin is still there: %v", err)
	}
}
