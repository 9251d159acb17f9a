package sequence

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestClean(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"plain text stays":                  {"no such table: größe 数", "no such table: größe 数"},
		"lines become one":                  {"first\nsecond\r\n\tthird", "first second   third"},
		"space around is dropped":           {"\n  text \n", "text"},
		"control characters are dropped":    {"a\x00b\x07c\x7fd\u0085e", "abcd e"},
		"terminal colours lose their start": {"\x1b[31mred\x1b[0m", "[31mred[0m"},
		"text direction cannot be turned":   {"abc\u202edef\u200b", "abcdef"},
		"invalid UTF-8 is dropped":          {"a\xff\xfeb\xc3", "ab"},
		"nothing":                           {"", ""},
		"nothing printable":                 {"\x00\n\x01", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, clean(tc.in)); diff != "" {
				t.Errorf("unexpected text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCut(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want string
	}{
		"short text stays":              {"12345678", "12345678"},
		"text that just fits stays":     {"1234567890", "1234567890"},
		"longer text ends with a mark":  {"12345678901", "1234567..."},
		"between two characters":        {"123456ü890", "123456ü890"[:6] + "..."},
		"wide characters stay whole":    {"数数数数", "数数..."},
		"characters of four bytes, too": {"123456😀😀", "123456..."},
	} {
		t.Run(name, func(t *testing.T) {
			got := cut(tc.in, 10)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("unexpected text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCutKeepsTheLimitOnEveryBoundary(t *testing.T) {
	for shift := range 4 {
		got := cut(strings.Repeat("x", shift)+strings.Repeat("😀", maxDetail), maxDetail)
		if len(got) > maxDetail || len(got) < maxDetail-3 || !utf8.ValidString(got) {
			t.Errorf("shifted by %d: %d bytes, valid %v", shift, len(got), utf8.ValidString(got))
		}
	}
}
