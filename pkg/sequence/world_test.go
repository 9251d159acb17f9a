package sequence_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What the world's API server answers.
var (
	errConflict = errors.New("the object has been modified")
	errExists   = errors.New("already exists")
	errNotFound = errors.New("not found")
)

// world is an API server that holds one SequentialJob and the Jobs around it. It knows everything that ever happened, and
// notes as a problem whatever should not have. What it stores is replaced, never changed, so that whoever has read it may
// keep it, and so that worlds can share it.
type world struct {
	sj    *v1alpha1.SequentialJob // nil if there is none
	jobs  map[string]*batchv1.Job // by name
	clock time.Time
	// left holds the Jobs that went before their pods did, each with the SequentialJob whose label these pods carry.
	left map[types.UID]types.UID
	// removed are the Jobs that went, as they were.
	removed []*batchv1.Job
	// trouble is what keeps pods from starting, and pods what else is to be seen of those of a Job.
	trouble string
	pods    map[string][]corev1.Pod
	// parents counts the SequentialJobs that there ever were.
	parents int

	ledger   map[types.UID]jobRecord // every Job that was ever created for a step
	orphaned map[types.UID]bool      // SequentialJobs that were deleted with --cascade=orphan
	told     map[string]int          // how often an event was published; nil if that does not matter
	problems []string

	// intern makes one of equal objects; without it each write makes another version.
	intern  *interner
	version int
}

// jobRecord is what became of a Job that was created for a step or for a container of spec.finally.
type jobRecord struct {
	owner    types.UID
	name     string
	index    int // sequence.FirstFinally and more for those of spec.finally
	retry    int32
	step     string // what it runs
	told     string // the result of the steps that it was told, if it is of spec.finally
	complete bool
	failed   bool
	recorded bool // its start is in a stored status
	ended    bool // so is its end
	done     bool // namely as complete
	queued   bool // a queue has suspended it
	// unwanted says that it was deleted as the status asked, because its step was edited away just as it started.
	unwanted bool
	// pod is what there is to know of its pod if its success starts the next step.
	pod podRecord
}

func newWorld(steps ...string) *world {
	w := &world{
		jobs: map[string]*batchv1.Job{}, clock: now, left: map[types.UID]types.UID{}, ledger: map[types.UID]jobRecord{},
		orphaned: map[types.UID]bool{}, told: map[string]int{},
	}
	w.apply(newSequence(steps...))
	return w
}

func (w *world) clone() *world {
	out := *w
	out.jobs, out.left, out.ledger = maps.Clone(w.jobs), maps.Clone(w.left), maps.Clone(w.ledger)
	out.orphaned, out.told = maps.Clone(w.orphaned), maps.Clone(w.told)
	out.removed = slices.Clip(w.removed)
	out.problems = slices.Clone(w.problems)
	return &out
}

func (w *world) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// keepSJ stores a SequentialJob that nobody else changes any more.
func (w *world) keepSJ(sj *v1alpha1.SequentialJob) {
	if w.intern != nil {
		w.sj = w.intern.sequentialJob(sj)
		return
	}
	w.version++
	sj.ResourceVersion = strconv.Itoa(w.version)
	w.sj = sj
}

// keepJob stores a Job that nobody else changes any more.
func (w *world) keepJob(job *batchv1.Job) *batchv1.Job {
	if w.intern != nil {
		job = w.intern.job(job)
	} else {
		w.version++
		job.ResourceVersion = strconv.Itoa(w.version)
	}
	w.jobs[job.Name] = job
	return job
}

func (w *world) changeSJ(change func(*v1alpha1.SequentialJob)) {
	sj := w.sj.DeepCopy()
	change(sj)
	w.keepSJ(sj)
}

// changeSpec does what a user does.
func (w *world) changeSpec(change func(*v1alpha1.SequentialJobSpec)) {
	w.changeSJ(func(sj *v1alpha1.SequentialJob) {
		change(&sj.Spec)
		sj.Generation++
	})
}

func (w *world) changeAnyJob(name string, change func(*batchv1.Job)) {
	job := w.jobs[name].DeepCopy()
	change(job)
	w.keepJob(job)
}

// note changes what is remembered of a Job, if it was created for a step.
func (w *world) note(uid types.UID, change func(*jobRecord)) {
	if record, ours := w.ledger[uid]; ours {
		change(&record)
		w.ledger[uid] = record
	}
}

// apply creates the SequentialJob.
func (w *world) apply(sj *v1alpha1.SequentialJob) {
	w.parents++
	sj.UID = types.UID(fmt.Sprintf("uid-etl-%d", w.parents))
	w.keepSJ(sj)
}

// controlled returns the Jobs that the SequentialJob with that UID controls, in the order of their names.
func controlled(jobs map[string]*batchv1.Job, uid types.UID) []*batchv1.Job {
	var out []*batchv1.Job
	for _, name := range slices.Sorted(maps.Keys(jobs)) {
		if owner := metav1.GetControllerOfNoCopy(jobs[name]); owner != nil && owner.UID == uid {
			out = append(out, jobs[name])
		}
	}
	return out
}

// createdFor returns the Jobs that were created for the SequentialJob with that UID, whatever somebody has taken off them.
func (w *world) createdFor(uid types.UID) []*batchv1.Job {
	var out []*batchv1.Job
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		if w.ledger[w.jobs[name].UID].owner == uid {
			out = append(out, w.jobs[name])
		}
	}
	return out
}

// checkVersion answers a write that was decided on seen.
func (w *world) checkVersion(seen *v1alpha1.SequentialJob) error {
	switch {
	case w.sj == nil || w.sj.UID != seen.UID:
		return errNotFound
	case w.sj.ResourceVersion != seen.ResourceVersion:
		return errConflict
	}
	return nil
}

// createJob creates a Job that was decided on when the SequentialJob was as seen.
func (w *world) createJob(seen *v1alpha1.SequentialJob, job *batchv1.Job) (*batchv1.Job, error) {
	if _, taken := w.jobs[job.Name]; taken {
		return nil, errExists
	}
	stored := job.DeepCopy()
	times := 1
	for _, record := range w.ledger {
		if record.owner == seen.UID && record.name == job.Name {
			times++
		}
	}
	stored.UID = types.UID(fmt.Sprintf("%s of %s, no. %d", job.Name, seen.UID, times))
	stored.CreationTimestamp = metav1.NewTime(w.clock)
	w.checkCreate(seen, stored)
	return w.keepJob(stored), nil
}

// changeJob patches a Job as a controller decided on when it was as change.Job.
func (w *world) changeJob(change *sequence.JobChange) (*batchv1.Job, error) {
	job := w.jobs[change.Job.Name]
	switch {
	case job == nil:
		return nil, errNotFound
	case job.UID != change.Job.UID || job.ResourceVersion != change.Job.ResourceVersion:
		return nil, errConflict
	}
	w.checkChange(job, change)
	job = w.keepJob(changed(change))
	if change.Suspend != nil {
		w.note(job.UID, func(record *jobRecord) { record.queued = record.queued && *change.Suspend })
		w.changePod(job.Name, func(pod *podRecord) { pod.behind = true })
	}
	return job, nil
}

// updateStatus stores the status of an action that was decided on when the SequentialJob was as seen.
func (w *world) updateStatus(seen *v1alpha1.SequentialJob, a sequence.Action) (*v1alpha1.SequentialJob, error) {
	if err := w.checkVersion(seen); err != nil {
		return nil, err
	}
	w.checkStatus(w.sj, a.Status)
	w.publish(w.sj, a)
	w.changeSJ(func(sj *v1alpha1.SequentialJob) { a.Status.DeepCopyInto(&sj.Status) })
	for _, step := range slices.Concat(w.sj.Status.Steps, w.sj.Status.Finally) {
		w.note(step.JobUID, func(record *jobRecord) {
			record.recorded = true
			record.ended = record.ended || step.State != v1alpha1.StepRunning
			record.done = record.done || step.State == v1alpha1.StepCompleted
		})
	}
	return w.sj, nil
}

func (w *world) setFinalizer(seen *v1alpha1.SequentialJob, want bool) (*v1alpha1.SequentialJob, error) {
	if err := w.checkVersion(seen); err != nil {
		return nil, err
	}
	if want {
		w.changeSJ(func(sj *v1alpha1.SequentialJob) { sj.Finalizers = append(sj.Finalizers, v1alpha1.CleanupFinalizer) })
		return w.sj, nil
	}
	w.dropFinalizer(v1alpha1.CleanupFinalizer)
	return w.sj, nil
}

func (w *world) dropFinalizer(name string) {
	w.changeSJ(func(sj *v1alpha1.SequentialJob) {
		sj.Finalizers = slices.DeleteFunc(sj.Finalizers, func(f string) bool { return f == name })
	})
	w.removeIfReleased()
}

// deleteSJ is what a user does; orphan stands for --cascade=orphan.
func (w *world) deleteSJ(orphan bool) {
	if w.sj == nil || !w.sj.DeletionTimestamp.IsZero() {
		return
	}
	if orphan {
		w.orphaned[w.sj.UID] = true
	}
	w.changeSJ(func(sj *v1alpha1.SequentialJob) {
		sj.DeletionTimestamp = new(metav1.NewTime(w.clock))
		sj.Generation++
		if orphan {
			sj.Finalizers = append(sj.Finalizers, metav1.FinalizerOrphanDependents)
		}
	})
	w.removeIfReleased()
}

// deleteExpired is what a controller does whose SequentialJob is as seen.
func (w *world) deleteExpired(seen *v1alpha1.SequentialJob) {
	if w.checkVersion(seen) == nil {
		w.checkExpired()
		w.deleteSJ(false)
	}
}

func (w *world) removeIfReleased() {
	if w.sj.DeletionTimestamp.IsZero() || len(w.sj.Finalizers) > 0 {
		return
	}
	for _, job := range w.createdFor(w.sj.UID) {
		// One that nobody controls any more may have been released by the user: it is left alone, but waited for while it has pods.
		isReleased := len(job.OwnerReferences) == 0 && isSuspended(job)
		if w.runs(job) && !w.orphaned[w.sj.UID] && !isReleased {
			w.problem("the SequentialJob went while its Job %s runs", job.Name)
		}
	}
	w.sj = nil
}
