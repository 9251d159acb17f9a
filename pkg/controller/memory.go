package controller

import (
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// memory is what this process knows beside its caches: its own writes that have not arrived there yet, and what the watch showed and
// the cache no longer has. Nothing depends on it that has to be right after a restart.
type memory struct {
	mu    sync.Mutex
	byUID map[types.UID]*memories // of SequentialJobs
}

// memories are about one SequentialJob.
type memories struct {
	// written is it as this process's last write has left it, until the cache has that. Deciding on the cache alone would mean
	// deciding on what this process itself has already overtaken.
	written *v1alpha1.SequentialJob
	// created is the last Job that this process created, until the status names it: should it be deleted before, nobody else
	// remembers that its step was started.
	created *batchv1.Job
	// last are its Jobs that have ended or were deleted, as the watch showed them last, until the status tells. A cache may lack a
	// Job before this process is told of its deletion.
	last map[types.UID]*batchv1.Job
	// orphaned says that it was deleted with --cascade=orphan.
	orphaned bool
	// unready is since when a Job has had no ready pod, having had one.
	unready map[types.UID]time.Time
	// podLost are the Jobs of which a pod failed or was deleted since the last turn that could tell.
	podLost map[types.UID]bool
}

func newMemories() *memories {
	return &memories{last: map[types.UID]*batchv1.Job{}, unready: map[types.UID]time.Time{}, podLost: map[types.UID]bool{}}
}

// of returns what is remembered of a SequentialJob, to be read and changed by f.
func (m *memory) of(uid types.UID, f func(*memories)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byUID == nil {
		m.byUID = map[types.UID]*memories{}
	}
	of := m.byUID[uid]
	if of == nil {
		of = newMemories()
	}
	f(of)
	if of.written == nil && of.created == nil && !of.orphaned && len(of.last)+len(of.unready)+len(of.podLost) == 0 {
		delete(m.byUID, uid)
	} else {
		m.byUID[uid] = of
	}
}

// remember keeps what the API server answered to a write.
func (m *memory) remember(sj *v1alpha1.SequentialJob) {
	if sj == nil || !sj.DeletionTimestamp.IsZero() {
		return
	}
	m.of(sj.UID, func(of *memories) {
		if sequence.Finished(&sj.Status) {
			of.end()
		}
		of.written = sj
	})
}

func (m *memory) rememberJob(uid types.UID, job *batchv1.Job) {
	m.of(uid, func(of *memories) { of.created = job })
}

// newest returns the newer of a cached object and this process's last write to it.
func (m *memory) newest(cached *v1alpha1.SequentialJob) *v1alpha1.SequentialJob {
	newest := cached
	m.of(cached.UID, func(of *memories) {
		if of.written != nil && newer(of.written, cached) {
			newest = of.written
		}
	})
	return newest
}

// arrived is told what the cache now holds, and says whether that is this process's own last write.
func (m *memory) arrived(cached *v1alpha1.SequentialJob) (own bool) {
	m.of(cached.UID, func(of *memories) {
		if of.written == nil || newer(of.written, cached) {
			return
		}
		own = of.written.ResourceVersion == cached.ResourceVersion
		of.written = nil
	})
	return own
}

// sawSequentialJob is told how a SequentialJob is now.
func (m *memory) sawSequentialJob(sj *v1alpha1.SequentialJob) {
	if !sj.DeletionTimestamp.IsZero() && slices.Contains(sj.Finalizers, metav1.FinalizerOrphanDependents) {
		m.of(sj.UID, func(of *memories) { of.orphaned = true })
	}
}

// settle drops what the cache makes needless: a write that it has, and all of a SequentialJob that is gone or has ended. Whoever remembers
// something of sj calls it afterwards: the watch may have been faster, and no event may come any more. cached is as for sawJob.
func (m *memory) settle(sj *v1alpha1.SequentialJob, cached func() *v1alpha1.SequentialJob) {
	m.of(sj.UID, func(of *memories) {
		switch now := cached(); {
		case now == nil:
			*of = memories{}
		case newer(sj, now), of.written != nil && newer(of.written, now): // the cache is behind: an event is still to come
		case sequence.Finished(&now.Status):
			of.end()
		default: // at the worst, the event wakes it for nothing; a step may run for days until the next one
			of.written = nil
		}
	})
}

// end drops what is of no use once the sequence has ended.
func (of *memories) end() {
	orphaned := of.orphaned
	*of = *newMemories()
	of.orphaned = orphaned
}

// forget is told that a SequentialJob is gone.
func (m *memory) forget(uid types.UID) {
	m.of(uid, func(of *memories) { *of = memories{} })
}

// addTo adds to the facts about a SequentialJob what is remembered.
func (m *memory) addTo(facts *sequence.Facts) {
	sj := facts.SequentialJob
	m.of(sj.UID, func(of *memories) {
		facts.Orphaned = of.orphaned
		if of.created != nil && isRecorded(sj, of.created) {
			of.created = nil
		}
		for uid, job := range of.last {
			if !slices.ContainsFunc(facts.Jobs, func(cached *batchv1.Job) bool { return cached.UID == uid }) {
				facts.Gone = append(facts.Gone, job)
			}
			if isToldOf(sj, job) {
				delete(of.last, uid)
			}
		}
		if step := lastStep(sj); step != nil {
			facts.Unready, facts.PodLost = of.unready[step.JobUID], of.podLost[step.JobUID]
			delete(of.podLost, step.JobUID)
		}
		if of.created != nil && of.created.Name == sequence.NextJobName(sj) && !slices.ContainsFunc(facts.Jobs, has(of.created.Name)) {
			facts.Jobs = append(slices.Clip(facts.Jobs), of.created)
		}
	})
}

func has(name string) func(*batchv1.Job) bool {
	return func(job *batchv1.Job) bool { return job.Name == name }
}

func isRecorded(sj *v1alpha1.SequentialJob, job *batchv1.Job) bool {
	return sequence.EntryOf(&sj.Status, job.UID) != nil
}

// putBack keeps for the next turn what one began with and could not tell.
func (m *memory) putBack(begun, ended *sequence.Facts) {
	isTold := ended.Answers[sequence.ListJobPods].Class == "" && ended.Answers[sequence.StoreStatus].Class == ""
	if !begun.PodLost || isTold {
		return
	}
	was, is := lastStep(begun.SequentialJob), lastStep(ended.SequentialJob)
	if was != nil && is != nil && is.JobUID == was.JobUID && is.State == v1alpha1.StepRunning {
		m.of(ended.SequentialJob.UID, func(of *memories) { of.podLost[is.JobUID] = true })
	}
}

// isToldOf says whether the status tells how that Job has ended, or needs to tell no more.
func isToldOf(sj *v1alpha1.SequentialJob, job *batchv1.Job) bool {
	step := sequence.EntryOf(&sj.Status, job.UID)
	return !sj.DeletionTimestamp.IsZero() || sequence.Finished(&sj.Status) || step != nil && step.State != v1alpha1.StepRunning
}

func lastStep(sj *v1alpha1.SequentialJob) *v1alpha1.StepStatus {
	_, last := sequence.LastStarted(&sj.Status)
	return last
}

// sawJob is told how a Job changed. cached returns its SequentialJob, or nil if there is none any more.
func (m *memory) sawJob(owner types.UID, before, after *batchv1.Job, now time.Time, cached func() *v1alpha1.SequentialJob) {
	m.of(owner, func(of *memories) {
		if sequence.HasEnded(after) || !of.wants(after, cached()) {
			of.endJob(after, cached())
			return
		}
		delete(of.last, after.UID)
		ready := func(job *batchv1.Job) int32 { return ptr.Deref(job.Status.Ready, 0) }
		switch {
		case ready(after) > 0:
			delete(of.unready, after.UID)
		case before != nil && ready(before) > 0:
			of.unready[after.UID] = now
		}
		if before != nil && sequence.HasLostPod(before, after) {
			of.podLost[after.UID] = true
		}
	})
}

// sawJobGone is told of a Job that is there no more, or no longer shows itself to this process. cached is as for sawJob.
func (m *memory) sawJobGone(owner types.UID, job *batchv1.Job, cached func() *v1alpha1.SequentialJob) {
	m.of(owner, func(of *memories) { of.endJob(job, cached()) })
}

// endJob keeps of a Job only how it was last, and that only if its SequentialJob may still want to know.
func (of *memories) endJob(job *batchv1.Job, cached *v1alpha1.SequentialJob) {
	delete(of.unready, job.UID)
	delete(of.podLost, job.UID)
	delete(of.last, job.UID)
	if of.wants(job, cached) {
		of.last[job.UID] = job
	}
}

// wants says whether a SequentialJob may still want to know of a Job.
func (of *memories) wants(job *batchv1.Job, cached *v1alpha1.SequentialJob) bool {
	if cached == nil {
		return false
	}
	if of.written != nil && newer(of.written, cached) {
		cached = of.written
	}
	return !isToldOf(cached, job)
}

func newer(a, b *v1alpha1.SequentialJob) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order > 0
}
