package sequence_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// What the world's API server answers.
var (
	errConflict = errors.New("the object has been modified")
	errExists   = errors.New("already exists")
	errNotFound = errors.New("not found")
)

// world is an API server that holds one SequentialJob and the Jobs around it. It knows everything that ever happened, and
// notes as a problem whatever should not have.
type world struct {
	sj      *v1alpha1.SequentialJob // nil if there is none
	jobs    map[string]*batchv1.Job // by name
	clock   time.Time
	version int
	uids    int

	ledger   map[types.UID]jobRecord // every Job that was ever created for a step
	told     map[string]int          // how often an event was published, by SequentialJob
	failed   map[types.UID]bool      // SequentialJobs that were ever recorded as failed
	orphaned map[types.UID]bool      // SequentialJobs that were deleted with --cascade=orphan
	// lost holds the SequentialJobs of which the user deleted a Job before its start or its end was recorded. Nobody can
	// tell any more what became of that step.
	lost map[types.UID]bool
	// deletedMeanwhile says that the user deleted the SequentialJob while a controller was between two requests.
	deletedMeanwhile bool
	problems         []string
}

// jobRecord is what became of a Job.
type jobRecord struct {
	owner    types.UID
	index    int
	step     string // what it runs
	complete bool
	recorded bool // in a stored status
	deleted  bool // by the user, before it was recorded
}

func newWorld(steps ...string) *world {
	w := &world{
		jobs: map[string]*batchv1.Job{}, clock: now, ledger: map[types.UID]jobRecord{}, told: map[string]int{},
		failed: map[types.UID]bool{}, orphaned: map[types.UID]bool{}, lost: map[types.UID]bool{},
	}
	w.apply(steps...)
	return w
}

// clone shares the Jobs.
func (w *world) clone() *world {
	out := *w
	out.sj = w.readSJ()
	out.jobs = maps.Clone(w.jobs)
	out.ledger, out.told = maps.Clone(w.ledger), maps.Clone(w.told)
	out.failed, out.orphaned, out.lost = maps.Clone(w.failed), maps.Clone(w.orphaned), maps.Clone(w.lost)
	out.problems = slices.Clone(w.problems)
	return &out
}

func copyJobs(jobs map[string]*batchv1.Job) map[string]*batchv1.Job {
	out := make(map[string]*batchv1.Job, len(jobs))
	for name, job := range jobs {
		out[name] = job.DeepCopy()
	}
	return out
}

func (w *world) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

func (w *world) nextVersion() string {
	w.version++
	return strconv.Itoa(w.version)
}

func (w *world) nextUID() types.UID {
	w.uids++
	return types.UID(fmt.Sprintf("uid-%d", w.uids))
}

// apply creates the SequentialJob.
func (w *world) apply(steps ...string) {
	w.sj = newSequence(steps...)
	w.sj.UID, w.sj.ResourceVersion = w.nextUID(), w.nextVersion()
}

func (w *world) readSJ() *v1alpha1.SequentialJob {
	if w.sj == nil {
		return nil
	}
	return w.sj.DeepCopy()
}

func (w *world) readJob(name string) (*batchv1.Job, error) {
	job, ok := w.jobs[name]
	if !ok {
		return nil, errNotFound
	}
	return job.DeepCopy(), nil
}

// owned returns the Jobs that the SequentialJob with that UID controls, in the order of their names.
func (w *world) owned(uid types.UID) []*batchv1.Job {
	var out []*batchv1.Job
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		if owner := metav1.GetControllerOf(w.jobs[name]); owner != nil && owner.UID == uid {
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

func (w *world) createJob(job *batchv1.Job) (*batchv1.Job, error) {
	if _, taken := w.jobs[job.Name]; taken {
		return nil, errExists
	}
	stored := job.DeepCopy()
	stored.UID, stored.ResourceVersion = w.nextUID(), w.nextVersion()
	stored.CreationTimestamp = metav1.NewTime(w.clock)
	w.checkCreate(stored)
	w.jobs[stored.Name] = stored
	return stored.DeepCopy(), nil
}

// completeJob is what the Job controller does when all is done.
func (w *world) completeJob(job *batchv1.Job) {
	complete(job)
	job.ResourceVersion = w.nextVersion()
	if record, ours := w.ledger[job.UID]; ours {
		record.complete = true
		w.ledger[job.UID] = record
	}
}

// deleteJob deletes a Job. In the foreground it stays until the garbage collector comes.
func (w *world) deleteJob(name string, foreground bool) {
	job, ok := w.jobs[name]
	if !ok {
		return
	}
	if foreground {
		if job.DeletionTimestamp.IsZero() {
			job.DeletionTimestamp = new(metav1.NewTime(w.clock))
			job.ResourceVersion = w.nextVersion()
		}
		return
	}
	delete(w.jobs, name)
}

// deleteJobAsUser also notes that the Job went before its start or its end was recorded, if so.
func (w *world) deleteJobAsUser(name string, foreground bool) {
	if job, ok := w.jobs[name]; ok {
		if record, ours := w.ledger[job.UID]; ours {
			record.deleted = record.deleted || !record.recorded
			w.ledger[job.UID] = record
			w.lost[record.owner] = w.lost[record.owner] || !w.endRecorded(job.UID)
		}
	}
	w.deleteJob(name, foreground)
}

func (w *world) endRecorded(uid types.UID) bool {
	return w.sj != nil && slices.ContainsFunc(w.sj.Status.Steps, func(step v1alpha1.StepStatus) bool {
		return step.JobUID == uid && step.State != v1alpha1.StepRunning
	})
}

func (w *world) updateStatus(sj *v1alpha1.SequentialJob) (*v1alpha1.SequentialJob, error) {
	if err := w.checkVersion(sj); err != nil {
		return nil, err
	}
	w.checkStatus(w.sj, sj)
	w.sj.Status = *sj.Status.DeepCopy()
	w.sj.ResourceVersion = w.nextVersion()
	for _, step := range sj.Status.Steps {
		record := w.ledger[step.JobUID]
		record.recorded = true
		w.ledger[step.JobUID] = record
	}
	if sj.Status.Phase == v1alpha1.SequentialJobFailed {
		w.failed[sj.UID] = true
	}
	return w.readSJ(), nil
}

func (w *world) setFinalizer(sj *v1alpha1.SequentialJob, want bool) (*v1alpha1.SequentialJob, error) {
	if slices.Contains(sj.Finalizers, v1alpha1.CleanupFinalizer) == want {
		return sj, nil
	}
	if err := w.checkVersion(sj); err != nil {
		return nil, err
	}
	if want {
		w.sj.Finalizers = append(w.sj.Finalizers, v1alpha1.CleanupFinalizer)
		w.sj.ResourceVersion = w.nextVersion()
		return w.readSJ(), nil
	}
	w.dropFinalizer(v1alpha1.CleanupFinalizer)
	return w.readSJ(), nil
}

func (w *world) dropFinalizer(name string) {
	w.sj.Finalizers = slices.DeleteFunc(w.sj.Finalizers, func(f string) bool { return f == name })
	w.sj.ResourceVersion = w.nextVersion()
	w.removeIfReleased()
}

// deleteSJ is what a user does; orphan stands for --cascade=orphan.
func (w *world) deleteSJ(orphan bool) {
	if w.sj == nil || !w.sj.DeletionTimestamp.IsZero() {
		return
	}
	w.sj.DeletionTimestamp = new(metav1.NewTime(w.clock))
	w.sj.Generation++
	w.sj.ResourceVersion = w.nextVersion()
	if orphan {
		w.sj.Finalizers = append(w.sj.Finalizers, metav1.FinalizerOrphanDependents)
		w.orphaned[w.sj.UID] = true
	}
	w.removeIfReleased()
}

func (w *world) removeIfReleased() {
	if w.sj.DeletionTimestamp.IsZero() || len(w.sj.Finalizers) > 0 {
		return
	}
	for _, job := range w.owned(w.sj.UID) {
		if !hasEnded(job) && !w.orphaned[w.sj.UID] {
			w.problem("the SequentialJob went while its Job %s runs", job.Name)
		}
	}
	w.sj = nil
}

// collectGarbage does what is due: release orphans, remove what waits for its dependents or has lost its owner.
func (w *world) collectGarbage() {
	if w.sj != nil && slices.Contains(w.sj.Finalizers, metav1.FinalizerOrphanDependents) {
		for _, job := range w.owned(w.sj.UID) {
			job.OwnerReferences = nil
			job.ResourceVersion = w.nextVersion()
		}
		w.dropFinalizer(metav1.FinalizerOrphanDependents)
	}
	for name, job := range w.jobs {
		owner := metav1.GetControllerOf(job)
		lost := owner != nil && owner.Kind == "SequentialJob" && owner.Name == "etl" && (w.sj == nil || w.sj.UID != owner.UID)
		if lost || !job.DeletionTimestamp.IsZero() {
			delete(w.jobs, name)
		}
	}
}
