package controller

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// move is something that the controller is told.
type move struct {
	name string
	do   func(*orders)
}

// orders plays what the controller is told of one SequentialJob, and of what the API server did. What comes from one source keeps its
// order: the cache of SequentialJobs, the handler of its events, that of the Jobs' events, and the answers to requests.
type orders struct {
	*world
	seen []func() // what the cache has seen, and the handler has not
}

// cacheHas makes the cache hold that SequentialJob, or none. The handler is told later.
func cacheHas(name string, before, after *v1alpha1.SequentialJob) move {
	return move{name, func(o *orders) {
		var all []any
		tell := func() { o.c.memory.forget(before.UID) }
		if after != nil {
			all, tell = []any{after}, func() { o.c.sawSequentialJob(before, after) }
		}
		must(o.t, o.sjs.Replace(all, ""))
		o.seen = append(o.seen, tell)
	}}
}

var handlerIsTold = move{"handler", func(o *orders) { o.seen[0](); o.seen = o.seen[1:] }}

func answered(name string, do func(*orders)) move { return move{"answer: " + name, do} }

func jobSeen(name string, before, after *batchv1.Job) move {
	return move{"Job: " + name, func(o *orders) { o.c.sawJob(before, after) }}
}

func jobGone(job *batchv1.Job) move {
	return move{"Job: gone", func(o *orders) { o.c.sawJobGone(job) }}
}

// forEachOrder calls play with every order of the moves of the streams that keeps the order within each.
func forEachOrder(streams [][]move, before []move, play func([]move)) {
	ended := true
	for i, stream := range streams {
		if len(stream) == 0 {
			continue
		}
		ended = false
		rest := append([][]move{}, streams...)
		rest[i] = stream[1:]
		forEachOrder(rest, append(before[:len(before):len(before)], stream[0]), play)
	}
	if ended {
		play(before)
	}
}

// isPossible is false for orders in which the handler is told of what the cache has not seen yet.
func isPossible(order []move) bool {
	seen := 0
	for _, move := range order {
		switch {
		case strings.HasPrefix(move.name, "cache: "):
			seen++
		case move.name == handlerIsTold.name:
			seen--
		}
		if seen < 0 {
			return false
		}
	}
	return true
}

// Whatever comes first: once all has come, nothing is remembered of what has ended or is gone.
func TestNothingIsRememberedInWhateverOrderThingsAreTold(t *testing.T) {
	begun, _ := sequenceAt(0, "extract", "load")
	begun.ResourceVersion = "100"
	next := jobOf(begun, 1)
	version := func(version string, change func(*v1alpha1.SequentialJob)) *v1alpha1.SequentialJob {
		sj := begun.DeepCopy()
		sj.ResourceVersion = version
		change(sj)
		return sj
	}
	goesOn := version("101", func(sj *v1alpha1.SequentialJob) {
		sj.Status.Steps[0].State = v1alpha1.StepCompleted
		sj.Status.Steps = append(sj.Status.Steps, v1alpha1.StepStatus{JobName: next.Name, JobUID: next.UID, State: v1alpha1.StepRunning})
	})
	failed := version("102", func(sj *v1alpha1.SequentialJob) { sj.Status.Phase = v1alpha1.SequentialJobFailed })
	anew := version("103", func(sj *v1alpha1.SequentialJob) { sj.UID, sj.Status = "uid-of-another", v1alpha1.SequentialJobStatus{} })
	ready, lost, ended := readyJob(begun, 0, 1), readyJob(begun, 0, 0), readyJob(begun, 0, 0)
	lost.Status.Failed = 1
	ended.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: "True"}}

	created := answered("create Job", func(o *orders) {
		o.c.record(o.ctx, begun, begun, sequence.Action{Request: sequence.CreateJob, Step: 1}, sequence.Answer{Job: next})
	})
	stored := func(before, after *v1alpha1.SequentialJob) move {
		return answered("store status "+after.ResourceVersion, func(o *orders) {
			o.c.record(o.ctx, before, after, sequence.Action{Request: sequence.StoreStatus}, sequence.Answer{SequentialJob: after})
		})
	}
	notTold := answered("list pods: refused", func(o *orders) {
		facts := sequence.Facts{SequentialJob: begun, PodLost: true}
		refused := facts
		refused.Answers = map[sequence.Request]sequence.Refusal{sequence.ListJobPods: {Class: sequence.Unavailable}}
		o.c.putBack(&facts, &refused)
	})
	toldGoesOn, toldFailed := cacheHas("cache: goes on", begun, goesOn), cacheHas("cache: failed", goesOn, failed)
	toldGone, toldAnew := cacheHas("cache: gone", failed, nil), cacheHas("cache: another of its name", goesOn, anew)
	once, twice := []move{handlerIsTold}, []move{handlerIsTold, handlerIsTold}
	lostAPod := jobSeen("lost a pod", ready, lost)

	for name, streams := range map[string][][]move{
		"fails": {{toldGoesOn, toldFailed}, twice, {created, stored(begun, goesOn), stored(goesOn, failed)},
			{lostAPod, jobSeen("ended", lost, ended)}},
		"fails, and its Job goes on":      {{toldGoesOn, toldFailed}, twice, {created, stored(begun, goesOn), stored(goesOn, failed)}, {lostAPod}},
		"fails, and the answers are lost": {{toldGoesOn, toldFailed}, twice, {created, notTold}, {lostAPod, jobGone(lost)}},
		"another process lets it fail":    {{cacheHas("cache: failed", begun, failed)}, once, {notTold, created}, {lostAPod, jobGone(lost)}},
		"is deleted":                      {{toldGoesOn, toldGone}, twice, {created, stored(begun, goesOn), notTold}, {lostAPod, jobGone(lost)}},
		"is deleted, and its Job goes on": {{toldGoesOn, toldGone}, twice, {created, stored(begun, goesOn), notTold}, {lostAPod}},
		"fails and is deleted": {{toldFailed, toldGone}, twice, {created, stored(begun, failed)},
			{lostAPod, jobSeen("ended", lost, ended), jobGone(ended)}},
		"is deleted and created again": {{toldGoesOn, toldAnew}, twice, {created, stored(begun, goesOn), notTold}, {lostAPod, jobGone(lost)}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSyncWorld(t, nil)
			played := 0
			forEachOrder(streams, nil, func(order []move) {
				if !isPossible(order) || t.Failed() {
					return
				}
				played++
				w.c.memory.byUID = nil
				must(t, w.sjs.Replace([]any{begun}, ""))
				o := &orders{world: w}
				var names []string
				for _, move := range order {
					move.do(o)
					names = append(names, move.name)
				}
				if w.c.memory.wantEmpty(t); t.Failed() {
					t.Errorf("after %s", strings.Join(names, "; "))
				}
			})
			t.Logf("%d orders", played)
		})
	}
}
