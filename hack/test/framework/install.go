package framework

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Main runs the tests of a package: it installs the CRD, the policy and the roles of users before, from manifests, and removes
// afterwards what only the tests need. So many tests run at the same time; they wait for the cluster most of the time, so that
// it may be more than there are processors. TestMain calls it.
//
// Packages share a cluster, and what is installed in it for all: run them one after another, with "go test -p 1".
func Main(m *testing.M, parallel int) {
	flag.Parse()
	code := 1
	err := flag.Set("test.parallel", strconv.Itoa(parallel))
	if err == nil {
		code, err = run(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	for _, name := range []string{"crd.yaml", "policy.yaml", "user-roles.yaml"} {
		if out, err := RunKubectl("apply", "--server-side", "--force-conflicts", "-f", filepath.Join(Root, "manifests", name)); err != nil {
			return 1, fmt.Errorf("install %s: %w\n%s", name, err, out)
		}
	}
	if out, err := exec.Command(filepath.Join(Root, "hack/wait-for-crd.sh")).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("wait for the CRD: %w\n%s", err, out)
	}
	removePolicy, err := installByHandPolicy()
	if err != nil {
		return 1, err
	}
	defer removePolicy()
	code := m.Run()
	if controllerDir != "" {
		_ = os.RemoveAll(controllerDir)
	}
	return code, nil
}

// RunKubectl runs KUBECTL, or kubectl if that is not set, and returns what it prints.
func RunKubectl(args ...string) (string, error) {
	kubectl := os.Getenv("KUBECTL")
	if kubectl == "" {
		kubectl = "kubectl"
	}
	out, err := exec.Command(kubectl, args...).CombinedOutput()
	return string(out), err
}
