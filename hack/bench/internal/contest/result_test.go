package contest

import (
	"testing"
	"time"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
	"github.com/example/sequential-job-operator/hack/bench/internal/observe"
	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func moment(revision uint64) observe.Moment {
	return observe.Moment{At: start.Add(time.Duration(revision) * time.Second), Revision: revision}
}

// ran is a run of one sequence of two steps, in which the second begins after the pod of the first and before its Job is Complete.
func ran(advanceOn string) *measurement {
	shape := Shape{Sequences: 1, Steps: 2}
	m := &measurement{bench: &Bench{Options: Options{AdvanceOn: advanceOn}}, contestant: &controller{}, shape: shape, namespace: "bench"}
	m.begun = map[string]time.Time{sequenceName(0): start}
	m.steps = map[string]*observe.Step{
		jobName(0, 0): {Created: moment(1), PodCreated: moment(2), PodSucceeded: moment(3), Complete: moment(5), UIDs: []string{"a"}},
		jobName(0, 1): {Created: moment(4), PodCreated: moment(6), PodSucceeded: moment(7), Complete: moment(8), UIDs: []string{"b"}},
	}
	for _, name := range []string{jobName(0, 0), jobName(0, 1)} {
		event := audit.Event{Stage: "ResponseComplete", Verb: "create"}
		event.User.Username = setup.Controller.User()
		event.ObjectRef.Resource, event.ObjectRef.Namespace, event.ObjectRef.Name = "jobs", "bench", name
		event.ResponseStatus.Code = 201
		m.events = append(m.events, event)
	}
	m.after.At = start.Add(time.Minute)
	m.before.At = start
	return m
}

func TestARunThatIsEarlyHasNoFigures(t *testing.T) {
	var run Run
	ran("").report(&run)
	if len(run.Violations) != 1 || run.Figures != nil {
		t.Errorf("violations %q, figures %v; want one and none", run.Violations, run.Figures)
	}
}

func TestWhatIsEarlyDependsOnWhatASequenceGoesBy(t *testing.T) {
	var run Run
	ran(advanceOnPod).report(&run)
	if len(run.Violations) != 0 || run.Figures == nil {
		t.Fatalf("violations %q, figures %v; want none and some", run.Violations, run.Figures)
	}
	f := run.Figures
	if f.Seconds != 7 || f.StepsPerSecond != 2.0/7 || f.FirstStep.P50 != 1000 || f.JobGap.P50 != -1000 || f.PodGap.P50 != 3000 {
		t.Errorf("figures %+v", f)
	}
	if got := f.PerStep["create jobs"]; got != 1 {
		t.Errorf("%v creates a step, want 1", got)
	}
}
