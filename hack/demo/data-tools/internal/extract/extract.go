// Package extract gathers the exported orders of a source directory.
package extract

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/orders"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
)

// Run reads every CSV file in source and writes their rows, as they are, into one raw file in target.
func Run(source, target string, out io.Writer) error {
	files, err := filepath.Glob(filepath.Join(source, "*.csv"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return tool.BadInput("there is no CSV file in %s", source)
	}
	records := [][]string{orders.RawHeader}
	for _, file := range files {
		rows, err := orders.ReadCSV(file, orders.RawHeader)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "read %d rows from %s\n", len(rows), file)
		records = append(records, rows...)
	}
	path := filepath.Join(target, orders.RawFile)
	if err := tool.WriteCSV(path, records); err != nil {
		return err
	}
	fmt.Fprintf(out, "wrote %d rows to %s\n", len(records)-1, path)
	return nil
}
