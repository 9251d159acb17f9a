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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var (
	walkSeed  = flag.Uint64("walk.seed", 0, "walk once with this seed, as a failure printed it")
	walkCount = flag.Int("walk.count", 300, "number of random walks")
	walkMoves = flag.Int("walk.moves", 200, "number of moves of each walk")
)

// TestRandomWalk lets users, the Job controller, the garbage collector and two controller processes, which crash and
// work on stale caches, move at random, and holds the world against the promises of the product after every move.
func TestRandomWalk(t *testing.T) {
	seeds := []uint64{*walkSeed}
	if *walkSeed == 0 {
		seeds = seeds[:0]
		first := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
		for i := range *walkCount {
			seeds = append(seeds, first+uint64(i)) //nolint:gosec // any number will do
		}
	}
	seen := map[v1alpha1.SequentialJobPhase]int{}
	for _, seed := range seeds {
		w := newWalk(seed)
		for range *walkMoves {
			w.move()
			if w.check(); len(w.problems) > 0 {
				w.fail(t, seed)
			}
			if w.sj != nil {
				seen[w.sj.Status.Phase]++
			}
		}
		if w.settle(); len(w.problems) > 0 {
			w.fail(t, seed)
		}
	}
	if *walkSeed != 0 || *walkCount < 100 {
		return
	}
	for _, phase := range []v1alpha1.SequentialJobPhase{"Pending", "Running", "Suspended", "Completed", "Failed"} {
		if seen[phase] == 0 {
			t.Errorf("no walk ever came to phase %s: they prove less than they should", phase)
		}
	}
}

// walk is a world in which things happen at random.
type walk struct {
	*world
	random *rand.Rand
	shells []*shell
	log    []string
	nested bool
	calm   bool
}

func newWalk(seed uint64) *walk {
	w := &walk{random: rand.New(rand.NewPCG(seed, 0)), world: newWorld("s0", "s1", "s2")} //nolint:gosec // no secret
	for range 2 {
		s := newShell(w.world)
		s.between = w.between
		w.shells = append(w.shells, s)
	}
	return w
}

func (w *walk) fail(t *testing.T, seed uint64) {
	t.Helper()
	const shown = 40
	t.Fatalf("%s\nrun it again with -walk.seed=%d -walk.moves=%d; the last moves:\n%s", strings.Join(w.problems, "\n"), seed,
		*walkMoves, strings.Join(w.log[max(0, len(w.log)-shown):], "\n"))
}

func (w *walk) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// between crashes a process between two requests, or lets something else happen there.
func (w *walk) between(at string) error {
	if w.calm || w.nested {
		return nil
	}
	w.nested = true
	defer func() { w.nested = false }()
	switch w.random.IntN(8) {
	case 0:
		w.note("  crash between %s", at)
		return errCrashed
	case 1:
		w.note("  between %s:", at)
		w.others()
	case 2:
		// The other process still believes that it leads. Nobody deletes a Job at that same moment: a Job that has come
		// and gone within one pause of a former leader is the one thing that no lock by name can see.
		w.note("  between %s, the other process:", at)
		w.shells[w.random.IntN(len(w.shells))].sync()
	}
	return nil
}

// move lets one thing happen.
func (w *walk) move() {
	w.clock = w.clock.Add(time.Second)
	s := w.random.IntN(len(w.shells))
	switch n := w.random.IntN(100); {
	case n < 40:
		w.note("process %d syncs", s)
		w.shells[s].sync()
	case n < 52:
		w.note("process %d sees the SequentialJob", s)
		w.shells[s].seeSJ()
	case n < 64:
		w.note("process %d sees the Jobs", s)
		w.shells[s].seeJobs()
	case n < 66:
		w.note("process %d starts anew", s)
		w.shells[s].restart()
	default:
		w.others()
	}
}

// others lets one thing happen that no controller of ours does.
func (w *walk) others() {
	switch n := w.random.IntN(100); {
	case n < 55:
		w.runJob()
	case n < 70:
		w.note("garbage collection")
		w.collectGarbage()
	case n < 75:
		w.dropJob()
	case n < 80:
		name := fmt.Sprintf("etl-%d", w.random.IntN(3))
		if _, taken := w.jobs[name]; !taken {
			w.note("somebody creates %s", name)
			w.jobs[name] = &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, UID: w.nextUID()}}
		}
	case n < 87:
		w.removeForeignJobs()
	case n < 93:
		w.editSpec()
	case n < 95:
		if w.sj != nil {
			orphan := w.random.IntN(3) == 0
			w.note("user deletes the SequentialJob, orphan %v", orphan)
			w.deletedMeanwhile = w.deletedMeanwhile || w.nested
			w.deleteSJ(orphan)
		}
	default:
		if w.sj == nil && !w.nested {
			w.note("user creates the SequentialJob again")
			w.deletedMeanwhile = false
			w.apply([]string{"s0", "s1", "s2", "s3"}[:1+w.random.IntN(4)]...)
		}
	}
}

// anyJob returns one of the Jobs for which ok holds.
func (w *walk) anyJob(ok func(*batchv1.Job) bool) *batchv1.Job {
	var found []*batchv1.Job
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		if ok(w.jobs[name]) {
			found = append(found, w.jobs[name])
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[w.random.IntN(len(found))]
}

// runJob takes a Job one step further, as the Job controller or a queue does.
func (w *walk) runJob() {
	job := w.anyJob(func(job *batchv1.Job) bool { return !hasEnded(job) })
	if job == nil {
		return
	}
	isSuspended := job.Spec.Suspend != nil && *job.Spec.Suspend
	switch n := w.random.IntN(20); {
	case isSuspended || n < 3:
		w.note("%s: suspend %v", job.Name, !isSuspended)
		job.Spec.Suspend = new(!isSuspended)
	case n < 6:
		w.note("%s: a pod succeeds", job.Name)
		job.Status.Succeeded = 1
		withCondition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "CompletionsReached", "")(job)
	case n < 19:
		w.completeJob(job)
	default:
		w.note("%s: fails", job.Name)
		failed(job)
	}
	job.ResourceVersion = w.nextVersion()
}

func (w *walk) completeJob(job *batchv1.Job) {
	w.note("%s: completes", job.Name)
	w.world.completeJob(job)
}

func (w *walk) dropJob() {
	if job := w.anyJob(func(*batchv1.Job) bool { return true }); job != nil {
		foreground := w.random.IntN(2) == 0
		w.note("user deletes %s, foreground %v", job.Name, foreground)
		w.deleteJobAsUser(job.Name, foreground)
	}
}

// removeForeignJobs does what JobNameConflict asks the user to do.
func (w *walk) removeForeignJobs() {
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		if w.sj == nil || !metav1.IsControlledBy(w.jobs[name], w.sj) {
			w.note("its owner removes %s", name)
			delete(w.jobs, name)
		}
	}
}

// editSpec changes, adds, drops or moves a step that has not started, which is what the CRD's rules allow.
func (w *walk) editSpec() {
	if w.sj == nil || w.sj.Status.Phase == v1alpha1.SequentialJobCompleted || !w.sj.DeletionTimestamp.IsZero() {
		return
	}
	steps, started := &w.sj.Spec.Containers, len(w.sj.Status.Steps)
	rest := len(*steps) - started
	switch n := w.random.IntN(4); {
	case n == 0 && len(*steps) < 6:
		*steps = append(*steps, corev1.Container{Name: fmt.Sprintf("new-%d", w.version)})
	case n == 1 && rest > 0 && len(*steps) > 1:
		*steps = (*steps)[:len(*steps)-1]
	case n == 2 && rest > 1:
		slices.Reverse((*steps)[started:])
	case n == 3 && rest > 0:
		(*steps)[started].Name = fmt.Sprintf("edited-%d", w.version)
	default:
		return
	}
	w.note("user edits the steps that have not started")
	w.sj.Generation++
	w.sj.ResourceVersion = w.nextVersion()
}

// settle ends all faults, does what the conditions ask of users, and expects everything to come to an end.
func (w *walk) settle() {
	w.calm = true
	s := w.shells[0]
	for range 40 {
		w.note("all is calm")
		for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
			job := w.jobs[name]
			job.Spec.Suspend = nil
			if !hasEnded(job) {
				w.completeJob(job)
			}
			if w.sj != nil && w.inTheWay(job) {
				w.deleteJobAsUser(name, false)
			}
		}
		w.collectGarbage()
		s.restart()
		s.sync()
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

// inTheWay says whether a Job has the name of the next step's without being it.
func (w *walk) inTheWay(job *batchv1.Job) bool {
	next := len(w.sj.Status.Steps)
	return next < len(w.sj.Spec.Containers) && job.Name == sequence.JobName(w.sj, next, 0) && sequence.Conflict(w.sj, next, job) != ""
}
