package v1alpha1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// A link to a page or a section that has moved would lead nowhere.
func TestLinksOfTheDocsLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(prose(t, page), -1) {
			checkLink(t, page, match[1])
		}
	}
}

// A newcomer reads the README to its end only if that is near.
func TestTheReadmeIsShort(t *testing.T) {
	const most = 120
	content, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(content), "\n"); lines > most {
		t.Errorf("README.md has %d lines, at most %d are wanted: move something to docs/", lines, most)
	}
}

// unusual are words that Kubernetes' documentation does not use; people would search for others.
var unusual = regexp.MustCompile(`(?i)\b(mend(s|ed|ing)?|anew|besides|all\s+the\s+same|in\s+mid-\w+|who\s+may\s+not)\b`)

func TestTheDocsUseTheWordsThatPeopleSearchFor(t *testing.T) {
	for _, page := range pages(t) {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range unusual.FindAllString(string(content), -1) {
			t.Errorf("%s: %q: say fix, again, in addition, nevertheless, while it runs, users without permission to", page, found)
		}
	}
}

// pages are all files that people read as they are in the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.md", ".github/*.md", "docs/*.md", "docs/*/*.md", "hack/*/*.md", "artifacts/*/*.md",
		"manifests/*/*.md", "pkg/*/testdata/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, files...)
	}
	if len(found) < 20 {
		t.Errorf("only %d pages found: have they moved?", len(found))
	}
	return found
}

// prose is a page without its blocks of code, in which a bracket is no link.
func prose(t *testing.T, page string) string {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return fence.ReplaceAllString(string(content), "")
}

func checkLink(t *testing.T, page, target string) {
	t.Helper()
	if strings.Contains(target, "://") {
		return
	}
	path, anchor, _ := strings.Cut(target, "#")
	file := page
	if path != "" {
		file = filepath.Join(filepath.Dir(page), path)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("%s: %s is not there", page, target)
		return
	}
	if anchor != "" && !anchors(prose(t, file))[anchor] {
		t.Errorf("%s: %s has no such section", page, target)
	}
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(content string) map[string]bool {
	names := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(content, -1) {
		names[anchorOf(match[1])] = true
	}
	return names
}

func anchorOf(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}
