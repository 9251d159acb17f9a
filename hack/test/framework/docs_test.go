package framework_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

var (
	testName   = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	makeTarget = regexp.MustCompile(`(?m)^make ([a-z-]+)$`)
)

// What a comment says of a block is true: that test or target exists, or it says why the commands are run by hand.
func TestEveryBlockOfTheDocsSaysTruthfullyWhatRunsIt(t *testing.T) {
	runs := runByCI(t)
	count := 0
	for _, page := range framework.Pages(t) {
		for _, block := range framework.Blocks(t, page) {
			count++
			if why, isByHand := strings.CutPrefix(block.RunBy, "hand: "); block.RunBy != "" && !runs[block.RunBy] && (!isByHand || len(why) < 20) {
				t.Errorf("%s:%d: nothing is called %q", block.Page, block.Line, block.RunBy)
			}
		}
	}
	if count < 50 {
		t.Errorf("only %d blocks were found", count)
	}
}

// runByCI returns the names of all tests, and the targets that CI makes.
func runByCI(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	ci, err := os.ReadFile(filepath.Join(framework.Root, ".ci/run"))
	framework.Must(t, err)
	for _, match := range makeTarget.FindAllSubmatch(ci, -1) {
		names["make "+string(match[1])] = true
	}
	for _, pattern := range []string{"hack/*/*_test.go", "hack/*/*/*_test.go", "pkg/*/*_test.go", "cmd/*/*/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(framework.Root, pattern))
		framework.Must(t, err)
		for _, file := range files {
			content, err := os.ReadFile(file)
			framework.Must(t, err)
			for _, match := range testName.FindAllSubmatch(content, -1) {
				names[string(match[1])] = true
			}
		}
	}
	return names
}
