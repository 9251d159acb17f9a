package sequence_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/sequence"
)

// addSeeds adds what a test without a fuzzer tries: as many bytes as a turn may use up.
func addSeeds(f *testing.F) {
	f.Helper()
	const seeds, length = 400, 600
	f.Add([]byte{})
	f.Add([]byte("a sequence that has just been created"))
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // any will do
	for range seeds {
		bytes := make([]byte, random.IntN(length))
		for i := range bytes {
			bytes[i] = byte(random.IntN(256)) //nolint:gosec // fits
		}
		f.Add(bytes)
	}
}

// anyFacts are those of a turn that begins: any SequentialJob, any status that somebody may have forged, any Jobs and any time.
func anyFacts(d *dice) sequence.Facts {
	facts := sequence.Facts{Now: d.clock(), SequentialJob: d.sequence()}
	facts.Jobs, facts.Gone = d.jobs(facts.SequentialJob), oneOf(d, nil, nil, d.jobs(facts.SequentialJob))
	facts.Unready, facts.PodLost = oneOf(d, metav1.Time{}, d.time()).Time, d.below(3) == 1
	facts.PodSucceeded = d.below(2) == 1
	return facts
}

// FuzzNext plays turns that begin with any facts, and in which each request has any answer. It never panics, each turn ends, and
// whatever it does is within the promises.
func FuzzNext(f *testing.F) {
	addSeeds(f)
	f.Fuzz(fuzzNext)
}

func fuzzNext(t *testing.T, bytes []byte) {
	t.Helper()
	d := &dice{bytes: bytes}
	facts := anyFacts(d)
	others := &anyone{dice: d, server: server{jobs: slices.Clone(facts.Jobs)}}
	asked := map[string]int{}
	for requests := 0; ; requests++ {
		before := copyOf(&facts)
		a := sequence.Next(facts)
		if !reflect.DeepEqual(before, &facts) {
			t.Fatalf("the facts changed with %q", a.Request)
		}
		checkAction(t, &facts, &a)
		if a.Request == sequence.EndTurn {
			return
		}
		if most := 30 + 2*len(facts.SequentialJob.Spec.Containers); requests > most {
			t.Fatalf("a turn of more than %d requests: %v", most, asked)
		}
		asked[string(a.Request)]++
		facts = facts.With(a, others.answer(&facts, a))
	}
}

// anyone is an API server beside which others work: it answers as it likes, and what it stores may be changed by them.
type anyone struct {
	dice   *dice
	server server
}

func (o *anyone) answer(f *sequence.Facts, a sequence.Action) sequence.Answer {
	d := o.dice
	refusal := d.refusal()
	if refusal.Class != "" && refusal.Class != sequence.Unavailable {
		return sequence.Answer{Refusal: refusal}
	}
	switch a.Request {
	case sequence.ListPods, sequence.ListJobPods:
		o.server.pods = several(d, 3, d.anyPod)
	case sequence.ListEvents:
		o.server.events = several(d, 3, d.event)
	default:
	}
	answer := o.server.answer(f, a)
	if refusal.Class != "" {
		return sequence.Answer{Refusal: refusal} // carried out, and the answer got lost
	}
	if answer.SequentialJob != nil && d.below(4) == 1 {
		change := d.sequence()
		change.Name = f.SequentialJob.Name
		if a.Request != sequence.ReadSequentialJob {
			change.UID = f.SequentialJob.UID // what is written is written to that one
		}
		answer.SequentialJob = change
	}
	if answer.Job != nil && d.below(4) == 1 {
		change := d.job(f.SequentialJob, d.below(4))
		change.Name, change.UID = answer.Job.Name, oneOf(d, answer.Job.UID, change.UID)
		answer.Job = change
	}
	return answer
}

// anyPod is a pod of any Job.
func (d *dice) anyPod(i int) corev1.Pod {
	pod := d.pod(i)
	if d.below(2) == 1 {
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: oneOf(d, "etl-0", "etl-1", "other"), UID: d.jobUID(i), Controller: new(true)}}
		pod.Finalizers = oneOf(d, nil, []string{batchv1.JobTrackingFinalizer})
	}
	return pod
}

// FuzzTurns plays turns on any facts with a server that does what it is asked, until there is nothing more to do: then nothing is
// decided otherwise, told again or stored again.
func FuzzTurns(f *testing.F) {
	addSeeds(f)
	f.Fuzz(fuzzTurns)
}

func fuzzTurns(t *testing.T, bytes []byte) {
	t.Helper()
	d := &dice{bytes: bytes}
	facts := anyFacts(d)
	facts.PodLost, facts.Gone = false, nil // it is told in the turn that sees it
	api := &server{jobs: slices.Clone(facts.Jobs), pods: several(d, 3, d.anyPod), events: several(d, 3, d.event)}
	const most = 40
	first := granted(&facts.SequentialJob.Status)
	var last turn
	for turns := 0; ; turns++ {
		before := facts.SequentialJob.Status
		last, facts.SequentialJob = api.play(facts)
		if facts.SequentialJob == nil {
			return
		}
		checkStatusFits(t, &before, &last.Status)
		facts.Jobs = slices.Clone(api.jobs)
		if isSame := reflect.DeepEqual(before, last.Status); !last.Last.AtOnce && (!last.Last.TryAgain || isSame) {
			break
		}
		// A forged status may make it use up its retries one by one.
		if turns > most {
			if int64(granted(&last.Status)) < int64(first)+most/2 {
				t.Fatalf("it never comes to rest: %q", last.Requests)
			}
			return
		}
	}
	again, after := api.play(facts)
	if after == nil {
		return
	}
	if !reflect.DeepEqual(again.Status, last.Status) || len(again.Events) > 0 || again.Last.AtOnce {
		t.Errorf("another turn with %q and events %.300v changes the status (-before +after):\n%.3000s", again.Requests, again.Events,
			cmp.Diff(last.Status, again.Status))
	}
}
