// Package orders knows the files of orders that the data tools pass on to each other, and what a good order is.
package orders

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/example/sequential-job-operator/hack/demo/data-tools/internal/tool"
)

// The files that one step leaves for the next, in its target directory.
const (
	RawFile      = "orders.csv"
	CleanFile    = "orders.csv"
	TotalsFile   = "product-totals.csv"
	RejectedFile = "rejected.csv"
)

// The headers of these files.
var (
	RawHeader      = []string{"id", "customer", "product", "quantity", "price", "date"}
	CleanHeader    = []string{"id", "customer", "product", "quantity", "price", "total", "date"}
	TotalsHeader   = []string{"product", "orders", "quantity", "total"}
	RejectedHeader = []string{"line", "reason", "row"}
)

// dateLayouts are the ways in which dates are written in exports. No two of them can be mistaken for each other.
var dateLayouts = []string{time.DateOnly, "2006/01/02", "02.01.2006"}

// maxQuantity and maxPrice are far above any real order, and small enough for totals that never overflow.
const (
	maxQuantity = 1_000_000
	maxPrice    = Money(100_000_000_00)
)

// Money is an amount in hundredths: sums of it are exact.
type Money int64

func (m Money) String() string { return fmt.Sprintf("%d.%02d", m/100, m%100) }

// ParseMoney reads an amount that is not negative, such as 12, 12.5, $99.95 or 1,250.00.
func ParseMoney(text string) (Money, error) {
	digits := strings.ReplaceAll(strings.TrimPrefix(text, "$"), ",", "")
	whole, fraction, hasFraction := strings.Cut(digits, ".")
	if len(fraction) > 2 || hasFraction && fraction == "" {
		return 0, fmt.Errorf("price %q is not an amount", text)
	}
	fraction += strings.Repeat("0", 2-len(fraction))
	amount, err := strconv.ParseUint(whole+fraction, 10, 63)
	if err != nil || whole == "" {
		return 0, fmt.Errorf("price %q is not an amount", text)
	}
	return Money(amount), nil
}

// Order is a good order.
type Order struct {
	ID       int64
	Customer string
	Product  string
	Quantity int64
	Price    Money
	Date     string // as 2026-01-31
}

// Total is what the customer pays.
func (o Order) Total() Money { return Money(o.Quantity) * o.Price }

// Record returns the row of the clean file.
func (o Order) Record() []string {
	return []string{strconv.FormatInt(o.ID, 10), o.Customer, o.Product, strconv.FormatInt(o.Quantity, 10),
		o.Price.String(), o.Total().String(), o.Date}
}

// Clean makes an order of a raw record, or says what is wrong with it.
func Clean(record []string) (Order, error) {
	if len(record) != len(RawHeader) {
		return Order{}, fmt.Errorf("%d fields instead of %d", len(record), len(RawHeader))
	}
	for i, field := range record {
		if strings.TrimSpace(field) == "" {
			return Order{}, fmt.Errorf("%s is missing", RawHeader[i])
		}
	}
	id, err := parseCount("id", record[0], 1<<62)
	if err != nil {
		return Order{}, err
	}
	quantity, err := parseCount("quantity", record[3], maxQuantity)
	if err != nil {
		return Order{}, err
	}
	price, err := ParseMoney(strings.TrimSpace(record[4]))
	if err != nil {
		return Order{}, err
	}
	if price > maxPrice {
		return Order{}, fmt.Errorf("price %s is more than %s", price, maxPrice)
	}
	date, err := parseDate(strings.TrimSpace(record[5]))
	if err != nil {
		return Order{}, err
	}
	return Order{ID: id, Customer: customerName(record[1]), Product: titleCase(record[2]), Quantity: quantity,
		Price: price, Date: date}, nil
}

func parseCount(what, text string, most int64) (int64, error) {
	number, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || number < 1 || number > most {
		return 0, fmt.Errorf("%s %q is not a whole number from 1 to %d", what, text, most)
	}
	return number, nil
}

func parseDate(text string) (string, error) {
	for _, layout := range dateLayouts {
		if date, err := time.Parse(layout, text); err == nil {
			return date.Format(time.DateOnly), nil
		}
	}
	return "", fmt.Errorf("date %q is not a date", text)
}

// customerName turns "Hamilton, Margaret" around, so that one customer has one name.
func customerName(text string) string {
	if last, first, ok := strings.Cut(text, ","); ok {
		text = first + " " + last
	}
	return titleCase(text)
}

func titleCase(text string) string {
	words := strings.Fields(text)
	for i, word := range words {
		letters := []rune(strings.ToLower(word))
		letters[0] = unicode.ToUpper(letters[0])
		words[i] = string(letters)
	}
	return strings.Join(words, " ")
}

// ReadCSV returns the records below the header, which must be the wanted one. Rows of any length are returned: whether
// a row is good is for the caller to say.
func ReadCSV(path string, header []string) ([][]string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, tool.BadInput("%s does not exist", path)
	}
	if err != nil {
		return nil, err
	}
	// Spreadsheets begin their exports with a byte order mark.
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	reader.FieldsPerRecord = -1
	records, err := reader.ReadAll()
	if err != nil {
		return nil, tool.BadInput("%s is not a CSV file: %v", path, err)
	}
	if len(records) == 0 {
		return nil, tool.BadInput("%s is empty", path)
	}
	if !slices.Equal(records[0], header) {
		return nil, tool.BadInput("%s has the header %q instead of %q", path,
			strings.Join(records[0], ","), strings.Join(header, ","))
	}
	return records[1:], nil
}
