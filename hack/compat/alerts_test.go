package compat

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"sigs.k8s.io/yaml"
)

// alertTests is what is used here of the format of promtool, which also checks the texts of the alerts.
type alertTests struct {
	Tests []struct {
		Name        string
		InputSeries []inputSeries `json:"input_series"`
		Alerts      []struct {
			EvalTime  model.Duration `json:"eval_time"`
			AlertName string
			Expected  []struct {
				Labels map[string]string `json:"exp_labels"`
			} `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	}
}

type inputSeries struct{ Series, Values string }

// minute is how often the rules are evaluated, and the time between two values of a series.
const minute = time.Minute

func TestAlertsFireWhenTheyShould(t *testing.T) {
	var all alertTests
	if err := yaml.Unmarshal([]byte(read(t, "testdata/alerts.yaml")), &all); err != nil {
		t.Fatal(err)
	}
	rules := alertRules(t)
	fired := map[string]bool{}
	for _, tc := range all.Tests {
		stored := queryable(t, tc.InputSeries)
		for _, want := range tc.Alerts {
			rule, at := rules[want.AlertName], time.Duration(want.EvalTime)
			if rule == nil {
				t.Errorf("%s: there is no alert %s", tc.Name, want.AlertName)
				continue
			}
			wanted := []string{}
			for _, alert := range want.Expected {
				wanted = append(wanted, labels.FromMap(alert.Labels).String())
				fired[want.AlertName] = true
			}
			slices.Sort(wanted)
			if got := firing(t, stored, rule, at); !slices.Equal(got, wanted) {
				t.Errorf("%s: at %s, %s: %v fire, want %v", tc.Name, at, want.AlertName, got, wanted)
			}
		}
	}
	for name := range rules {
		if !fired[name] {
			t.Errorf("no test lets %s fire", name)
		}
	}
}

func alertRules(t *testing.T) map[string]*rulefmt.Rule {
	t.Helper()
	file, errs := rulefmt.Parse([]byte(read(t, alertsFile)), false, model.UTF8Validation, parser.NewParser(parser.Options{}), promslog.NewNopLogger())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	rules := map[string]*rulefmt.Rule{}
	for _, group := range file.Groups {
		for i := range group.Rules {
			rules[group.Rules[i].Alert] = &group.Rules[i]
		}
	}
	return rules
}

// firing returns the labels of what an alert fires for: what its expression has found at every minute for as long as it has to.
func firing(t *testing.T, stored storage.Queryable, rule *rulefmt.Rule, at time.Duration) []string {
	t.Helper()
	firing := []string{}
	if at < time.Duration(rule.For) {
		return firing
	}
	minutes := 0
	times := map[string]int{}
	for when := at - time.Duration(rule.For); when <= at; when += minute {
		minutes++
		for _, found := range found(t, stored, rule, when) {
			times[found]++
		}
	}
	for found, n := range times {
		if n == minutes {
			firing = append(firing, found)
		}
	}
	slices.Sort(firing)
	return firing
}

// found returns the labels of the alerts for what an expression finds at a time.
func found(t *testing.T, stored storage.Queryable, rule *rulefmt.Rule, at time.Duration) []string {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Hour, Parser: parser.NewParser(parser.Options{})})
	query, err := engine.NewInstantQuery(t.Context(), stored, nil, rule.Expr, time.UnixMilli(at.Milliseconds()))
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	vector, err := query.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, sample := range vector {
		builder := labels.NewBuilder(sample.Metric).Del(model.MetricNameLabel)
		for name, text := range rule.Labels {
			builder.Set(name, text)
		}
		found = append(found, builder.Labels().String())
	}
	return found
}

// sample is a value at a time, in milliseconds.
type sample struct {
	chunks.Sample
	at    int64
	value float64
}

func (s sample) T() int64                 { return s.at }
func (s sample) F() float64               { return s.value }
func (s sample) ST() int64                { return 0 }
func (s sample) Type() chunkenc.ValueType { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample      { return s }

// queryable holds the series of a test.
func queryable(t *testing.T, inputs []inputSeries) storage.Queryable {
	t.Helper()
	var all []storage.Series
	for _, input := range inputs {
		metric, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(input.Series + " " + input.Values)
		if err != nil {
			t.Fatalf("%s: %v", input.Series, err)
		}
		var samples []chunks.Sample
		for i, value := range values {
			if !value.Omitted {
				samples = append(samples, sample{at: (time.Duration(i) * minute).Milliseconds(), value: value.Value})
			}
		}
		all = append(all, storage.NewListSeries(metric, samples))
	}
	matching := func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		return &seriesSet{left: slices.DeleteFunc(slices.Clone(all), func(series storage.Series) bool {
			return slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(series.Labels().Get(m.Name)) })
		})}
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: matching}}
}

// seriesSet goes through series.
type seriesSet struct {
	left    []storage.Series
	current storage.Series
}

func (s *seriesSet) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.current, s.left = s.left[0], s.left[1:]
	return true
}
func (s *seriesSet) At() storage.Series                { return s.current }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
