// Command seed writes the sample orders, from which the demo starts, into a directory.
package main

import (
	"fmt"
	"path/filepath"

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/sample"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
)

func main() {
	tool.Main(func(flags map[string]string) error {
		path := filepath.Join(flags["target"], sample.FileName)
		if err := tool.WriteFile(path, sample.Orders); err != nil {
			return err
		}
		fmt.Printf("wrote the sample orders to %s\n", path)
		return nil
	}, "target")
}
