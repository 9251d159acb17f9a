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

// What a comment says of a block is true: the test takes the commands from there, the target is one that CI makes, the test that does
// the same exists, or it says why the commands are run by hand.
func TestEveryBlockOfTheDocsSaysTruthfullyWhatRunsIt(t *testing.T) {
	tests, targets := allTests(t), targetsOfCI(t)
	count := 0
	for _, page := range framework.Pages(t) {
		for _, block := range framework.Blocks(t, page) {
			count++
			why, isByHand := strings.CutPrefix(block.RunBy, "hand: ")
			takesThem := strings.Contains(tests[block.RunBy], `BlocksRunBy(t, "`+block.RunBy+`")`) ||
				strings.Contains(tests[block.RunBy], `BlocksRunBy(c.T, "`+block.RunBy+`")`)
			if block.RunBy != "" && !takesThem && !targets[block.RunBy] && (!isByHand || len(why) < 20) {
				t.Errorf("%s:%d: it is not run by %q", block.Page, block.Line, block.RunBy)
			}
			if block.CoveredBy != "" && tests[block.CoveredBy] == "" {
				t.Errorf("%s:%d: no test is called %q", block.Page, block.Line, block.CoveredBy)
			}
		}
	}
	if count < 50 {
		t.Errorf("only %d blocks were found", count)
	}
}

func targetsOfCI(t *testing.T) map[string]bool {
	t.Helper()
	targets := map[string]bool{}
	ci, err := os.ReadFile(filepath.Join(framework.Root, ".ci/run"))
	framework.Must(t, err)
	for _, match := range makeTarget.FindAllSubmatch(ci, -1) {
		targets["make "+string(match[1])] = true
	}
	return targets
}

// allTests returns the source of the package that each test is in.
func allTests(t *testing.T) map[string]string {
	t.Helper()
	packages, names := map[string]string{}, map[string][]string{}
	for _, pattern := range []string{"hack/*/*_test.go", "hack/*/*/*_test.go", "pkg/*/*_test.go", "cmd/*/*/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(framework.Root, pattern))
		framework.Must(t, err)
		for _, file := range files {
			content, err := os.ReadFile(file)
			framework.Must(t, err)
			folder := filepath.Dir(file)
			packages[folder] += string(content)
			for _, match := range testName.FindAllSubmatch(content, -1) {
				names[folder] = append(names[folder], string(match[1]))
			}
		}
	}
	tests := map[string]string{}
	for folder, inIt := range names {
		for _, name := range inIt {
			tests[name] = packages[folder]
		}
	}
	return tests
}
