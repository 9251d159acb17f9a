// Command query prints what the demo's pipeline loaded. See package warehouse.
package main

import (
	"context"
	"os"

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/warehouse"
)

func main() {
	tool.Main(func(flags map[string]string) error {
		return warehouse.Query(context.Background(), flags["db-connection"], os.Stdout)
	}, "db-connection")
}
