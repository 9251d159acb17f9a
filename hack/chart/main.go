// Command chart makes the templates of the Helm chart from the manifests, so that these are written only once, and compares what
// they render with the manifests:
//
//	chart generate CHART              writes the generated files of the chart from manifests/, the standard input being install.yaml
//	chart compare MANIFESTS RENDERED  fails unless both files hold the same objects, Namespaces aside
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader) error {
	switch {
	case len(args) == 2 && args[0] == "generate":
		manifests, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		return generate(manifests, args[1])
	case len(args) == 3 && args[0] == "compare":
		return compareFiles(args[1], args[2])
	}
	return errors.New("usage: chart generate CHART <install.yaml, or: chart compare MANIFESTS RENDERED")
}
