package controller

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// atVersion returns a sequence as it is at a resourceVersion.
func atVersion(version string) *v1alpha1.SequentialJob {
	sj := newSequence("extract", "load")
	sj.ResourceVersion = version
	return sj
}

func TestAnOwnWriteCountsUntilTheCacheHasIt(t *testing.T) {
	for name, tc := range map[string]struct {
		arrives      string // in the cache, after 100 was written
		own          bool
		newestOfThis string
		remembered   bool
	}{
		"what was there before":                               {"99", false, "100", true},
		"the write itself":                                    {"100", true, "100", false},
		"a later write of another":                            {"101", false, "101", false},
		"a version of another kind, which cannot be compared": {"v1", false, "v1", false},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			m.remember(atVersion("100"))
			if got := m.newest(atVersion(tc.arrives)).ResourceVersion; got != tc.newestOfThis {
				t.Errorf("the newest is at version %s, want %s", got, tc.newestOfThis)
			}
			if own := m.arrived(atVersion(tc.arrives)); own != tc.own {
				t.Errorf("own write: %v, want %v", own, tc.own)
			}
			if remembered := len(m.byUID) > 0; remembered != tc.remembered {
				t.Errorf("still remembered: %v, want %v", remembered, tc.remembered)
			}
		})
	}
}

func TestAnOwnWriteToOneThatIsDeletedIsNotRemembered(t *testing.T) {
	m := &memory{}
	sj := atVersion("100")
	sj.DeletionTimestamp = new(metav1.Now())
	m.remember(sj)
	m.remember(nil)
	m.wantEmpty(t)
}

func (m *memory) wantEmpty(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for uid, of := range m.byUID {
		t.Errorf("of %s is remembered: written %v, created %v, last %v, unready %v, lost %v",
			uid, of.written != nil, of.created != nil, of.last, of.unready, of.podLost)
	}
}

// cachedAs is a cache that has a SequentialJob like that.
func cachedAs(sj *v1alpha1.SequentialJob) func() *v1alpha1.SequentialJob {
	return func() *v1alpha1.SequentialJob { return sj }
}

// readyJob returns the Job of a step with so many ready pods.
func readyJob(sj *v1alpha1.SequentialJob, index int, ready int32) *batchv1.Job {
	job := jobOf(sj, index)
	job.Status.Ready = &ready
	return job
}

func TestWhatIsRememberedEndsWithTheSequence(t *testing.T) {
	sj, now := newSequence("extract", "load"), time.Now()
	for name, end := range map[string]func(*memory){
		"forgotten": func(m *memory) { m.forget(sj.UID) },
		"finished": func(m *memory) {
			finished := atVersion("100")
			finished.Status.Phase = v1alpha1.SequentialJobCompleted
			m.remember(finished)
			m.arrived(finished)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			m.remember(atVersion("99"))
			m.rememberJob(sj.UID, jobOf(sj, 1))
			m.sawJob(sj.UID, readyJob(sj, 0, 1), readyJob(sj, 0, 0), now, cachedAs(sj))
			m.sawJobGone(sj.UID, jobOf(sj, 1), cachedAs(sj))
			end(m)
			m.wantEmpty(t)
		})
	}
}

// Events of Jobs are handled beside the syncs, and may come after the end that they were a part of.
func TestEventsOfJobsMayComeAfterTheEnd(t *testing.T) {
	sj, now := newSequence("extract"), time.Now()
	finished := atVersion("100")
	finished.Status.Phase = v1alpha1.SequentialJobFailed
	m := &memory{}
	m.remember(finished)
	m.sawJob(sj.UID, readyJob(sj, 0, 1), readyJob(sj, 0, 0), now, cachedAs(atVersion("99")))
	m.sawJobGone(sj.UID, readyJob(sj, 0, 0), cachedAs(atVersion("99")))
	m.sawJobGone(sj.UID, readyJob(sj, 0, 0), cachedAs(nil))
	m.arrived(finished)
	m.wantEmpty(t)
}

func TestAJobThatWasCreatedCountsUntilTheStatusNamesIt(t *testing.T) {
	sj := newSequence("extract", "load")
	m, job := &memory{}, jobOf(sj, 0)
	m.rememberJob(sj.UID, job)
	facts := sequence.Facts{SequentialJob: sj}
	m.addTo(&facts)
	if diff := cmp.Diff([]*batchv1.Job{job}, facts.Jobs); diff != "" {
		t.Errorf("Jobs (-want +got):\n%s", diff)
	}
	cached := jobOf(sj, 0)
	facts = sequence.Facts{SequentialJob: sj, Jobs: []*batchv1.Job{cached}}
	m.addTo(&facts)
	if len(facts.Jobs) != 1 || facts.Jobs[0] != cached {
		t.Errorf("Jobs %v, want the cached one", facts.Jobs)
	}
	sj = sj.DeepCopy()
	sj.Status.Steps = []v1alpha1.StepStatus{{JobName: job.Name, JobUID: job.UID, State: v1alpha1.StepRunning}}
	m.addTo(&sequence.Facts{SequentialJob: sj})
	m.wantEmpty(t)
}

func TestAPodThatIsLostIsToldOnceToAStepThatGoesOn(t *testing.T) {
	sj := newSequence("extract")
	job := jobOf(sj, 0)
	sj.Status.Steps = []v1alpha1.StepStatus{{JobName: job.Name, JobUID: job.UID, State: v1alpha1.StepRunning}}
	m := &memory{}
	after := readyJob(sj, 0, 0)
	after.Status.Failed = 1
	now := time.Now()
	m.sawJob(sj.UID, readyJob(sj, 0, 1), after, now, cachedAs(sj))
	for i, want := range []bool{true, false} {
		facts := sequence.Facts{SequentialJob: sj}
		m.addTo(&facts)
		if facts.PodLost != want || !facts.Unready.Equal(now) {
			t.Errorf("turn %d: a pod was lost: %v, want %v; unready since %v, want %v", i, facts.PodLost, want, facts.Unready, now)
		}
	}
	m.sawJob(sj.UID, after, readyJob(sj, 0, 1), now, cachedAs(sj))
	m.wantEmpty(t)
}

// What the watch showed last of a Job counts: a policy may have it deleted as soon as it has ended, before anybody looks at it.
func TestAJobThatWasSeenToEndCountsAlthoughItIsGone(t *testing.T) {
	for name, tc := range map[string]struct {
		ended    bool // before it is deleted
		unseen   bool // the watch does not show the deletion
		complete bool // is the step
	}{
		"complete":                               {ended: true, complete: true},
		"complete, the watch lags":               {ended: true, unseen: true, complete: true},
		"it was not seen to end":                 {},
		"it was not seen to end, the watch lags": {unseen: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, newSequence("extract", "load"))
				var down atomic.Bool
				w.fail("*", "sequentialjobs", func(action clienttesting.Action) error {
					if down.Load() && action.GetNamespace() != "" {
						return internalErr
					}
					return nil
				})
				stop, done := running(t, w)
				down.Store(true) // nobody can act on what the watch shows
				if tc.ended {
					w.endJob("etl-0", batchv1.JobComplete, "")
				}
				synctest.Wait()
				w.watchesLag.Store(tc.unseen)
				must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
				synctest.Wait()
				w.watchesLag.Store(false)
				<-time.After(time.Minute)
				w.clear()
				down.Store(false)
				<-time.After(time.Minute)

				status := &w.stored().Status
				if got := status.Steps[0].State == v1alpha1.StepCompleted; got != tc.complete {
					t.Errorf("step %+v", status.Steps[0])
				}
				if started := len(status.Steps) == 2; started != tc.complete {
					t.Errorf("steps %+v, requests %q", status.Steps, w.requests())
				}
				stop()
				must(t, <-done)
			})
		})
	}
}

// With a ttlSecondsAfterFinished of 0 on Jobs, by a policy.
func TestJobsThatGoAsSoonAsTheyHaveEndedAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract", "transform", "load"))
		stop, done := running(t, w)
		for _, name := range []string{"etl-0", "etl-1", "etl-2"} {
			w.endJob(name, batchv1.JobComplete, "")
			must(t, w.kube.Tracker().Delete(jobs, namespace, name))
			<-time.After(time.Second)
		}
		w.wantPhase(v1alpha1.SequentialJobCompleted)
		stop()
		must(t, <-done)
		w.c.memory.wantEmpty(t)
	})
}

func TestNothingIsRememberedOfWhatHasEnded(t *testing.T) {
	for name, end := range map[string]func(*world){
		"completed": func(w *world) { w.endJob("etl-0", batchv1.JobComplete, "") },
		"failed":    func(w *world) { w.endJob("etl-0", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded) },
		"its Job was deleted": func(w *world) {
			must(w.t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
		},
		"deleted": func(w *world) {
			w.edit(func(sj *v1alpha1.SequentialJob) { sj.DeletionTimestamp = new(metav1.Now()) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, newSequence("extract"))
				stop, done := running(t, w)
				for _, ready := range []int32{1, 0, 1, 0} {
					w.changeJob("etl-0", func(job *batchv1.Job) { job.Status.Ready, job.Status.Failed = &ready, job.Status.Failed+1-ready })
					synctest.Wait()
				}
				end(w)
				<-time.After(time.Hour)
				stop()
				must(t, <-done)
				w.c.memory.wantEmpty(t)
				w.c.completions.seen.Range(func(uid, _ any) bool {
					t.Errorf("the end of Job %s is remembered", uid.(types.UID))
					return true
				})
			})
		})
	}
}

// The watch may show a write before its answer comes, and what has ended shows nothing more.
func TestAWriteThatTheCacheHasAlreadyIsNotRemembered(t *testing.T) {
	for name, tc := range map[string]struct {
		phase      v1alpha1.SequentialJobPhase
		cached     func(sj *v1alpha1.SequentialJob) []any
		remembered bool
	}{
		"the cache is behind":        {v1alpha1.SequentialJobCompleted, func(*v1alpha1.SequentialJob) []any { return []any{atVersion("99")} }, true},
		"the cache has it":           {v1alpha1.SequentialJobCompleted, func(sj *v1alpha1.SequentialJob) []any { return []any{sj} }, false},
		"the same while a step runs": {v1alpha1.SequentialJobRunning, func(sj *v1alpha1.SequentialJob) []any { return []any{sj} }, false},
		"the cache is ahead":         {v1alpha1.SequentialJobRunning, func(*v1alpha1.SequentialJob) []any { return []any{atVersion("101")} }, false},
		"it has been deleted since":  {v1alpha1.SequentialJobRunning, func(*v1alpha1.SequentialJob) []any { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSyncWorld(t, nil)
			sj := atVersion("100")
			sj.Status.Phase = tc.phase
			must(t, w.sjs.Replace(tc.cached(sj), ""))
			w.c.remember(sj)
			if remembered := len(w.c.memory.byUID) > 0; remembered != tc.remembered {
				t.Errorf("remembered: %v, want %v", remembered, tc.remembered)
			}
		})
	}
}
