// Command load is the "load" step of the demo's pipeline. See package warehouse.
package main

import (
	"context"
	"os"

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/warehouse"
)

func main() {
	tool.Main(func(flags map[string]string) error {
		return warehouse.Load(context.Background(), flags["source"], flags["db-connection"], os.Stdout)
	}, "source", "db-connection")
}
