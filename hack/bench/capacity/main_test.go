package main

import (
	"io"
	"strings"
	"testing"
)

func TestRunRefusesWhatIsNotThere(t *testing.T) {
	for _, arguments := range [][]string{{"-results", "no-such-file"}, {"-no-such-flag"}} {
		if err := run(arguments, io.Discard); err == nil {
			t.Errorf("%v: no error", arguments)
		}
	}
}

func TestRunWritesAllTables(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"-step-time", "10m"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## How much of each is used", "## What to raise", "## What there is", "## A day, simulated", "## What it rests on"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("without %q", want)
		}
	}
}
