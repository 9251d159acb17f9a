package sequence_test

import (
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// What other controllers and users do to Jobs.

func isSuspended(job *batchv1.Job) bool {
	return ptr.Deref(job.Spec.Suspend, false)
}

func setSuspend(job *batchv1.Job, suspend bool) {
	if job.Spec.Suspend = nil; suspend {
		job.Spec.Suspend = new(true)
	}
	job.Status.StartTime = nil // the deadline counts anew once it is resumed
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
		if hasEnded(job) || isSuspended(job) || job.Status.StartTime == nil || job.Spec.ActiveDeadlineSeconds == nil {
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
	if record, ours := w.ledger[job.UID]; ours && podsStay && !hasEnded(job) && !isSuspended(job) {
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
	if w.orphaned[metav1.GetControllerOfNoCopy(job).UID] {
		w.problem("Job %s was deleted although the user asked to leave it alone", job.Name)
	}
	if job.DeletionTimestamp.IsZero() {
		w.markJob(job.Name)
	}
	return nil
}

// podsRun says whether pods that carry the label of that SequentialJob have not ended.
func (w *world) podsRun(uid types.UID) bool {
	for _, job := range w.jobs {
		if w.ledger[job.UID].owner == uid && !hasEnded(job) && !isSuspended(job) {
			return true
		}
	}
	return w.podsLeft(uid)
}

// podsLeft says whether Jobs of that SequentialJob are gone whose pods are not.
func (w *world) podsLeft(uid types.UID) bool {
	return slices.Contains(slices.Collect(maps.Values(w.left)), uid)
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
