//go:build integration

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// staleness is what makes the caches of controllers old.
type staleness struct {
	name    string
	watches []string
	lag     time.Duration // 0: frozen and released again at random
}

var stalenesses = []staleness{
	{"watch of SequentialJobs frozen", []string{watchOfParents}, 0},
	{"watch of Jobs frozen", []string{watchOfJobs}, 0},
	{"both watches frozen", []string{watchOfParents, watchOfJobs}, 0},
	{"watch of SequentialJobs delayed", []string{watchOfParents}, 300 * time.Millisecond},
	{"watch of Jobs delayed", []string{watchOfJobs}, 300 * time.Millisecond},
	{"both watches delayed", []string{watchOfParents, watchOfJobs}, 300 * time.Millisecond},
}

// However old the caches of one controller, or of two that know nothing of each other, while Jobs end, fail and are deleted:
// no step is run twice or too early, and the sequence ends.
func TestStaleCachesRunNothingTwice(t *testing.T) {
	report := startReport(t)
	for _, stale := range stalenesses {
		for controllers := 1; controllers <= 2; controllers++ {
			for seed := range uint64(bounded(12, 1)) {
				name := stale.name
				if controllers == 2 {
					name += ", two controllers"
				}
				t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
					w := newWalk(t, stale, controllers, seed)
					w.run()
					_, violations := w.c.judge()
					report.add(name, w.injected, 1, len(violations))
				})
			}
		}
	}
}

// walk is a run in which users, Jobs and the faults do things at random; the seed makes it the same in every run, as far
// as the machine lets it.
type walk struct {
	c        *cluster
	stale    staleness
	random   *rand.Rand
	gates    []*gate
	stops    []func()
	injected int
	// excused says that something happened to a Job after which the sequence may fail.
	excused bool
}

const lengthOfWalk = 40

func newWalk(t *testing.T, stale staleness, controllers int, seed uint64) *walk {
	t.Helper()
	w := &walk{c: newByHandCluster(t), stale: stale, random: rand.New(rand.NewPCG(seed, uint64(len(stale.name)))),
		gates: make([]*gate, controllers), stops: make([]func(), controllers)}
	for i := range controllers {
		w.start(i)
	}
	return w
}

func (w *walk) start(i int) {
	w.gates[i] = newGate()
	w.stops[i] = w.c.StartControllerThrough(w.gates[i].wrap)
	if w.stale.lag > 0 {
		for _, watch := range w.stale.watches {
			w.gates[i].delay(watch, w.stale.lag)
			w.injected++
		}
	}
}

func (w *walk) run() {
	w.c.T.Helper()
	sj := framework.NewSequence("etl", "extract", "transform", "load", "index", "report")
	sj.Spec.Retries = ptr.To[int32](2)
	w.c.Create(sj)
	for range lengthOfWalk {
		w.act()
		// The pace of the walk; nothing depends on what has happened until then.
		<-time.After(time.Duration(w.random.IntN(40)) * time.Millisecond)
	}
	w.c.Patch("etl", `{"spec":{"suspend":false}}`)
	for _, gate := range w.gates {
		gate.openAll()
	}
	var end *v1alpha1.SequentialJob
	w.c.Eventually("the sequence to end", func(ctx context.Context) (bool, error) {
		if job := w.pick(running); job != nil {
			w.end(job, batchv1.JobComplete)
		}
		var err error
		end, err = w.c.Client.BatchV1alpha1().SequentialJobs(w.c.Namespace).Get(ctx, "etl", metav1.GetOptions{})
		return err == nil && end.Status.CompletionTime != nil && len(end.Finalizers) == 0, err
	})
	for _, stop := range w.stops {
		stop()
	}
	if end.Status.Phase != v1alpha1.SequentialJobCompleted && !w.excused {
		w.c.T.Errorf("the sequence ended as %s, with steps %+v", end.Status.Phase, end.Status.Steps)
	}
}

// act does one thing.
func (w *walk) act() {
	w.c.T.Helper()
	switch n := w.random.IntN(100); {
	case n < 35:
		w.end(w.pick(running), batchv1.JobComplete)
	case n < 40:
		w.end(w.pick(running), batchv1.JobFailed)
	case n < 55:
		// Perhaps no controller has seen it complete yet: then its step counts as failed.
		w.deleteRecorded(w.pick(func(job *batchv1.Job) bool { return framework.IsTrue(job, batchv1.JobComplete) }))
	case n < 58:
		w.deleteRecorded(w.pick(running))
	case n < 68:
		w.c.Patch("etl", fmt.Sprintf(`{"spec":{"suspend":%t}}`, w.random.IntN(2) == 0))
	case n < 73:
		i := w.random.IntN(len(w.stops))
		w.stops[i]()
		w.start(i)
	case w.stale.lag == 0:
		w.freezeOrThaw()
	}
}

func (w *walk) freezeOrThaw() {
	gate := w.gates[w.random.IntN(len(w.gates))]
	watch := w.stale.watches[w.random.IntN(len(w.stale.watches))]
	if gate.isHeld(watch) {
		gate.release(watch)
		return
	}
	gate.hold(watch)
	w.injected++
}

func running(job *batchv1.Job) bool {
	return !framework.IsTrue(job, batchv1.JobComplete) && !framework.IsTrue(job, batchv1.JobFailed) && !ptr.Deref(job.Spec.Suspend, false)
}

// pick returns a Job of that kind, or nil if there is none.
func (w *walk) pick(wanted func(*batchv1.Job) bool) *batchv1.Job {
	w.c.T.Helper()
	list, err := w.c.Kube.BatchV1().Jobs(w.c.Namespace).List(w.c.T.Context(), metav1.ListOptions{})
	framework.Must(w.c.T, err)
	jobs := slices.DeleteFunc(list.Items, func(job batchv1.Job) bool { return !wanted(&job) || job.DeletionTimestamp != nil })
	if len(jobs) == 0 {
		return nil
	}
	return &jobs[w.random.IntN(len(jobs))]
}

// end ends a Job unless the controller changes it at the same time.
func (w *walk) end(job *batchv1.Job, how batchv1.JobConditionType) {
	w.c.T.Helper()
	if job == nil {
		return
	}
	w.excused = w.excused || how == batchv1.JobFailed
	w.c.T.Logf("%s becomes %s", job.Name, how)
	if err := w.c.TryEndJob(w.c.T.Context(), job.Name, how, ""); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		w.c.T.Errorf("end Job %s: %v", job.Name, err)
	}
}

// deleteRecorded deletes a Job as a user does, if the status tells that it was started: one that is gone before that cannot
// be told from one that never was. And where two controllers decide, of which one may have seen it complete and the other
// one not, only a Job whose completion is recorded: what is gone before proves nothing to the one that comes late.
func (w *walk) deleteRecorded(job *batchv1.Job) {
	w.c.T.Helper()
	if job == nil || !slices.ContainsFunc(w.c.Get("etl").Status.Steps, func(step v1alpha1.StepStatus) bool {
		seen := len(w.stops) == 1 || !framework.IsTrue(job, batchv1.JobComplete) || step.State == v1alpha1.StepCompleted
		return step.JobUID == job.UID && seen
	}) {
		return
	}
	w.excused = true
	if len(w.stops) > 1 {
		// One of them may be about to create the very Job that the other one has created (docs/guarantees.md, nameFree).
		for _, stop := range w.stops {
			stop()
		}
		defer func() {
			for i := range w.stops {
				w.start(i)
			}
		}()
	}
	w.c.T.Logf("%s is deleted", job.Name)
	err := w.c.Kube.BatchV1().Jobs(w.c.Namespace).Delete(w.c.T.Context(), job.Name, metav1.DeleteOptions{
		PropagationPolicy: ptr.To(metav1.DeletePropagationBackground), Preconditions: &metav1.Preconditions{UID: &job.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		w.c.T.Errorf("delete Job %s: %v", job.Name, err)
	}
}
