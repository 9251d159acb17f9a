package warehouse

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/extract"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/orders"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/sample"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/transform"
)

// wantSum is what demo.sh checks, too. It was worked out by hand from sample/orders.csv.
const wantSum = "16 orders, total 3746.70"

// pipeline runs the steps on the sample orders and returns the directory of the data and the connection string.
func pipeline(t *testing.T) (dir, connection string) {
	t.Helper()
	dir = t.TempDir()
	connection = "sqlite://" + dir + "/warehouse.db"
	source, raw, clean := dir+"/source", dir+"/raw", dir+"/transformed"
	write(t, filepath.Join(source, sample.FileName), string(sample.Orders))
	if err := extract.Run(source, raw, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := transform.Run(raw, clean, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := Load(t.Context(), clean, connection, io.Discard); err != nil {
		t.Fatal(err)
	}
	return dir, connection
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := tool.WriteFile(path, []byte(content)); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, connection string) string {
	t.Helper()
	var out strings.Builder
	if err := Query(t.Context(), connection, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func wantBadInput(t *testing.T, err error, text string) {
	t.Helper()
	if _, bad := errors.AsType[tool.InputError](err); !bad || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want bad input with %q", err, text)
	}
}

func TestSampleOrdersReachTheWarehouse(t *testing.T) {
	dir, connection := pipeline(t)
	got := query(t, connection)
	for _, want := range []string{
		wantSum,
		"1013  Margaret Hamilton  Core Rope           2         99.95    199.90   2026-01-12",
		"Nanosecond Wire     3       695       208.50",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the query's answer lacks %q:\n%s", want, got)
		}
	}
	rejected, err := orders.ReadCSV(filepath.Join(dir, "transformed", orders.RejectedFile), orders.RejectedHeader)
	if err != nil || len(rejected) != 7 {
		t.Errorf("%d rejected rows, %v, want 7", len(rejected), err)
	}
}

func TestLoadingTwiceChangesNothing(t *testing.T) {
	dir, connection := pipeline(t)
	first := query(t, connection)
	if err := Load(t.Context(), dir+"/transformed", connection, io.Discard); err != nil {
		t.Fatal(err)
	}
	if second := query(t, connection); second != first {
		t.Errorf("after the second load:\n%s\nwant\n%s", second, first)
	}
}

func TestAFailedLoadChangesNothing(t *testing.T) {
	dir, connection := pipeline(t)
	first := query(t, connection)
	header := strings.Join(orders.CleanHeader, ",")
	for name, content := range map[string]string{
		"id is there twice": header + "\n1,A,B,1,1.00,1.00,2026-01-01\n1,A,B,1,1.00,1.00,2026-01-01\n",
		"not a number":      header + "\n1,A,B,1,1.00,1.00,2026-01-01\n2,A,B,many,1.00,1.00,2026-01-01\n",
		"field missing":     header + "\n1,A,B\n",
	} {
		t.Run(name, func(t *testing.T) {
			write(t, filepath.Join(dir, "transformed", orders.CleanFile), content)
			wantBadInput(t, Load(t.Context(), dir+"/transformed", connection, io.Discard), "row ")
			if got := query(t, connection); got != first {
				t.Errorf("after the failed load:\n%s\nwant\n%s", got, first)
			}
		})
	}
}

func TestExtractJoinsAllFiles(t *testing.T) {
	dir := t.TempDir()
	header := strings.Join(orders.RawHeader, ",") + "\n"
	write(t, dir+"/source/b.csv", header+"2,b\n")
	write(t, dir+"/source/a.csv", header+"1,a\n")
	write(t, dir+"/source/notes.txt", "not a CSV file")
	if err := extract.Run(dir+"/source", dir+"/raw", io.Discard); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "raw", orders.RawFile))
	if want := header + "1,a\n2,b\n"; err != nil || string(got) != want {
		t.Errorf("raw file %q, %v, want %q", got, err, want)
	}
}

func TestMissingInputIsBadInput(t *testing.T) {
	dir := t.TempDir()
	wantBadInput(t, extract.Run(dir, dir, io.Discard), "there is no CSV file in "+dir)
	wantBadInput(t, transform.Run(dir, dir, io.Discard), "orders.csv does not exist")
	wantBadInput(t, Load(t.Context(), dir, "sqlite://"+dir+"/w.db", io.Discard), "orders.csv does not exist")
	wantBadInput(t, Query(t.Context(), "sqlite://"+dir+"/w.db", io.Discard), "no such file")
	write(t, dir+"/orders.csv", strings.Join(orders.RawHeader, ",")+"\n1,only,bad,rows,1,2026-01-01\n")
	wantBadInput(t, transform.Run(dir, dir+"/out", io.Discard), "has no good row: 1 of 1 were dropped")
}

func TestConnectionStrings(t *testing.T) {
	if path, err := databaseFile("sqlite:///data/warehouse.db"); err != nil || path != "/data/warehouse.db" {
		t.Errorf("databaseFile = %q, %v", path, err)
	}
	for _, connection := range []string{"", "warehouse.db", "sqlite://warehouse.db", "sqlite:", "mysql://me:secret@db/x", "$(DB_CONN)"} {
		_, err := databaseFile(connection)
		wantBadInput(t, err, "does not have the form sqlite:///path/to/file.db")
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the message %q repeats the connection string", err)
		}
	}
}
