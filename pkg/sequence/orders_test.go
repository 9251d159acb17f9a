package sequence_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// TestAllOrdersOfEventsEndTheSame goes through every state that a short sequence can come to, whatever the order in which
// its Jobs end, the controller sees them, sees its own writes, works, and crashes, and expects the same end of them all.
func TestAllOrdersOfEventsEndTheSame(t *testing.T) {
	for steps := 1; steps <= 3; steps++ {
		for failing := -1; failing < steps; failing++ {
			for taken := -1; taken < steps && (taken < 0 || steps < 3); taken++ {
				name := fmt.Sprintf("%d steps", steps)
				if failing >= 0 {
					name += fmt.Sprintf(", step %d fails", failing)
				}
				if taken >= 0 {
					name += fmt.Sprintf(", the name of Job %d is taken at first", taken)
				}
				t.Run(name, func(t *testing.T) { exploreAll(t, newScene(steps, failing, taken)) })
				if failing >= 0 && taken < 0 && steps < 3 {
					retried := newScene(steps, failing, taken)
					retried.w.changeSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Retries = new(int32(1)) })
					retried.process.restart(retried.w)
					t.Run(name+" and is retried", func(t *testing.T) { exploreAll(t, retried) })
				}
			}
		}
	}
}

// scene is a world with one controller process, and the way by which it was come to.
type scene struct {
	w       *world
	process *process
	failing int
	path    []string
}

func newScene(steps, failing, taken int) *scene {
	w := newWorld([]string{"s0", "s1", "s2"}[:steps]...)
	if taken >= 0 {
		name := fmt.Sprintf("etl-%d", taken)
		w.jobs[name] = &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-foreign"}}
	}
	return &scene{w: w, process: newProcess(w), failing: failing}
}

func (s *scene) clone(move string) *scene {
	return &scene{w: s.w.clone(), process: s.process.clone(), failing: s.failing, path: append(slices.Clip(s.path), move)}
}

// key is all that decides what may come after, leaving out what follows from the rest.
func (s *scene) key() string {
	var out strings.Builder
	for _, sj := range []*v1alpha1.SequentialJob{s.w.sj, s.process.seenSJ} {
		out.WriteString(sj.ResourceVersion + string(sj.Status.Phase) + strings.Join(sj.Finalizers, ","))
		for _, step := range sj.Status.Steps {
			out.WriteString(" " + string(step.JobUID) + string(step.State))
		}
		fmt.Fprint(&out, " ", granted(&sj.Status))
		if c := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing); c != nil {
			out.WriteString(c.Reason + c.Message)
		}
		out.WriteString("\n")
	}
	for _, jobs := range []map[string]*batchv1.Job{s.w.jobs, s.process.seenJobs} {
		for _, name := range slices.Sorted(maps.Keys(jobs)) {
			out.WriteString(name + " " + string(jobs[name].UID) + " " + jobs[name].ResourceVersion + ",")
		}
		out.WriteString("\n")
	}
	return out.String()
}

// sceneMove is one event; it says whether it could happen.
type sceneMove struct {
	name string
	do   func(*scene) bool
}

var sceneMoves = append([]sceneMove{
	{"the running Job ends", (*scene).endJob},
	{"a recorded Job is deleted", (*scene).dropRecordedJob},
	{"the foreign Job is removed", (*scene).removeForeignJob},
	{"the controller sees the Jobs", func(s *scene) bool { s.process.seeJobs(s.w); return true }},
	{"the controller sees its writes", func(s *scene) bool { s.process.seeSJ(s.w); return true }},
	{"the controller starts again", func(s *scene) bool { s.process.restart(s.w); return true }},
	{"the controller works", func(s *scene) bool { s.process.sync(s.w); return true }},
}, crashes()...)

// crashes returns the moves in which the controller ends after so many requests of a turn.
func crashes() []sceneMove {
	const most = 9 // no turn of a scene has more
	var out []sceneMove
	for requests := 1; requests < most; requests++ {
		out = append(out, sceneMove{fmt.Sprintf("the controller crashes after %d requests", requests), func(s *scene) bool {
			s.process.begin(s.w)
			for n := 0; n < requests && !s.process.isIdle(); n++ {
				s.process.step(s.w)
			}
			crashed := !s.process.isIdle()
			s.process.restart(s.w)
			return crashed
		}})
	}
	return out
}

func (s *scene) endJob() bool {
	for _, job := range controlled(s.w.jobs, s.w.sj.UID) {
		switch {
		case sequence.HasEnded(job):
			continue
		case job.Name == fmt.Sprintf("etl-%d", s.failing):
			s.w.failJob(job.Name, batchv1.JobReasonBackoffLimitExceeded)
		default:
			s.w.completeJob(job.Name)
		}
		return true
	}
	return false
}

// dropRecordedJob deletes the first Job whose end is in the status; that must not matter.
func (s *scene) dropRecordedJob() bool {
	for _, job := range controlled(s.w.jobs, s.w.sj.UID) {
		if s.w.ledger[job.UID].ended {
			s.w.removeJob(job.Name, false)
			return true
		}
	}
	return false
}

func (s *scene) removeForeignJob() bool {
	for name, job := range s.w.jobs {
		if job.UID == "uid-foreign" {
			s.w.removeJob(name, false)
			return true
		}
	}
	return false
}

// calmRound lets a turn pass in which nothing goes wrong. It consists of moves that are explored anyhow.
func (s *scene) calmRound() {
	s.removeForeignJob()
	s.endJob()
	s.process.restart(s.w)
	s.process.sync(s.w)
}

// status is what is stored, but for the order of the conditions.
func (s *scene) status() *v1alpha1.SequentialJobStatus {
	status := s.w.sj.Status.DeepCopy()
	sortConditions(status)
	return status
}

// undisturbed returns the status in which it ends if nothing goes wrong.
func (s *scene) undisturbed(t *testing.T) *v1alpha1.SequentialJobStatus {
	t.Helper()
	s = s.clone("")
	for range 2 * v1alpha1.MaxSteps {
		if sequence.Finished(&s.w.sj.Status) {
			return s.status()
		}
		s.calmRound()
	}
	t.Fatalf("it does not even end undisturbed: %v", s.w.sj.Status)
	return nil
}

// maxStates is several times what the largest scene has.
const maxStates = 10000

func exploreAll(t *testing.T, start *scene) {
	want := start.undisturbed(t)
	seen := map[string]bool{start.key(): true}
	for todo := []*scene{start}; len(todo) > 0; {
		// A core that writes without end makes states without end.
		if len(seen) > maxStates {
			t.Fatalf("more than %d states, the latest after %q", maxStates, todo[len(todo)-1].path)
		}
		from := todo[0]
		todo = todo[1:]
		from.verify(t, want)
		if from.over() {
			continue
		}
		for _, move := range sceneMoves {
			next := from.clone(move.name)
			if !move.do(next) {
				continue
			}
			if key := next.key(); !seen[key] {
				seen[key] = true
				todo = append(todo, next)
			}
		}
	}
	t.Logf("%d states", len(seen))
}

// over says whether there is nothing left to do or to see.
func (s *scene) over() bool {
	return sequence.Finished(&s.w.sj.Status) && len(s.w.sj.Finalizers) == 0 && s.process.seenSJ == s.w.sj
}

// verify expects the one end of every state that is an end, and of every other that it is on its way to one: what a calm
// round makes of it is another state that is verified too, and none is come to twice because versions only grow.
func (s *scene) verify(t *testing.T, want *v1alpha1.SequentialJobStatus) {
	t.Helper()
	if s.w.check(); len(s.w.problems) > 0 {
		t.Fatalf("after %q: %s", s.path, strings.Join(s.w.problems, "\n"))
	}
	if sequence.Finished(&s.w.sj.Status) {
		if got := s.status(); !reflect.DeepEqual(want, got) {
			t.Fatalf("after %q it ends otherwise (-want +got):\n%s", s.path, cmp.Diff(want, got))
		}
		return
	}
	later := s.clone("")
	later.calmRound()
	if later.w.version == s.w.version && len(later.w.jobs) == len(s.w.jobs) {
		t.Fatalf("after %q it does not go on: %v", s.path, s.w.sj.Status)
	}
}
