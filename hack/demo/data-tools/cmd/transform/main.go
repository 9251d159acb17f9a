// Command transform is the "transform" step of the demo's pipeline. See package transform.
package main

import (
	"os"

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/transform"
)

func main() {
	tool.Main(func(flags map[string]string) error {
		return transform.Run(flags["source"], flags["target"], os.Stdout)
	}, "source", "target")
}
