package sequence

import (
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// deletedLook is how long a Job that is being deleted is given before it is looked at again. Usually an event tells.
const deletedLook = 30 * time.Second

func (d *decider) hasFinalizer() bool {
	return slices.Contains(d.sj.Finalizers, v1alpha1.CleanupFinalizer)
}

// protect has the clean-up finalizer put back if somebody took it away while there is something to clean up, and says whether
// that is done. Somebody may take it away each time: what runs is still followed.
func (d *decider) protect() bool {
	hasStarted := len(d.sj.Status.Steps) > 0 || d.startedAs(0) != nil
	return d.hasFinalizer() || !hasStarted || d.ask(Action{Request: AddFinalizer})
}

// letGo has the clean-up finalizer removed.
func (d *decider) letGo() {
	if d.ask(Action{Request: RemoveFinalizer}) {
		d.tryAgain = true // somebody has put it back
	}
}

// cleanUp stops what a SequentialJob that is being deleted has running, and lets it go once that has ended. Jobs that have ended
// are left to the garbage collector. If the user asked for the Jobs to be left alone (--cascade=orphan), the garbage collector
// releases them and nothing is deleted.
//
// The Jobs of a cache suffice: each is deleted only as it was seen, so that one that has been released meanwhile is not, and the
// finalizer goes only from the SequentialJob as it was seen, so that its status names what runs.
func (d *decider) cleanUp() {
	switch {
	case !d.hasFinalizer():
	case d.f.Orphaned || slices.Contains(d.sj.Finalizers, metav1.FinalizerOrphanDependents):
		d.letGo()
	case d.stopJobs() && d.confirmAllStopped() && !d.waitForPods():
		d.letGo()
	}
}

// stopJobs has all Jobs that have not ended deleted, and says whether there is none left.
func (d *decider) stopJobs() bool {
	left := false
	for _, name := range slices.Sorted(maps.Keys(d.byName)) {
		job := d.byName[name]
		switch {
		case d.gone[job.UID] || HasEnded(job) || !metav1.IsControlledBy(job, d.sj):
		case job.DeletionTimestamp.IsZero():
			d.need(Action{Request: DeleteJob, Job: job})
			return false
		default:
			d.lookAfter(deletedLook)
			left = true
		}
	}
	return !left
}

// confirmAllStopped has those Jobs read that the cache may lack: that of the running step, and one that no status names yet.
func (d *decider) confirmAllStopped() bool {
	if step := d.runningStep(); step != nil {
		if job := d.byName[step.JobName]; job == nil || !metav1.IsControlledBy(job, d.sj) {
			d.read(step.JobName)
		}
	}
	if next := NextJobName(d.sj); d.byName[next] == nil {
		d.read(next)
	}
	return d.request == nil
}

// waitForPods says whether pods of this SequentialJob run whose Job is gone: one that is deleted in the background goes before its
// pods do. The pods of a Job that was released are no longer its own.
func (d *decider) waitForPods() bool {
	if !d.ask(Action{Request: ListPods}) {
		return true
	}
	for i := range d.f.Pods {
		pod := &d.f.Pods[i]
		owner := metav1.GetControllerOf(pod)
		if hasPodEnded(pod) || owner == nil {
			continue
		}
		if d.read(owner.Name); d.request != nil {
			return true
		}
		if job := d.f.ReadJobs[owner.Name]; job == nil || job.UID != owner.UID || d.isOwn(job) {
			d.tryAgain = true
			return true
		}
	}
	return false
}

// release takes the finalizer from a sequence that has ended. One whose Job was deleted may have left pods that still run: it
// keeps the finalizer until they have ended, so that one that is created again does not run beside them.
func (d *decider) release() {
	switch {
	case !d.hasFinalizer():
	case d.mayHaveLeftPods() && !d.askForLeftPods():
	case d.mayHaveLeftPods() && d.runLeftPods():
		d.tryAgain = true
	default:
		d.letGo()
	}
}

// mayHaveLeftPods says whether the last attempt ended because its Job was deleted. In any other case the Job controller has made
// sure that its pods have ended.
func (d *decider) mayHaveLeftPods() bool {
	_, last := LastStarted(&d.status)
	return last != nil && last.State == v1alpha1.StepFailed && hasReason(last, v1alpha1.ReasonJobDeleted)
}

// expire deletes a SequentialJob that finished long enough ago, if the live object agrees: it may have been given more time, or
// been retried, just now.
func (d *decider) expire() {
	ttl, ended := d.sj.Spec.TTLSecondsAfterFinished, d.status.CompletionTime
	if ttl == nil || ended == nil || d.hasFinalizer() {
		return
	}
	if d.isResumed() {
		d.atOnce = true // it was given more retries just now
		return
	}
	switch left := ended.Add(time.Duration(*ttl) * time.Second).Sub(d.now.Time); {
	case left > 0:
		d.lookAfter(left)
	case !d.f.isLive():
		d.need(Action{Request: ReadSequentialJob})
	default:
		d.need(Action{Request: DeleteSequentialJob})
	}
}
