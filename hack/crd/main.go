// Command crd turns the CustomResourceDefinition that controller-gen writes into the one that is installed.
//
// Usage, from the top of the repository (hack/generate.sh does this):
//
//	controller-gen crd paths=./pkg/apis/... output:crd:dir="$tmp"
//	go -C hack/crd run . -in "$tmp/batch.example.com_sequentialjobs.yaml" -out "$PWD/manifests/crd.yaml"
//
// Both paths are absolute, or relative to hack/crd. The output is written only if every edit found what it edits: when
// a new Kubernetes release moves a field of PodSpec, this command fails and says which, rather than drop a rule.
//
// controller-gen alone does not suffice because most of the schema is that of Kubernetes' own types, where no marker
// can be put: their descriptions are too long for `kubectl apply`, their lists too costly to merge by key, their
// defaults would be written into every user's object, and a pod template requires the containers it must not have here.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	in := flag.String("in", "", "the file that controller-gen wrote")
	out := flag.String("out", "", "the file to write")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "crd:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	if in == "" || out == "" {
		return errors.New("both -in and -out are needed")
	}
	raw, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	crd, err := Convert(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return os.WriteFile(out, crd, 0o644)
}
