package sequence_test

import (
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What other controllers and users do to Jobs.

func setSuspend(job *batchv1.Job, suspend bool) {
	if job.Spec.Suspend = nil; suspend {
		job.Spec.Suspend = new(true)
	}
	job.Status.StartTime = nil // the deadline starts again once it is resumed
}

// completeJob is what the Job controller does when all is done.
func (w *world) completeJob(name string) {
	w.changeAnyJob(name, complete)
	w.note(w.jobs[name].UID, func(record *jobRecord) { record.complete = true })
}

// failJob is what the Job controller does when it gives up. By then the pods have ended.
func (w *world) failJob(name, reason string) {
	w.changeAnyJob(name, withCondition(batchv1.JobFailed, corev1.ConditionTrue, reason, "Job was given up"))
	w.note(w.jobs[name].UID, func(record *jobRecord) { record.failed = true })
}

// startJob is what the Job controller does first.
func (w *world) startJob(name string) {
	w.changeAnyJob(name, func(job *batchv1.Job) { job.Status.StartTime = new(metav1.NewTime(w.clock)) })
}

// passTime also lets the Job controller end the Jobs whose deadline is over.
func (w *world) passTime(d time.Duration) {
	w.clock = w.clock.Add(d)
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		job := w.jobs[name]
		if sequence.HasEnded(job) || isSuspended(job) || job.Status.StartTime == nil || job.Spec.ActiveDeadlineSeconds == nil {
			continue
		}
		if w.clock.Sub(job.Status.StartTime.Time) >= time.Duration(*job.Spec.ActiveDeadlineSeconds)*time.Second {
			w.failJob(name, batchv1.JobReasonDeadlineExceeded)
		}
	}
}

// queueSuspends is what a queue does to the Jobs that carry its label. One that we hold already it need not stop.
func (w *world) queueSuspends(name string, suspend bool) {
	w.changeAnyJob(name, func(job *batchv1.Job) { setSuspend(job, suspend) })
	w.note(w.jobs[name].UID, func(record *jobRecord) { record.queued = suspend })
}

func heldByUs(job *batchv1.Job) bool {
	return job.Annotations[v1alpha1.SuspendedByAnnotation] != ""
}

// removeJob lets a Job go. If it ran, its pods go later.
func (w *world) removeJob(name string, podsStay bool) {
	job := w.jobs[name]
	w.noteUnwanted(job)
	delete(w.jobs, name)
	if w.intern == nil {
		w.removed = append(w.removed, job)
	}
	if record, ours := w.ledger[job.UID]; ours && podsStay && w.runs(job) && !isSuspended(job) {
		w.left[job.UID] = record.owner
	}
}

// markJob deletes a Job in the foreground: it stays until its pods are gone.
func (w *world) markJob(name string) {
	w.noteUnwanted(w.jobs[name])
	w.changeAnyJob(name, func(job *batchv1.Job) { job.DeletionTimestamp = new(metav1.NewTime(w.clock)) })
}

func (w *world) noteUnwanted(job *batchv1.Job) {
	if record, ours := w.ledger[job.UID]; ours && w.sj != nil && w.sj.UID == record.owner && w.inTheWay(job) {
		record.unwanted = true
		w.ledger[job.UID] = record
	}
}

// deleteOwn deletes a Job in the foreground as a controller does that has seen it like this.
func (w *world) deleteOwn(seen *batchv1.Job) error {
	job := w.jobs[seen.Name]
	switch {
	case job == nil:
		return nil
	case job.UID != seen.UID || job.ResourceVersion != seen.ResourceVersion:
		return errConflict
	}
	if w.orphaned[w.ledger[job.UID].owner] {
		w.problem("Job %s was deleted although the user asked to leave it alone", job.Name)
	}
	if job.DeletionTimestamp.IsZero() {
		w.markJob(job.Name)
	}
	return nil
}

// takeLabels lets somebody take our labels off a Job: no cache of ours has it any more.
func (w *world) takeLabels(name string) {
	w.changeAnyJob(name, func(job *batchv1.Job) { job.Labels = nil })
}

// takeOwner lets somebody take the reference to its controller off a Job.
func (w *world) takeOwner(name string) {
	w.changeAnyJob(name, func(job *batchv1.Job) { job.OwnerReferences = nil })
}

// isProtected says whether the SequentialJob has our finalizer, or needs none.
func (w *world) isProtected() bool {
	return slices.Contains(w.sj.Finalizers, v1alpha1.CleanupFinalizer) ||
		!slices.ContainsFunc(w.createdFor(w.sj.UID), w.runs)
}

// isGarbage says whether the garbage collector is about to remove a Job.
func (w *world) isGarbage(job *batchv1.Job) bool {
	owner := metav1.GetControllerOfNoCopy(job)
	lost := owner != nil && owner.Kind == v1alpha1.SequentialJobKind && owner.Name == "etl" && (w.sj == nil || w.sj.UID != owner.UID)
	return lost || !job.DeletionTimestamp.IsZero()
}

// collectGarbage does what is due: release orphans, remove what waits for its pods or has lost its owner.
func (w *world) collectGarbage() {
	if w.sj != nil && slices.Contains(w.sj.Finalizers, metav1.FinalizerOrphanDependents) {
		for _, job := range controlled(w.jobs, w.sj.UID) {
			w.changeAnyJob(job.Name, func(job *batchv1.Job) { job.OwnerReferences = nil })
		}
		w.dropFinalizer(metav1.FinalizerOrphanDependents)
	}
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		if w.isGarbage(w.jobs[name]) {
			w.removeJob(name, false)
		}
	}
	clear(w.left)
}
