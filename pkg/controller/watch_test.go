package controller

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestTheEchoOfAnOwnWriteWakesNobody(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	before := w.stored().DeepCopy()
	must(t, w.sync())
	own := w.stored()
	foreign := own.DeepCopy()
	foreign.ResourceVersion, foreign.Status.Phase = w.nextVersion(), v1alpha1.SequentialJobFailed
	labelled := own.DeepCopy()
	labelled.ResourceVersion, labelled.Labels = w.nextVersion(), map[string]string{"a": "b"}
	edited := own.DeepCopy()
	edited.ResourceVersion, edited.Generation = w.nextVersion(), 2
	deleted := own.DeepCopy()
	deleted.ResourceVersion, deleted.DeletionTimestamp = w.nextVersion(), &metav1.Time{Time: time.Now()}
	for _, tc := range []struct {
		name          string
		before, after *v1alpha1.SequentialJob
		want          bool
	}{
		{"own write", before, own, false},
		{"foreign status write", own, foreign, true},
		{"label edit", own, labelled, false},
		{"spec edit", own, edited, true},
		{"deletion", own, deleted, true},
	} {
		if got := w.c.needsSync(tc.before, tc.after); got != tc.want {
			t.Errorf("%s: needsSync %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestASpecEditTogetherWithTheEchoIsNotMissed(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	before := w.stored().DeepCopy()
	w.edit(func(sj *v1alpha1.SequentialJob) { sj.Generation = 2 }) // arrives with the echo of the write below
	must(t, w.syncFresh())
	if !w.c.needsSync(before, w.stored()) {
		t.Error("an edit of the spec was taken for an echo")
	}
}

func TestAJobOfAnotherKindOfOwnerIsNotLookedAt(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	for _, owner := range []metav1.OwnerReference{
		*metav1.NewControllerRef(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: sjName}}, batchv1.SchemeGroupVersion.WithKind("CronJob")),
		*metav1.NewControllerRef(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: sjName}}, batchv1.SchemeGroupVersion.WithKind("SequentialJob")),
	} {
		w.c.sawJob(nil, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, OwnerReferences: []metav1.OwnerReference{owner}}})
	}
	if w.c.queue.Len() != 0 {
		t.Error("the owner was enqueued")
	}
	w.c.sawJob(nil, jobOf(newSequence("extract"), 0))
	if w.c.queue.Len() != 1 {
		t.Error("the SequentialJob was not enqueued")
	}
}

func TestAJobWakesTheOwnerThatItHasAndTheOneThatItHad(t *testing.T) {
	first, second := newSequence("extract"), newSequence("extract")
	second.Name, second.UID = "other", "uid-other"
	ofFirst, ofSecond, released, unlabelled := jobOf(first, 0), jobOf(second, 0), jobOf(first, 0), jobOf(first, 0)
	released.OwnerReferences = nil
	unlabelled.OwnerReferences, unlabelled.Labels = nil, nil
	for name, tc := range map[string]struct {
		before, after *batchv1.Job
		want          []string
	}{
		"a new one":                    {nil, ofFirst, []string{"etl"}},
		"one that changes":             {ofFirst, ofFirst, []string{"etl"}},
		"one that is given away":       {ofFirst, ofSecond, []string{"etl", "other"}},
		"one without its controller":   {ofFirst, released, []string{"etl"}},
		"one that names its owner":     {nil, released, []string{"etl"}},
		"one that lost all of it":      {ofFirst, unlabelled, []string{"etl"}},
		"one that has nothing of ours": {nil, unlabelled, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSyncWorld(t, newSequence("extract"))
			w.c.sawJob(tc.before, tc.after)
			if diff := cmp.Diff(tc.want, w.queued()); diff != "" {
				t.Errorf("woken (-want +got):\n%s", diff)
			}
		})
	}
}

// queued empties the queue and returns the names that were in it.
func (w *world) queued() []string {
	var names []string
	for w.c.queue.Len() > 0 {
		name, _ := w.c.queue.Get()
		w.c.queue.Done(name)
		names = append(names, name.Name)
	}
	slices.Sort(names)
	return names
}

// What is taken from a running Job is given back, and the step is followed to its end.
func TestARunningJobIsFollowedWhateverIsTakenFromIt(t *testing.T) {
	for name, take := range map[string]func(*batchv1.Job){
		"its label":                  func(job *batchv1.Job) { delete(job.Labels, v1alpha1.SequentialJobUIDLabel) },
		"all its labels":             func(job *batchv1.Job) { job.Labels = nil },
		"its owner reference":        func(job *batchv1.Job) { job.OwnerReferences = nil },
		"labels and owner reference": func(job *batchv1.Job) { job.Labels, job.OwnerReferences = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, newSequence("extract", "load"))
				stop, done := running(t, w)
				before := w.job("etl-0").DeepCopy()
				w.changeJob("etl-0", take)
				synctest.Wait()
				after := w.job("etl-0")
				if diff := cmp.Diff([]any{before.Labels, before.OwnerReferences}, []any{after.Labels, after.OwnerReferences}); diff != "" {
					t.Errorf("what the Job got back (-want +got):\n%s", diff)
				}
				w.endJob("etl-0", batchv1.JobComplete, "")
				synctest.Wait()
				if steps := w.stored().Status.Steps; len(steps) != 2 {
					t.Errorf("steps %+v", steps)
				}
				stop()
				must(t, <-done)
			})
		})
	}
}

// A Job that nobody lets us change is still looked at.
func TestAJobThatStaysUnlabelledIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract", "load"))
		w.fail("patch", "jobs", func(clienttesting.Action) error { return quotaErr })
		stop, done := running(t, w)
		w.changeJob("etl-0", func(job *batchv1.Job) { job.Labels = nil })
		synctest.Wait()
		w.endJob("etl-0", batchv1.JobComplete, "")
		<-time.After(time.Minute)
		if steps := w.stored().Status.Steps; len(steps) != 2 {
			t.Errorf("steps %+v", steps)
		}
		stop()
		must(t, <-done)
	})
}

// The garbage collector drops its finalizer once it has released the Jobs: what it was asked for has to be known after that, too.
func TestADeletionThatOrphansIsKnownAfterItIsDone(t *testing.T) {
	orphan := func(sj *v1alpha1.SequentialJob) {
		sj.DeletionTimestamp = new(metav1.Now())
		sj.Finalizers = []string{v1alpha1.CleanupFinalizer, metav1.FinalizerOrphanDependents}
	}
	for name, before := range map[string]bool{"deleted while the controller runs": false, "deleted before it starts": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sj, job := sequenceAt(0, "extract", "load")
				if before {
					orphan(sj)
				}
				w := newWorld(t, sj, job, ownPod(job))
				var down atomic.Bool
				down.Store(true)
				w.fail("patch", "sequentialjobs", func(clienttesting.Action) error {
					if down.Load() {
						return internalErr
					}
					return nil
				})
				stop, done := running(t, w)
				if !before {
					w.edit(orphan)
					synctest.Wait()
				}
				w.changeJob("etl-0", func(job *batchv1.Job) { job.OwnerReferences = nil })
				w.edit(func(sj *v1alpha1.SequentialJob) { sj.Finalizers = []string{v1alpha1.CleanupFinalizer} })
				synctest.Wait()
				down.Store(false)
				<-time.After(time.Minute)
				if w.exists() {
					t.Error("the SequentialJob waits for a Job that it has released")
				}
				if job := w.job("etl-0"); !job.DeletionTimestamp.IsZero() {
					t.Error("the Job was deleted")
				}
				stop()
				must(t, <-done)
				w.c.memory.wantEmpty(t)
			})
		})
	}
}
