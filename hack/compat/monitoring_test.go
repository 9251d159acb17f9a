package compat

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	dashboardFile = "../../manifests/monitoring/dashboard.json"
	alertsFile    = "../../manifests/monitoring/alerts.yaml"
	docsFile      = "../../docs/monitoring.md"
)

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// metrics returns the labels of each metric that the controller has.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	known := map[string][]string{}
	for line := range strings.Lines(read(t, "testdata/metrics.txt")) {
		if name := strings.Fields(line); name[0] != "#" {
			known[name[0]] = name[1:]
		}
	}
	return known
}

// mustExist checks that an expression can be read, and uses metrics and labels that exist.
func mustExist(t *testing.T, expression string) {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		t.Errorf("%s: %v", expression, err)
		return
	}
	known := metrics(t)
	mustGroupByLabelsThatExist(t, parsed, known)
	for _, selector := range parser.ExtractSelectors(parsed) {
		name := selector[slices.IndexFunc(selector, func(m *labels.Matcher) bool { return m.Name == model.MetricNameLabel })].Value
		has, ok := known[name]
		if !ok {
			t.Errorf("%s: there is no metric %s", expression, name)
		}
		for _, matcher := range selector {
			if !slices.Contains(append(has, model.MetricNameLabel, model.JobLabel, model.InstanceLabel), matcher.Name) {
				t.Errorf("%s: %s has no label %s", expression, name, matcher.Name)
			}
		}
	}
}

// mustGroupByLabelsThatExist checks that what is grouped by is a label of what is aggregated: Prometheus would not complain.
func mustGroupByLabelsThatExist(t *testing.T, expression parser.Node, known map[string][]string) {
	t.Helper()
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		aggregate, ok := node.(*parser.AggregateExpr)
		if !ok || aggregate.Without {
			return nil
		}
		has := []string{model.JobLabel, model.InstanceLabel}
		parser.Inspect(aggregate.Expr, func(inner parser.Node, _ []parser.Node) error {
			if selector, ok := inner.(*parser.VectorSelector); ok {
				has = append(has, known[selector.Name]...)
			}
			return nil
		})
		for _, label := range aggregate.Grouping {
			if !slices.Contains(has, label) {
				t.Errorf("%s: there is no label %s to group by", aggregate, label)
			}
		}
		return nil
	})
}

func TestEveryPanelOfTheDashboardUsesMetricsThatExist(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	panels := 0
	for _, panel := range dashboard.Panels {
		if panel.Type == "row" {
			continue
		}
		panels++
		t.Run(panel.Title, func(t *testing.T) {
			if len(panel.Targets) == 0 {
				t.Error("it has no query")
			}
			for _, target := range panel.Targets {
				mustExist(t, strings.NewReplacer("$__rate_interval", "5m", "$job", ".*").Replace(target.Expr))
			}
		})
	}
	if panels < 10 {
		t.Errorf("only %d panels were found", panels)
	}
}

func TestEveryAlertUsesMetricsThatExistAndIsExplained(t *testing.T) {
	docs := strings.ToLower(read(t, docsFile))
	for _, rule := range alertRules(t) {
		t.Run(rule.Alert, func(t *testing.T) {
			mustExist(t, rule.Expr)
			_, anchor, _ := strings.Cut(rule.Annotations["runbook_url"], "docs/monitoring.md#")
			if anchor == "" || !strings.Contains(docs, "\n### "+anchor+"\n") {
				t.Errorf("docs/monitoring.md has no section %q", anchor)
			}
			for _, key := range []string{"summary", "description"} {
				if rule.Annotations[key] == "" {
					t.Errorf("it has no %s", key)
				}
			}
			if rule.Labels["severity"] == "" {
				t.Error("it has no severity")
			}
		})
	}
}

func TestTheDocsNameTheMetricsThatExist(t *testing.T) {
	docs := read(t, docsFile)
	names := map[string]bool{}
	for name := range metrics(t) {
		name = strings.TrimSuffix(name, "_bucket")
		names[name] = true
		if !strings.Contains(docs, "`"+name+"`") {
			t.Errorf("docs/monitoring.md does not explain %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`sequentialjob_[a-z_]+`).FindAllString(docs, -1) {
		if !names[name] {
			t.Errorf("docs/monitoring.md names %s, which is not there", name)
		}
	}
}
