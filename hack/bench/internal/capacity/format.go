package capacity

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// writeTable writes rows, the first of which is the head. Columns from the given one on are numbers.
func writeTable(w io.Writer, rows [][]string, numbersFrom int) {
	for i, row := range rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			text, numbers := strings.Repeat(" --- |", numbersFrom), strings.Repeat(" ---: |", len(row)-numbersFrom)
			fmt.Fprintf(w, "|%s%s\n", text, numbers)
		}
	}
	fmt.Fprintln(w)
}

// number writes a number for people: with commas, and with digits after the point only where they tell something.
func number(x float64) string {
	const (
		noFraction  = 10
		needsCommas = 1000
	)
	if x < noFraction {
		return strconv.FormatFloat(x, 'g', 2, 64)
	}
	text := strconv.FormatFloat(x, 'f', 0, 64)
	if x < needsCommas {
		return text
	}
	var out []byte
	for i := range len(text) {
		if i > 0 && (len(text)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, text[i])
	}
	return string(out)
}

func join(values ...float64) string {
	var out []string
	for _, value := range values {
		out = append(out, number(value))
	}
	return strings.Join(out, ", ")
}

func percent(share float64) string {
	const small = 0.095
	if share < small {
		return fmt.Sprintf("%.1f %%", 100*share)
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// duration is rounded to what is of interest.
func duration(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
}

func (l Load) String() string { return fmt.Sprintf("%s x %d", number(l.SequencesPerDay), l.Steps) }
