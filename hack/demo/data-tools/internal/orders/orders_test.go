package orders

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseMoney(t *testing.T) {
	good := map[string]Money{
		"12": 1200, "12.5": 1250, "0.30": 30, "$99.95": 9995, "1,250.00": 125000, "0": 0,
	}
	for text, want := range good {
		if got, err := ParseMoney(text); err != nil || got != want {
			t.Errorf("ParseMoney(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.", ".5", "1.234", "1.-5", "ten", "1.2.3", "9999999999999999999"} {
		if got, err := ParseMoney(text); err == nil {
			t.Errorf("ParseMoney(%q) = %s, want an error", text, got)
		}
	}
}

func TestClean(t *testing.T) {
	tests := map[string]struct {
		row     string
		want    string
		wantErr string
	}{
		"good row":          {row: "1|Ada Lovelace|Gear|4|125.00|2026-01-05", want: "1|Ada Lovelace|Gear|4|125.00|500.00|2026-01-05"},
		"spaces and case":   {row: " 2 |  ada  LOVELACE |paper tape| 3 | 0.3 | 2026-01-05 ", want: "2|Ada Lovelace|Paper Tape|3|0.30|0.90|2026-01-05"},
		"last name first":   {row: "3|Hamilton, Margaret|Rope|1|1|2026/01/09", want: "3|Margaret Hamilton|Rope|1|1.00|1.00|2026-01-09"},
		"letters not ASCII": {row: "4|élodie ÖZ|Rope|1|1|09.01.2026", want: "4|Élodie Öz|Rope|1|1.00|1.00|2026-01-09"},
		"too few fields":    {row: "5|Ada", wantErr: "2 fields instead of 6"},
		"no customer":       {row: "5| |Rope|1|1|2026-01-09", wantErr: "customer is missing"},
		"no quantity":       {row: "5|Ada|Rope||1|2026-01-09", wantErr: "quantity is missing"},
		"no such day":       {row: "5|Ada|Rope|1|1|2026-02-30", wantErr: `date "2026-02-30" is not a date`},
		"negative price":    {row: "5|Ada|Rope|1|-1|2026-01-09", wantErr: `price "-1" is not an amount`},
		"absurd price":      {row: "5|Ada|Rope|1|100000000.01|2026-01-09", wantErr: "price 100000000.01 is more than 100000000.00"},
		"quantity zero":     {row: "5|Ada|Rope|0|1|2026-01-09", wantErr: `quantity "0" is not a whole number from 1 to 1000000`},
		"id not a number":   {row: "x|Ada|Rope|1|1|2026-01-09", wantErr: `id "x" is not a whole number`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			order, err := Clean(strings.Split(test.row, "|"))
			if test.wantErr != "" {
				if err == nil || !strings.HasPrefix(err.Error(), test.wantErr) {
					t.Fatalf("error %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(order.Record(), "|"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestReadCSV(t *testing.T) {
	header := []string{"a", "b"}
	tests := map[string]struct {
		content  string
		wantRows int
		wantErr  string
	}{
		"rows of any length":          {content: "a,b\n1,2\n3\n", wantRows: 2},
		"byte order mark and CR LF":   {content: "\ufeffa,b\r\n1,2\r\n", wantRows: 1},
		"only a header":               {content: "a,b\n"},
		"empty":                       {content: "", wantErr: "is empty"},
		"another header":              {content: "a,c\n1,2\n", wantErr: `has the header "a,c" instead of "a,b"`},
		"a quote that is never ended": {content: "a,b\n\"1,2\n", wantErr: "is not a CSV file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.csv")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			rows, err := ReadCSV(path, header)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("error %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil || len(rows) != test.wantRows {
				t.Errorf("%d rows, %v, want %d", len(rows), err, test.wantRows)
			}
		})
	}
}
