package v1alpha1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// mayBeLong are lines that cannot be divided: a link alone, and a template for kubectl.
var mayBeLong = regexp.MustCompile(`^ *<https?://\S+>$|-o (custom-columns|go-template)=`)

// Who reads the docs in an editor, or beside a terminal, sees whole lines.
func TestTheLinesOfTheDocsAreShort(t *testing.T) {
	const most = 130
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		if filepath.Base(page) == "cli.md" {
			continue // generated, with the tables of flags
		}
		for number, line := range writtenLines(t, page) {
			if utf8.RuneCountInString(line) > most && !mayBeLong.MatchString(line) {
				t.Errorf("%s:%d: more than %d characters: %s", page, number+1, most, line)
			}
		}
	}
}

// writtenLines are the lines of a page; those that a program has printed are empty: blocks of output, and the measured results of
// guarantees.md.
func writtenLines(t *testing.T, page string) []string {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	isGuarantees := filepath.Base(page) == "guarantees.md"
	lines := strings.Split(string(content), "\n")
	isInBlock, isOutput := false, false
	for i, line := range lines {
		if language, isFence := strings.CutPrefix(strings.TrimSpace(line), "```"); isFence {
			isInBlock = !isInBlock
			isOutput = isInBlock && language == ""
		}
		if isOutput || isGuarantees && strings.HasPrefix(line, "|") {
			lines[i] = ""
		}
	}
	return lines
}
