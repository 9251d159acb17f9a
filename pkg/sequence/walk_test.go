package sequence_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var (
	walkSeed  = flag.Uint64("walk.seed", 0, "walk once with this seed, as a failure printed it")
	walkCount = flag.Int("walk.count", 500, "number of random walks")
	walkMoves = flag.Int("walk.moves", 250, "number of moves of each walk")
)

// TestRandomWalk lets users, the Job controller, a queue, the garbage collector and two controller processes, which
// crash, pause between any two requests and work on stale caches, move at random, and holds the world against the promises
// of the product after every move.
func TestRandomWalk(t *testing.T) {
	seeds := []uint64{*walkSeed}
	if *walkSeed == 0 {
		seeds = seeds[:0]
		first := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
		for i := range *walkCount {
			seeds = append(seeds, first+uint64(i)) //nolint:gosec // any number will do
		}
	}
	seen := map[string]int{}
	for _, seed := range seeds {
		w := newWalk(seed)
		w.seen = seen
		for range *walkMoves {
			w.move()
			if w.check(); len(w.problems) > 0 {
				w.fail(t, seed)
			}
			if w.sj != nil {
				seen[string(w.sj.Status.Phase)]++
			}
		}
		if w.settle(); len(w.problems) > 0 {
			w.fail(t, seed)
		}
	}
	if *walkSeed != 0 || *walkCount < 100 {
		return
	}
	for _, want := range []string{
		"Pending", "Running", "Suspended", "Completed", "Failed", "retried", "resumed after failure", "waited for pods",
		"suspended a Job", "resumed a Job", "changed a deadline", "out of time", "expired", "deleted", "name conflict",
		"finalizer put back", "adopted a Job", "answer lost", "refused: denied", "refused: invalid", "refused: unavailable",
		"seen to be complete before it was gone", "started the next step on a pod's success", "failed although its pod had succeeded",
		"waited for approval", "a step out of time",
		"ran finally", "ran finally again", "finally failed", "waited with finally for pods", "cancelled", "cancelled before a step", "stopped a Job",
		"ran finally after cancelling",
	} {
		if seen[want] == 0 {
			t.Errorf("no walk ever came to %q: they prove less than they should", want)
		}
	}
	t.Logf("%d walks of %d moves: %v", len(seeds), *walkMoves, seen)
}

// walk is a world in which things happen at random.
type walk struct {
	*world
	random    *rand.Rand
	processes []*process
	log       []string
	seen      map[string]int
	lost      bool
}

func newWalk(seed uint64) *walk {
	w := &walk{random: rand.New(rand.NewPCG(seed, 0)), world: newWorld("s0", "s1", "s2")} //nolint:gosec // no secret
	if w.oneIn(2) {
		w.changeSpec(switchAdvanceOn)
	}
	w.changeSpec(w.setFinally)
	for range 2 {
		w.processes = append(w.processes, newProcess(w.world))
	}
	return w
}

func (w *walk) fail(t *testing.T, seed uint64) {
	t.Helper()
	const shown = 80
	t.Fatalf("%s\nrun it again with -walk.seed=%d -walk.moves=%d; the last moves:\n%s", strings.Join(w.problems, "\n"), seed,
		*walkMoves, strings.Join(w.log[max(0, len(w.log)-shown):], "\n"))
}

func (w *walk) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// oneIn is true once in n times.
func (w *walk) oneIn(n int) bool { return w.random.IntN(n) == 0 }

// move lets one thing happen.
func (w *walk) move() {
	// A sequence whose time runs out while a former leader is about to create its next Job ends beside that Job, which stops
	// by its own deadline.
	isUnlimited := w.sj == nil || w.sj.Spec.ActiveDeadlineSeconds == nil && !hasStepDeadlines(&w.sj.Spec)
	if w.oneIn(2) && (isUnlimited || !w.isCreating()) {
		w.passTime(time.Duration(w.random.IntN(3)) * time.Second)
	}
	i := w.random.IntN(len(w.processes))
	s := w.processes[i]
	switch n := w.random.IntN(100); {
	case n < 45:
		w.work(i)
	case n < 55:
		w.note("process %d sees the SequentialJob", i)
		s.seeSJ(w.world)
	case n < 65:
		w.note("process %d sees the Jobs", i)
		s.seeJobs(w.world)
	case n < 68:
		w.note("process %d starts again", i)
		w.restart(s)
	default:
		w.others()
	}
}

// isNeeded says whether a process has decided to create a Job and has not done it yet, and this Job bars that, or is why it
// did. A Job that comes and goes within one pause of a former leader is the one thing that no lock by name can see: see the
// model.
func (w *walk) isNeeded(job *batchv1.Job) bool {
	record, ours := w.ledger[job.UID]
	return slices.ContainsFunc(w.processes, func(s *process) bool {
		return s.isCreating() && (!ours || s.mayCreate(&record) || !record.ended)
	})
}

// isCreating says whether a process has decided to create any Job and has not done it yet.
func (w *walk) isCreating() bool {
	return slices.ContainsFunc(w.processes, (*process).isCreating)
}

// restart starts a process again. It forgets what it saw of Jobs that are gone. If that is all that tells that a step was complete, no
// other may go on knowing it: see forget.
func (w *walk) restart(p *process) {
	for _, job := range p.seenGone {
		if record := w.ledger[job.UID]; record.complete && !record.done {
			w.restartAll()
			return
		}
	}
	p.restart(w.world)
}

func (w *walk) restartAll() {
	for _, s := range w.processes {
		s.restart(w.world)
	}
}

// settle ends all faults, does what the conditions ask of users, and expects everything to come to an end.
func (w *walk) settle() {
	if w.sj != nil && w.sj.DeletionTimestamp.IsZero() {
		w.note("the user lets it go on")
		w.changeSpec(func(spec *v1alpha1.SequentialJobSpec) {
			spec.Suspend, spec.ActiveDeadlineSeconds, spec.TTLSecondsAfterFinished, spec.StepOverrides = nil, nil, nil, nil
		})
	}
	s := w.processes[0]
	for range 40 {
		w.note("all is calm")
		for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
			job := w.jobs[name]
			if isSuspended(job) && !heldByUs(job) && !sequence.HasEnded(job) {
				w.queueSuspends(name, false)
			}
			if job = w.jobs[name]; !sequence.HasEnded(job) && !isSuspended(job) {
				w.succeedPod(name)
				w.completeJob(name)
			}
			if w.sj != nil && w.inTheWay(job) {
				w.removeJob(name, false)
			}
		}
		w.collectGarbage()
		s.restart(w.world)
		s.sync(w.world)
		w.check()
	}
	if w.sj == nil {
		return
	}
	if !sequence.Finished(&w.sj.Status) || !w.sj.DeletionTimestamp.IsZero() || len(w.sj.Finalizers) > 0 {
		w.problem("it never came to an end: phase %q, deleted %v, finalizers %v, %v", w.sj.Status.Phase, w.sj.DeletionTimestamp,
			w.sj.Finalizers, conditions(&w.sj.Status))
	}
}

// isInTheWay says whether a Job that has the name of a step's is not that step's.
func isInTheWay(sj *v1alpha1.SequentialJob, index int, job *batchv1.Job) bool {
	return !metav1.IsControlledBy(job, sj) || job.Labels[v1alpha1.StepNameLabel] != sequence.ContainerAt(&sj.Spec, index).Name
}

// inTheWay says whether a Job has the name of the next step's without being it, and the status asks for it to be deleted.
func (w *world) inTheWay(job *batchv1.Job) bool {
	c := meta.FindStatusCondition(w.sj.Status.Conditions, v1alpha1.ConditionProgressing)
	if c == nil || c.Reason != v1alpha1.ReasonJobNameConflict {
		return false
	}
	next := nextIndex(&w.sj.Status)
	return sequence.ContainerAt(&w.sj.Spec, next) != nil && job.Name == sequence.NextJobName(w.sj) && isInTheWay(w.sj, next, job)
}

// nextIndex is the index of the container that starts next, unless that which runs is started again or was the last.
func nextIndex(status *v1alpha1.SequentialJobStatus) int {
	if status.Result != nil {
		return sequence.FirstFinally + len(status.Finally)
	}
	next := len(status.Steps)
	if next > 0 && status.Steps[next-1].State == v1alpha1.StepFailed {
		next--
	}
	return next
}
