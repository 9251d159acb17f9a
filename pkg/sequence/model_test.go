package sequence_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

var modelFull = flag.Bool("model.full", false, "search the model within larger bounds, for some minutes")

// scenario is within which bounds the model is searched.
type scenario struct {
	name        string
	steps       int
	finally     int
	retries     int32
	taken       string // a name that a foreign Job has at first
	byPod       bool   // the next step starts once the pod of the one before it has succeeded
	controllers int
	budget      budget
	// without takes a rule away.
	without func(*rules)
	// careless are the demands that users do not mind.
	careless []demand
}

var whileOneWorks = []demand{nameFree, nobodyCreates, viewsAgree}

// scenarios take some seconds together.
var scenarios = []scenario{
	{name: "a step fails or is deleted and is retried", steps: 2, retries: 1, controllers: 2, budget: budget{JobDeletions: 1}},
	{name: "a failed sequence is resumed, and the budget lowered", steps: 1, controllers: 2, budget: budget{Failures: 1, Raises: 1, Lowerings: 1}},
	{name: "a user and a queue suspend", steps: 1, controllers: 2, budget: budget{Suspensions: 1, Queueings: 1}},
	{name: "deleted and created again", steps: 1, controllers: 2, budget: budget{Deletions: 1, Creations: 1}},
	{name: "the next step is edited", steps: 2, controllers: 2, budget: budget{Edits: 1}},
	{name: "the name of a Job is taken", steps: 2, controllers: 2, taken: "etl-1", budget: budget{Failures: 1}},
	{name: "requests are refused, and answers lost", steps: 2, controllers: 2, budget: budget{Refusals: 2}},
	{name: "requests are refused for good", steps: 2, retries: 1, controllers: 1, budget: budget{Refusals: 2, Edits: 1, Failures: 1}},
	{name: "requests are refused while a user suspends", steps: 1, controllers: 2, budget: budget{Refusals: 1, Suspensions: 1}},
	{name: "requests are refused, and a step fails and is retried", steps: 1, retries: 1, controllers: 2, budget: budget{Refusals: 1, Failures: 1}},
	{name: "labels, owners and the finalizer are taken off", steps: 2, controllers: 2, budget: budget{Thefts: 2}},
	{name: "something is taken off, and the SequentialJob deleted and created again", steps: 1, controllers: 2,
		budget: budget{Thefts: 1, Deletions: 1, Creations: 1}},
	{name: "something is taken off, and a Job deleted", steps: 2, retries: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Thefts: 1, JobDeletions: 1, Refusals: 1}},
	{name: "much at once, one controller at a time", steps: 2, retries: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{JobDeletions: 1, Suspensions: 1, Deletions: 1}},
	{name: "by pods: one fails, or its Job's time is up", steps: 2, controllers: 2, byPod: true, budget: budget{Failures: 1}},
	{name: "by pods: its Job's time is up at any moment, one controller at a time", steps: 2, retries: 1, controllers: 1, byPod: true,
		careless: whileOneWorks, budget: budget{Failures: 2}},
	{name: "by pods: a Job is deleted, and the step retried", steps: 2, retries: 1, controllers: 1, byPod: true, careless: whileOneWorks,
		budget: budget{JobDeletions: 1, Failures: 1}},
	{name: "by pods: suspended, by a user and a queue", steps: 2, controllers: 1, byPod: true, careless: whileOneWorks,
		budget: budget{Suspensions: 1, Queueings: 1}},
	{name: "by pods: switched", steps: 2, controllers: 2, byPod: true, budget: budget{Switches: 1}},
	{name: "by pods: a finalizer is taken off a pod, or labels and owners off Jobs", steps: 2, controllers: 2, byPod: true, budget: budget{Thefts: 1}},
	{name: "by pods: edited and deleted", steps: 2, controllers: 1, byPod: true, careless: whileOneWorks, budget: budget{Edits: 1, Deletions: 1}},
	{name: "by pods: requests are refused, and answers lost", steps: 2, controllers: 2, byPod: true, budget: budget{Refusals: 1}},
	{name: "edited and deleted, one controller at a time", steps: 2, controllers: 1, careless: whileOneWorks,
		budget: budget{JobDeletions: 1, Edits: 1, Deletions: 1}},
}

// fullScenarios take some minutes.
var fullScenarios = []scenario{
	{name: "by pods: suspended, by a user and a queue, and switched", steps: 2, controllers: 1, byPod: true, careless: whileOneWorks,
		budget: budget{Suspensions: 1, Queueings: 1, Switches: 1, Failures: 1}},
	{name: "by pods: edited, deleted and created again", steps: 2, controllers: 1, byPod: true, careless: whileOneWorks,
		budget: budget{Edits: 1, Deletions: 1, Creations: 1}},
	{name: "a step fails, is deleted and is retried twice", steps: 2, retries: 2, controllers: 2, budget: budget{Failures: 1, JobDeletions: 2}},
	{name: "a failed sequence is resumed twice, and the budget lowered", steps: 1, controllers: 2,
		budget: budget{Failures: 2, Raises: 2, Lowerings: 1}},
	{name: "a user and a queue suspend two steps", steps: 2, controllers: 2, budget: budget{Suspensions: 1, Queueings: 1}},
	{name: "suspended and deleted and retried", steps: 1, retries: 1, controllers: 2, budget: budget{Suspensions: 1, JobDeletions: 1, Failures: 1}},
	{name: "deleted and created again, with two steps", steps: 2, controllers: 2, budget: budget{Deletions: 1, Creations: 1, JobDeletions: 1}},
	{name: "the next step is edited, and Jobs deleted", steps: 2, retries: 1, controllers: 2, budget: budget{Edits: 1, JobDeletions: 1}},
	{name: "three steps, and names that are taken", steps: 3, retries: 1, controllers: 2, taken: "etl-1", budget: budget{Failures: 1}},
	{name: "much more at once, one controller at a time", steps: 2, retries: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Failures: 1, JobDeletions: 1, Suspensions: 1, Edits: 1, Deletions: 1}},
	{name: "requests are refused again and again, while much else happens", steps: 2, retries: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{JobDeletions: 1, Suspensions: 1, Refusals: 1, Thefts: 1}},
	{name: "refused and taken off, with two controllers", steps: 2, retries: 1, controllers: 2, budget: budget{Refusals: 1, Thefts: 1, JobDeletions: 1}},
	{name: "queued and resumed, one controller at a time", steps: 2, retries: 1, controllers: 1, careless: whileOneWorks,
		budget: budget{Failures: 1, Queueings: 1, Suspensions: 1, Raises: 1, Lowerings: 1}},
}

// first is where it begins.
func (s *search) first() place {
	w := newWorld([]string{"s0", "s1", "s2"}[:s.steps]...)
	w.told, w.intern = nil, s.intern
	w.changeSJ(func(sj *v1alpha1.SequentialJob) {
		if s.retries > 0 {
			sj.Spec.Retries = &s.retries
		}
		for i := range s.finally {
			sj.Spec.Finally = append(sj.Spec.Finally, corev1.Container{Name: fmt.Sprintf("f%d", i)})
		}
		if s.byPod {
			sj.Spec.AdvanceOn = new(v1alpha1.AdvanceOnPodSucceeded)
		}
	})
	if s.taken != "" {
		w.keepJob(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: s.taken, UID: "uid-foreign"}})
	}
	return place{world: w, budget: s.budget, first: w.sj}
}

func newSearch(s scenario) *search {
	return &search{model: newModel(s), index: map[state]uint32{}}
}

func (s *search) fail(t *testing.T) {
	t.Helper()
	t.Fatalf("%s, after %d moves:\n%s", s.problem, len(s.trace), strings.Join(s.trace, "\n"))
}

// TestTheProtocolKeepsItsPromisesInEveryStateWithinBounds searches all states that two controllers can come to, which
// crash and lag behind as they like, while users and others do what the scenario allows.
func TestTheProtocolKeepsItsPromisesInEveryStateWithinBounds(t *testing.T) {
	const maxStates = 10_000_000
	all := slices.Concat(scenarios, finallyScenarios)
	if *modelFull {
		all = slices.Concat(scenarios, finallyScenarios, fullScenarios, fullFinallyScenarios)
	}
	for _, scenario := range all {
		t.Run(scenario.name, func(t *testing.T) {
			began := time.Now()
			s := newSearch(scenario)
			if err := s.seek("", maxStates); err != nil {
				t.Fatal(err)
			}
			if s.problem != "" {
				s.fail(t)
			}
			if trace := s.stuck(); trace != nil {
				t.Fatal(strings.Join(trace, "\n"))
			}
			t.Log(s.summary(), time.Since(began).Round(time.Millisecond))
		})
	}
}

// summary tells within which bounds it searched, and how much there was.
func (s *search) summary() string {
	return fmt.Sprintf("%d steps, %d finally, %d retries, %d controllers, %+v: %d states (%d worlds, %d processes), %d transitions, depth %d, no violation",
		s.steps, s.finally, s.retries, s.controllers, s.budget, len(s.states), len(s.places), len(s.processes), len(s.edges), s.depth)
}
