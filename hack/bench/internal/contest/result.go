package contest

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/example/sequential-job-operator/hack/bench/internal/audit"
	"github.com/example/sequential-job-operator/hack/bench/internal/judge"
	"github.com/example/sequential-job-operator/hack/bench/internal/observe"
	"github.com/example/sequential-job-operator/hack/bench/internal/proc"
	"github.com/example/sequential-job-operator/hack/bench/internal/stats"
)

// The names of the processes that are not part of the cluster.
const (
	contestantProcess = "contestant"
	benchProcess      = "bench"
)

var ownPID = os.Getpid()

// Run is what one run of one contestant came to.
type Run struct {
	Contestant string `json:"contestant"`
	Shape      string `json:"shape"`
	Round      int    `json:"round"`
	Sequences  int    `json:"sequences"`
	Steps      int    `json:"steps"`
	// Violations are what the judge says. If there are any, there are no figures.
	Violations []string `json:"violations,omitempty"`
	Figures    *Figures `json:"figures,omitempty"`
	// Overspent says where more was asked than the controller is known to ask for, if that was to be checked.
	Overspent []string `json:"overspent,omitempty"`
}

// Figures are what was measured. Times are in milliseconds.
type Figures struct {
	Seconds        float64 `json:"seconds"`
	StepsPerSecond float64 `json:"stepsPerSecond"`
	// JobGap is from when a Job was seen Complete to when the next one was seen; PodGap from when a pod was seen Succeeded to when
	// the next step's pod was; FirstStep from when a sequence was begun to when its first Job was seen.
	JobGap    stats.Summary `json:"jobGapMs"`
	PodGap    stats.Summary `json:"podGapMs"`
	FirstStep stats.Summary `json:"firstStepMs"`
	// Asked is what the contestant asked of the API server, in all, and PerStep the same for each step.
	Asked   audit.Count        `json:"asked"`
	PerStep map[string]float64 `json:"requestsPerStep"`
	// CPU is what each process used for a step, in milliseconds. "others" are all processes that have no part in it: how noisy
	// the machine was.
	CPU map[string]float64 `json:"cpuMsPerStep"`
	// OthersShare is the share of the machine's processors that others used meanwhile.
	OthersShare float64     `json:"othersShareOfMachine"`
	Memory      proc.Memory `json:"memory"`
	// WatchRestarts is how often a watch of the observer had to be begun again: some gaps are off then.
	WatchRestarts int `json:"observerWatchRestarts"`
}

// Problems are what is wrong with a run, in words that tell which.
func (r *Run) Problems() []string {
	var out []string
	for _, violation := range slices.Concat(r.Violations, r.Overspent) {
		out = append(out, fmt.Sprintf("%s, %s, round %d: %s", r.Contestant, r.Shape, r.Round, violation))
	}
	return out
}

func (m *measurement) report(run *Run) {
	history := judge.History{Stored: audit.JobsCreated(m.events, m.namespace), Seen: Seen(m.steps, m.advanceOn())}
	run.Violations = history.Violations(m.shape.Names())
	if len(run.Violations) == 0 {
		run.Figures = m.figures()
	}
}

// advanceOn is what ends a step. The ideal loop goes by Jobs, always.
func (m *measurement) advanceOn() string {
	if m.contestant.name() == ControllerName {
		return m.bench.Options.AdvanceOn
	}
	return ""
}

// Seen is what an observer saw, as the judge wants it: with the end of each step that the sequences go by.
func Seen(steps map[string]*observe.Step, advanceOn string) map[string]judge.Job {
	out := map[string]judge.Job{}
	for name, step := range steps {
		if !step.Created.Seen() {
			continue // a pod of something else
		}
		job := judge.Job{Created: step.Created.Revision, Ended: step.Complete.Revision, UIDs: step.UIDs}
		if advanceOn == advanceOnPod {
			job.Ended = step.PodSucceeded.Revision
		}
		out[name] = job
	}
	return out
}

func (m *measurement) figures() *Figures {
	f := &Figures{Asked: audit.CountRequests(m.events, m.contestant.account().User()), Memory: m.memory, WatchRestarts: m.restarts}
	f.JobGap, f.PodGap = stats.Summarize(m.gaps(false)), stats.Summarize(m.gaps(true))
	f.FirstStep = stats.Summarize(m.firstSteps())
	took := m.took()
	f.Seconds = took.Seconds()
	f.StepsPerSecond = float64(m.shape.Total()) / took.Seconds()
	f.PerStep = perStep(f.Asked.Requests, m.shape.Total())
	used, others := m.after.Since(m.before)
	used["others"] = others
	f.CPU = map[string]float64{}
	for name, cpu := range used {
		f.CPU[name] = milliseconds(cpu) / float64(m.shape.Total())
	}
	machine := float64(proc.ThisMachine().Cores) * m.after.At.Sub(m.before.At).Seconds()
	f.OthersShare = others.Seconds() / machine
	return f
}

// gaps are from the end of each step to the beginning of the next one: of Jobs, or of pods.
func (m *measurement) gaps(pods bool) []time.Duration {
	var out []time.Duration
	for _, names := range m.shape.Names() {
		for i := 1; i < len(names); i++ {
			before, after := m.steps[names[i-1]], m.steps[names[i]]
			gap := after.Created.At.Sub(before.Complete.At)
			if pods {
				gap = after.PodCreated.At.Sub(before.PodSucceeded.At)
			}
			out = append(out, gap)
		}
	}
	return out
}

func (m *measurement) firstSteps() []time.Duration {
	var out []time.Duration
	for i, names := range m.shape.Names() {
		// Without the monotonic clock, which another process does not share.
		out = append(out, m.steps[names[0]].Created.At.Round(0).Sub(m.begun[sequenceName(i)].Round(0)))
	}
	return out
}

// took is from when the first sequence was begun to when the last step was seen to end.
func (m *measurement) took() time.Duration {
	var first, last time.Time
	for _, at := range m.begun {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	for _, step := range m.steps {
		ended := step.Complete.At
		if m.advanceOn() == advanceOnPod {
			ended = step.PodSucceeded.At
		}
		if ended.After(last) {
			last = ended
		}
	}
	return last.Round(0).Sub(first.Round(0))
}

func perStep(requests map[string]int, steps int) map[string]float64 {
	out := map[string]float64{}
	for name, n := range requests {
		out[name] = float64(n) / float64(steps)
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
