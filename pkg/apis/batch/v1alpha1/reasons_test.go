package v1alpha1_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
)

// documentedReasons are the rows of the table of reasons in docs/reference.md.
func documentedReasons(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs/reference.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "| reason | meaning | what to do |")
	if !found {
		t.Fatal("docs/reference.md has no table of reasons")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var reasons []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (.+) \\| (.+) \\|$").FindAllStringSubmatch(table, -1) {
		reasons = append(reasons, row[1])
	}
	if rows := strings.Count(table, "\n") - 1; rows != len(reasons) {
		t.Errorf("%d of %d rows name one reason, its meaning and what to do", len(reasons), rows)
	}
	return reasons
}

// constantReasons are the values of the constants Reason... of this package. Each has a comment.
func constantReasons(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "constants.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil || spec.Names[0].Name != "Reason"+value || !strings.HasPrefix(spec.Doc.Text(), spec.Names[0].Name+" ") {
			t.Errorf("constant %s = %q is not documented, or not named after its value (%v)", spec.Names[0].Name, value, err)
		}
		reasons = append(reasons, value)
		return true
	})
	return reasons
}

func TestEveryReasonIsInTheReference(t *testing.T) {
	want := append(constantReasons(t), batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonPodFailurePolicy)
	got := documentedReasons(t)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-code +docs):\n%s", diff)
	}
}

// A reason that is written out in the code would escape the test above.
func TestReasonsAreConstants(t *testing.T) {
	takesReason := map[string]bool{"normal": true, "warning": true, "underWay": true, "fail": true, "block": true, "Blocked": true,
		"Waiting": true, "setCondition": true, "failStep": true}
	calls := 0
	for _, directory := range []string{"pkg/sequence", "pkg/controller"} {
		files, err := filepath.Glob(filepath.Join(root, directory, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(node ast.Node) bool {
				call, ok := node.(*ast.CallExpr)
				if !ok || !takesReason[calledName(call)] {
					return true
				}
				calls++
				for _, argument := range call.Args[:min(3, len(call.Args)-1)] {
					if literal, ok := argument.(*ast.BasicLit); ok && literal.Kind == token.STRING && literal.Value != `""` {
						t.Errorf("%s: the reason %s is not a constant", set.Position(literal.Pos()), literal.Value)
					}
				}
				return true
			})
		}
	}
	if calls < 20 {
		t.Errorf("only %d calls looked at: have they got other names?", calls)
	}
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
