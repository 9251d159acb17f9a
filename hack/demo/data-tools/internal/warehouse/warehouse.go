// Package warehouse loads clean orders into a SQLite database file and shows what is in it.
package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	_ "modernc.org/sqlite" // the driver, in pure Go: the program stays static

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/orders"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
)

// table is one table of the warehouse. Amounts are texts with two decimals, as SQLite has no exact decimal type.
type table struct {
	name    string
	file    string
	header  []string
	columns string
}

var tables = []table{
	{
		name: "orders", file: orders.CleanFile, header: orders.CleanHeader,
		columns: `id INTEGER PRIMARY KEY, customer TEXT NOT NULL, product TEXT NOT NULL, quantity INTEGER NOT NULL,
			price TEXT NOT NULL, total TEXT NOT NULL, date TEXT NOT NULL`,
	},
	{
		name: "product_totals", file: orders.TotalsFile, header: orders.TotalsHeader,
		columns: `product TEXT PRIMARY KEY, orders INTEGER NOT NULL, quantity INTEGER NOT NULL, total TEXT NOT NULL`,
	},
}

// Load replaces what the database holds by the clean files in source: all of it or, when anything fails, nothing. To run
// it again changes nothing.
func Load(ctx context.Context, source, connection string, out io.Writer) error {
	rows := map[string][][]string{}
	for _, t := range tables {
		path := filepath.Join(source, t.file)
		records, err := readTable(path, t)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "read %d rows from %s\n", len(records), path)
		rows[t.name] = records
	}
	path, err := databaseFile(connection)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return tool.BadInput("the directory of the database %s: %v", path, err)
	}
	db, err := open(path, "rwc")
	if err != nil {
		return err
	}
	defer db.Close()
	if err := replaceAll(ctx, db, rows); err != nil {
		return fmt.Errorf("load into %s: %w", path, err)
	}
	for _, t := range tables {
		fmt.Fprintf(out, "wrote %d rows to table %s of %s\n", len(rows[t.name]), t.name, path)
	}
	return db.Close()
}

func readTable(path string, t table) ([][]string, error) {
	records, err := orders.ReadCSV(path, t.header)
	if err != nil {
		return nil, err
	}
	for i, record := range records {
		if len(record) != len(t.header) {
			return nil, tool.BadInput("%s: row %d has %d fields instead of %d", path, i+1, len(record), len(t.header))
		}
	}
	return records, nil
}

func replaceAll(ctx context.Context, db *sql.DB, rows map[string][][]string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // Does nothing once it is committed.
	for _, t := range tables {
		if err := replace(ctx, tx, t, rows[t.name]); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func replace(ctx context.Context, tx *sql.Tx, t table, rows [][]string) error {
	for _, statement := range []string{
		fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s) STRICT", t.name, t.columns),
		"DELETE FROM " + t.name,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	places := strings.TrimSuffix(strings.Repeat("?, ", len(t.header)), ", ")
	insert, err := tx.PrepareContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%s)", t.name, places))
	if err != nil {
		return err
	}
	defer insert.Close()
	for i, row := range rows {
		values := make([]any, len(row))
		for j, field := range row {
			values[j] = field
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return tool.BadInput("row %d of table %s: %v", i+1, t.name, err)
		}
	}
	return nil
}

// Query prints every table of the database, and the sum of all orders.
func Query(ctx context.Context, connection string, out io.Writer) error {
	path, err := databaseFile(connection)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return tool.BadInput("the database %s: %v", path, err)
	}
	db, err := open(path, "ro")
	if err != nil {
		return err
	}
	defer db.Close()
	for _, t := range tables {
		if err := printTable(ctx, db, t, out); err != nil {
			return fmt.Errorf("query %s: %w", path, err)
		}
	}
	return printSum(ctx, db, out)
}

func printTable(ctx context.Context, db *sql.DB, t table, out io.Writer) (err error) {
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT * FROM %s ORDER BY 1", t.name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	writer := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(writer, strings.ToUpper(strings.Join(t.header, "\t")))
	fields := make([]string, len(t.header))
	pointers := make([]any, len(t.header))
	for i := range fields {
		pointers[i] = &fields[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		fmt.Fprintln(writer, strings.Join(fields, "\t"))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	fmt.Fprintln(writer)
	return writer.Flush()
}

func printSum(ctx context.Context, db *sql.DB, out io.Writer) (err error) {
	rows, err := db.QueryContext(ctx, "SELECT total FROM orders")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var count int
	var sum orders.Money
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		total, err := orders.ParseMoney(text)
		if err != nil {
			return err
		}
		count++
		sum += total
	}
	fmt.Fprintf(out, "%d orders, total %s\n", count, sum)
	return rows.Err()
}

// databaseFile returns the file that a connection string such as sqlite:///data/warehouse.db names. The string comes
// from a Secret: no message repeats it.
func databaseFile(connection string) (string, error) {
	location, err := url.Parse(connection)
	if err != nil || location.Scheme != "sqlite" || location.Host != "" || location.Path == "" {
		return "", tool.BadInput("the connection string does not have the form sqlite:///path/to/file.db")
	}
	return location.Path, nil
}

func open(path, mode string) (*sql.DB, error) {
	// Waiting for a lock lets a retry and the attempt that it replaces, still ending, come one after the other.
	query := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(10000)"}, "_txlock": {"immediate"}}
	return sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
}
