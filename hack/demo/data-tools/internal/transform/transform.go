// Package transform makes clean orders, and totals, of raw ones.
package transform

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/orders"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
)

// Run reads the raw file in source and writes the clean orders, the totals of each product and the rejected rows, with
// the reason, to target.
func Run(source, target string, out io.Writer) error {
	path := filepath.Join(source, orders.RawFile)
	raw, err := orders.ReadCSV(path, orders.RawHeader)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "read %d rows from %s\n", len(raw), path)
	clean, rejected := sift(raw)
	for _, row := range rejected {
		fmt.Fprintf(out, "dropped row %s: %s\n", row[0], row[1])
	}
	if len(clean) == 0 {
		return tool.BadInput("%s has no good row: %d of %d were dropped", path, len(rejected), len(raw))
	}
	if err := write(target, clean, rejected); err != nil {
		return err
	}
	fmt.Fprintf(out, "dropped %d rows, wrote %d rows to %s, total %s\n", len(rejected), len(clean),
		filepath.Join(target, orders.CleanFile), total(clean))
	return nil
}

// sift parts the good rows from the bad. Rows are counted from 1, below the header.
func sift(raw [][]string) (clean []orders.Order, rejected [][]string) {
	seen := map[int64]bool{}
	for i, record := range raw {
		order, err := orders.Clean(record)
		if err == nil && seen[order.ID] {
			err = fmt.Errorf("id %d was there before", order.ID)
		}
		if err != nil {
			rejected = append(rejected, []string{strconv.Itoa(i + 1), err.Error(), strings.Join(record, ",")})
			continue
		}
		seen[order.ID] = true
		clean = append(clean, order)
	}
	return clean, rejected
}

func write(target string, clean []orders.Order, rejected [][]string) error {
	records := [][]string{orders.CleanHeader}
	for _, order := range clean {
		records = append(records, order.Record())
	}
	files := []struct {
		name    string
		records [][]string
	}{
		{orders.RejectedFile, append([][]string{orders.RejectedHeader}, rejected...)},
		{orders.TotalsFile, append([][]string{orders.TotalsHeader}, productTotals(clean)...)},
		{orders.CleanFile, records},
	}
	for _, file := range files {
		if err := tool.WriteCSV(filepath.Join(target, file.name), file.records); err != nil {
			return err
		}
	}
	return nil
}

func productTotals(clean []orders.Order) [][]string {
	byProduct := map[string][]orders.Order{}
	for _, order := range clean {
		byProduct[order.Product] = append(byProduct[order.Product], order)
	}
	var records [][]string
	for _, product := range slices.Sorted(maps.Keys(byProduct)) {
		var quantity int64
		for _, order := range byProduct[product] {
			quantity += order.Quantity
		}
		records = append(records, []string{product, strconv.Itoa(len(byProduct[product])),
			strconv.FormatInt(quantity, 10), total(byProduct[product]).String()})
	}
	return records
}

func total(list []orders.Order) orders.Money {
	var sum orders.Money
	for _, order := range list {
		sum += order.Total()
	}
	return sum
}
