package framework

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Block is a block of commands in the documentation.
type Block struct {
	// Page is the path of the page from the root of the repository, Line where the block begins in it.
	Page string
	Line int
	// Commands are for bash.
	Commands string
	// RunBy is what runs the commands, from a comment above the block, `<!-- run by: ... -->`: the name of a test that takes them from
	// there, or a target of make that CI runs; otherwise "hand", a colon, and why no test can.
	RunBy string
	// CoveredBy is the name of a test that does the same by other means, `<!-- covered by: ... -->`. Without any comment,
	// TestTheCommandsOfTheDocsWork runs the commands.
	CoveredBy string
}

var (
	bashBlock = regexp.MustCompile("(?ms)^(?: *<!-- (?:run by: ([^\n]*)|covered by: (\\w+)) -->\n)? *```(?:bash|sh)\n(.*?)^ *```$")
	docsPages = []string{"README.md", "CONTRIBUTING.md", "docs/*.md", "docs/*/*.md", "manifests/*/README.md", "hack/*/README.md", "artifacts/*/*.md"}
)

// Pages returns the paths of all pages of the documentation, from the root of the repository.
func Pages(t *testing.T) []string {
	t.Helper()
	var pages []string
	for _, pattern := range docsPages {
		found, err := filepath.Glob(filepath.Join(Root, pattern))
		Must(t, err)
		for _, path := range found {
			page, err := filepath.Rel(Root, path)
			Must(t, err)
			pages = append(pages, page)
		}
	}
	return pages
}

// BlocksRunBy returns the blocks above which a comment says that a test runs them, in their order.
func BlocksRunBy(t *testing.T, test string) []Block {
	t.Helper()
	var blocks []Block
	for _, page := range Pages(t) {
		for _, block := range Blocks(t, page) {
			if block.RunBy == test {
				blocks = append(blocks, block)
			}
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("no block of the docs is run by %s", test)
	}
	return blocks
}

// Blocks returns the blocks of commands of a page.
func Blocks(t *testing.T, page string) []Block {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(Root, page))
	Must(t, err)
	var blocks []Block
	for _, at := range bashBlock.FindAllSubmatchIndex(content, -1) {
		text := func(group int) string {
			if at[2*group] < 0 {
				return ""
			}
			return string(content[at[2*group]:at[2*group+1]])
		}
		blocks = append(blocks, Block{
			Page: page, Line: strings.Count(string(content[:at[0]]), "\n") + 1, Commands: text(3), RunBy: text(1), CoveredBy: text(2),
		})
	}
	return blocks
}
