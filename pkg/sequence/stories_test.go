package sequence_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var update = flag.Bool("update", false, "write what the core does now into the stories in testdata")

// TestStories plays the stories in testdata. A line that is not indented is something that happens; the lines below it, which are, are
// all that follows: each request that the core sends, what is stored and told with it, and how the turn ends. testdata/README.md
// lists what can happen. With -update the lines that follow are written again, to be read as a diff.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := retell(t, string(raw))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(strings.Split(string(raw), "\n"), strings.Split(got, "\n")); diff != "" && !*update {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// teller plays one story.
type teller struct {
	t *testing.T
	*world
	process *process
	out     strings.Builder
	// refuse answers the next requests of a kind.
	refuse map[sequence.Request]sequence.Answer
	// refuseAll answers all requests of a kind.
	refuseAll map[sequence.Request]sequence.Answer
	// loseAnswer is the request that is carried out and not answered, and crashAt the one before which the process ends.
	loseAnswer, crashAt sequence.Request
	// podLost and unready are what the watch has shown.
	podLost bool
	unready time.Time
}

// retell returns a story with what follows from what happens.
func retell(t *testing.T, story string) string {
	t.Helper()
	s := &teller{t: t, world: newWorld("none"), refuse: map[sequence.Request]sequence.Answer{},
		refuseAll: map[sequence.Request]sequence.Answer{}}
	s.sj, s.told = nil, nil
	s.process = newProcess(s.world)
	for line := range strings.Lines(story) {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		s.out.WriteString(line)
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			s.happen(line)
		}
		for _, problem := range s.problems {
			t.Errorf("%s: a promise is broken: %s", line, problem)
		}
		s.problems = nil
	}
	return s.out.String()
}

func (s *teller) say(format string, args ...any) {
	s.out.WriteString("\t" + fmt.Sprintf(format, args...) + "\n")
}

// work lets the controller play a turn, and another one as long as it asks for one at once, on caches that are up to date.
func (s *teller) work() {
	for range 10 {
		s.process.seeSJ(s.world)
		s.process.seeJobs(s.world)
		if s.turn() {
			return
		}
	}
	s.t.Error("it asks for another turn again and again")
}

// turn says whether the last one is over.
func (s *teller) turn() bool {
	p := s.process
	p.gather(s.world)
	p.facts.PodLost, p.facts.Unready, s.podLost = s.podLost, s.unready, false
	p.next = p.rules.next(p.facts)
	for p.next.Request != sequence.EndTurn {
		a := p.next
		if a.Request == s.crashAt {
			s.say("crash before: %s", describe(a))
			s.crashAt = ""
			p.restart(s.world)
			return true
		}
		answer, isRefused := s.refuse[a.Request]
		delete(s.refuse, a.Request)
		if all, ok := s.refuseAll[a.Request]; ok && !isRefused {
			answer, isRefused = all, true
		}
		if !isRefused {
			answer = p.rules.send(s.world, &p.facts, a)
		}
		if a.Request == s.loseAnswer {
			answer, s.loseAnswer = refusedAs(sequence.Unavailable), ""
		}
		s.tell(a, answer)
		p.facts = p.facts.With(a, answer)
		p.next = p.rules.next(p.facts)
	}
	end := p.next
	p.stop()
	for _, event := range end.Events {
		s.say("  event %s %s: %s", event.Type, event.Reason, event.Message)
	}
	s.say("%s", describeEnd(end))
	return !end.AtOnce
}

// tell says what was sent, and what came of it.
func (s *teller) tell(a sequence.Action, answer sequence.Answer) {
	text := describe(a)
	if class := answer.Refusal.Class; class != "" {
		s.say("%s -> %s", text, joined(string(class), answer.Refusal.Message))
		return
	}
	s.say("%s", text)
	if a.Request != sequence.StoreStatus {
		return
	}
	s.say("  %s", describeStatus(a.Status))
	for _, event := range a.Events {
		s.say("  event %s %s: %s", event.Type, event.Reason, event.Message)
	}
}

func joined(parts ...string) string {
	var out []string
	for _, part := range parts {
		if part != "" {
			out = append(out, part)
		}
	}
	return strings.Join(out, ": ")
}

func describe(a sequence.Action) string {
	text := string(a.Request)
	switch a.Request {
	case sequence.ReadJob:
		text += " " + a.Name
	case sequence.CheckSteps, sequence.CreateJob:
		var names []string
		for i := range a.Job.Spec.Template.Spec.Containers {
			names = append(names, a.Job.Spec.Template.Spec.Containers[i].Name)
		}
		text += fmt.Sprintf(" %s%s of %s", a.Job.Name, a.Job.GenerateName, strings.Join(names, ", "))
		if deadline := a.Job.Spec.ActiveDeadlineSeconds; deadline != nil {
			text += fmt.Sprintf(", activeDeadlineSeconds %d", *deadline)
		}
	case sequence.DeleteJob, sequence.ListJobPods:
		text += " " + a.Job.Name
	case sequence.ListEvents:
		text += " about " + string(a.About)
	case sequence.ChangeJob:
		text += " " + a.Change.Job.Name + describeChange(a.Change)
	default:
	}
	return text
}

func describeChange(change *sequence.JobChange) string {
	text := ""
	if change.Suspend != nil {
		text += fmt.Sprintf(", suspend %t", *change.Suspend)
	}
	if change.ActiveDeadlineSeconds != nil {
		if seconds := *change.ActiveDeadlineSeconds; seconds == nil {
			text += ", no activeDeadlineSeconds"
		} else {
			text += fmt.Sprintf(", activeDeadlineSeconds %d", *seconds)
		}
	}
	if change.Annotations[v1alpha1.CancelledAnnotation] != nil {
		text += ", marked as cancelled"
	}
	switch advance := change.Labels[v1alpha1.AdvanceOnLabel]; {
	case advance != "":
		text += ", advance-on " + advance
	case len(change.Labels) > 0:
		text += ", labels given back"
	}
	if change.OwnerReferences != nil {
		text += ", controller given back"
	}
	return text
}

func describeStatus(status *v1alpha1.SequentialJobStatus) string {
	parts := []string{string(status.Phase) + " " + status.Progress.Completions}
	for _, step := range slices.Concat(status.Steps, status.Finally) {
		parts = append(parts, step.JobName+" "+string(step.State))
	}
	if status.Progress.Retries > 0 {
		parts = append(parts, fmt.Sprintf("%d retries granted", status.Progress.Retries))
	}
	if result := status.Result; result != nil {
		parts = append(parts, "result "+strings.TrimSpace(fmt.Sprintf("%s %s", result.Type, result.FailedStep)))
	}
	if check := status.SpecCheck; check != nil && check.Result != v1alpha1.SpecCheckAccepted {
		parts = append(parts, fmt.Sprintf("spec %s", check.Result))
	}
	text := strings.Join(parts, ", ")
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionProgressing); c != nil {
		text += fmt.Sprintf("; Progressing %s %s: %s", c.Status, c.Reason, c.Message)
	}
	return text
}

func describeEnd(end sequence.Action) string {
	const slow = 3 * time.Minute
	text := "end turn"
	switch {
	case end.AtOnce:
		text += ", begin another at once"
	case end.TryAgain:
		text += ", try again soon"
	case end.LookAgain >= slow:
		text += ", look again in some minutes"
	case end.LookAgain > 0:
		text += fmt.Sprintf(", look again in %s", end.LookAgain)
	}
	return text
}
