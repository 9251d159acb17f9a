package scripts_test

import (
	"strings"
	"testing"
)

// A kubectl that says which image is deployed, and notes what it is asked to apply.
const fakeKubectl = `#!/bin/sh
case "$*" in
  *"get deployment"*"containers[?"*) printf %s "$DEPLOYED" ;;
  *"get deployment"*availableReplicas*) printf 1 ;;
  *"get deployment"*) printf '%s' "$REFUSED" ;;
  *"get pods"*lastState.terminated*waiting* | *"get pods"*waiting*) printf '%s' "$WAITING" ;;
  *apply*) sed -n 's/^ *image: //p' >applied ;;
  *"rollout status"*) [ -z "$REFUSED$WAITING" ] ;;
esac
`

func (s *sandbox) deploy(environment []string, makeArguments ...string) (string, error) {
	s.t.Helper()
	s.provide("Makefile", "hack/go.sh", "hack/deploy.sh", "hack/wait-for-crd.sh", "manifests/install.yaml")
	s.program("kubectl", fakeKubectl)
	return s.run(environment, "make", append([]string{"--no-print-directory", "deploy", "KUBECTL=" + s.path("bin/kubectl")}, makeArguments...)...)
}

func TestDeployChoosesTheImage(t *testing.T) {
	const kept = "registry.example.com/controller:v1"
	for name, tc := range map[string]struct {
		deployed, given, want, says string
	}{
		"as given":                     {"", "IMG=registry.example.com/controller:v2", "registry.example.com/controller:v2", ""},
		"as given, instead of another": {kept, "IMG=registry.example.com/controller:v2", "registry.example.com/controller:v2", ""},
		"that which is deployed":       {kept, "", kept, "keeps its image, " + kept},
		"that of docker-build":         {"", "", "sequential-job-operator:latest", "IMG is not set, and no controller is deployed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox(t)
			out, err := s.deploy([]string{"DEPLOYED=" + tc.deployed}, strings.Fields(tc.given)...)
			if err != nil || !strings.Contains(out, tc.says) {
				t.Errorf("%v: %s", err, out)
			}
			if got := s.content("applied"); strings.TrimSpace(got) != tc.want {
				t.Errorf("applied: %q, want %q", got, tc.want)
			}
		})
	}
}

func TestADeployThatFailsSaysWhatThePodsWaitFor(t *testing.T) {
	for name, tc := range map[string]struct {
		environment []string
		says        string
	}{
		"an image":         {[]string{"WAITING=manager-1: ErrImagePull: not found\n"}, "manager-1: ErrImagePull: not found"},
		"a quota":          {[]string{"REFUSED=FailedCreate: exceeded quota\n"}, "FailedCreate: exceeded quota"},
		"endless messages": {[]string{"WAITING=" + strings.Repeat(strings.Repeat("x", 5000)+"\n", 20)}, strings.Repeat("x", 400) + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox(t)
			out, err := s.deploy(append(tc.environment, "DEPLOYED=controller:v1"), "IMG=controller:v2")
			if err == nil {
				t.Error("it did not fail")
			}
			for _, want := range []string{tc.says, "make deploy IMG=controller:v1\n", "make deploy IMG=controller:v2\n", "Replicas that work now: 1."} {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q: %s", want, out)
				}
			}
			if len(out) > 10_000 {
				t.Errorf("it says %d bytes", len(out))
			}
		})
	}
}
