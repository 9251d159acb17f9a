// Command extract is the "extract" step of the demo's pipeline. See package extract.
package main

import (
	"os"

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/extract"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
)

func main() {
	tool.Main(func(flags map[string]string) error {
		return extract.Run(flags["source"], flags["target"], os.Stdout)
	}, "source", "target")
}
