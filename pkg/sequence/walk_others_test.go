package sequence_test

import (
	"fmt"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// others lets one thing happen that no controller of ours does.
func (w *walk) others() {
	switch n := w.random.IntN(100); {
	case n < 50:
		w.runJob()
	case n < 60:
		if !w.isCreating() { // as for users, who have caused it
			w.note("garbage collection")
			before := slices.Collect(maps.Values(w.jobs))
			w.collectGarbage()
			for _, job := range before {
				if w.jobs[job.Name] == nil {
					w.forget(job)
				}
			}
		}
	case n < 65:
		w.dropJob()
	case n < 68:
		w.takeName()
	case n < 72:
		w.removeForeignJobs()
	case n < 74:
		w.steal()
	case n < 79:
		w.editSteps()
	case n < 83:
		w.editOverrides()
	case n < 94:
		w.editSpec()
	case n < 96:
		if w.sj != nil && !w.isCreating() && w.isProtected() {
			orphan := w.oneIn(3)
			w.note("user deletes the SequentialJob, orphan %v", orphan)
			w.seen["deleted"]++
			w.deleteSJ(orphan)
		}
	default:
		if w.sj == nil && !w.isCreating() {
			w.note("user creates the SequentialJob again")
			sj := newSequence([]string{"s0", "s1", "s2", "s3"}[:1+w.random.IntN(4)]...)
			w.setFinally(&sj.Spec)
			w.apply(sj)
		}
	}
}

// anyJob returns one of the Jobs for which ok holds.
func (w *walk) anyJob(ok func(*batchv1.Job) bool) *batchv1.Job {
	var found []*batchv1.Job
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		if ok(w.jobs[name]) {
			found = append(found, w.jobs[name])
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[w.random.IntN(len(found))]
}

// runJob takes a Job one step further, as the Job controller or a queue does.
func (w *walk) runJob() {
	job := w.anyJob(func(job *batchv1.Job) bool { return !sequence.HasEnded(job) })
	if job == nil {
		return
	}
	name := job.Name
	switch n := w.random.IntN(20); {
	case heldByUs(job) && isSuspended(job), isSuspended(job) && len(job.OwnerReferences) == 0:
		return // nobody else's to resume
	case isSuspended(job) || (n < 3 && !heldByUs(job)):
		w.note("a queue suspends %s: %v", name, !isSuspended(job))
		w.queueSuspends(name, !isSuspended(job))
	case job.Status.StartTime == nil:
		w.note("%s: is started by the Job controller", name)
		w.startJob(name)
	case n < 5:
		w.note("%s: its pod is ready", name)
		w.changeAnyJob(name, func(job *batchv1.Job) { job.Status.Ready = new(int32(1)) })
	case w.ledger[job.UID].pod.watched:
		w.runWatched(job)
	case n < 7:
		w.note("%s: a pod succeeds", name)
		w.changeAnyJob(name, withCondition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "CompletionsReached", ""))
	case n < 14:
		w.note("%s: completes", name)
		w.completeJob(name)
	default:
		w.note("%s: fails", name)
		w.failJob(name, batchv1.JobReasonBackoffLimitExceeded)
	}
}

// dropJob deletes a Job: in the foreground, in the background when its pods take their time, or at once. Users who keep to
// what the documentation tells them delete no Job whose start is not recorded: nobody could tell any more that it ever was.
func (w *walk) dropJob() {
	job := w.anyJob(func(job *batchv1.Job) bool {
		record, ours := w.ledger[job.UID]
		return !w.isNeeded(job) && (record.recorded || !ours || w.sj == nil || record.owner != w.sj.UID || w.inTheWay(job))
	})
	if job == nil {
		return
	}
	how := w.random.IntN(3)
	if w.sj != nil && w.inTheWay(job) {
		how = 0 // in the background its pods might still run when the step starts that was put in its place
	}
	w.note("user deletes %s, %s", job.Name, []string{"foreground", "background", "pods and all"}[how])
	switch {
	case how > 0:
		defer w.forget(job)
		w.removeJob(job.Name, how == 1)
	case job.DeletionTimestamp.IsZero():
		w.markJob(job.Name)
	}
}

// forget lets no process know more than another: if a Job was complete, and that was not recorded before it went, one may
// have seen it and another one not. Users delete such a Job only while just one controller runs, or none.
func (w *walk) forget(job *batchv1.Job) {
	if record, ours := w.ledger[job.UID]; ours && record.complete && !record.done {
		if w.oneIn(2) {
			w.note("the processes see that %s was complete before it went", job.Name)
			w.seen["seen to be complete before it was gone"]++
			w.agree()
			return
		}
		w.note("the processes start again, without %s", job.Name)
		w.restartAll()
	}
}

// steal takes something off that the controller relies on.
func (w *walk) steal() {
	job := w.anyJob(func(job *batchv1.Job) bool { return w.ledger[job.UID].recorded && !sequence.HasEnded(job) })
	switch n := w.random.IntN(3); {
	case n == 0 && w.sj != nil && w.sj.DeletionTimestamp.IsZero():
		w.note("a replace takes the finalizer off")
		w.dropFinalizer(v1alpha1.CleanupFinalizer)
	case job == nil || w.sj == nil || w.ledger[job.UID].owner != w.sj.UID || !w.sj.DeletionTimestamp.IsZero():
	case n == 1:
		w.note("somebody takes the labels off %s", job.Name)
		w.takeLabels(job.Name)
	case n == 2:
		w.note("somebody takes the owner off %s", job.Name)
		w.takeOwner(job.Name)
	}
}

func (w *walk) takeName() {
	name := []string{"etl-0", "etl-1", "etl-2", "etl-f0"}[w.random.IntN(4)]
	if w.oneIn(3) {
		name += "-r1"
	}
	if _, taken := w.jobs[name]; !taken {
		w.note("somebody creates %s", name)
		w.keepJob(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-foreign"}})
	}
}

// removeForeignJobs does what JobNameConflict asks the user to do.
func (w *walk) removeForeignJobs() {
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		if (w.sj == nil || !metav1.IsControlledBy(w.jobs[name], w.sj)) && !w.isNeeded(w.jobs[name]) {
			w.note("its owner removes %s", name)
			w.removeJob(name, false)
		}
	}
}

// editSteps changes, adds, drops or moves a step that has not started, or the failed one of a failed sequence, which is
// what the CRD's rules allow.
func (w *walk) editSteps() {
	// A process that has decided to create the Job of a step could do so after another one saw that the step is gone.
	if w.sj == nil || w.sj.Status.Phase == v1alpha1.SequentialJobCompleted || !w.sj.DeletionTimestamp.IsZero() || w.isCreating() {
		return
	}
	started, size := len(w.sj.Status.Steps), len(w.sj.Spec.Containers)
	rest := size - started
	n := w.random.IntN(5)
	canFix := w.sj.Status.Phase == v1alpha1.SequentialJobFailed && started > 0 && w.sj.Status.Steps[started-1].State == v1alpha1.StepFailed
	isComplete := w.sj.Status.Result != nil && w.sj.Status.Result.Type == v1alpha1.ResultCompleted // none is added to these
	if (n == 0 && (size >= 6 || isComplete)) || (n == 1 && (rest < 1 || size < 2)) || (n == 2 && rest < 2) || (n == 3 && rest < 1) || (n == 4 && !canFix) {
		return
	}
	name := fmt.Sprintf("edited-%d", w.version)
	w.note("user edits the steps that have not started (%d)", n)
	w.changeSpec(func(spec *v1alpha1.SequentialJobSpec) {
		switch n {
		case 0:
			spec.Containers = append(spec.Containers, corev1.Container{Name: name})
		case 1:
			spec.Containers = spec.Containers[:size-1]
		case 2:
			slices.Reverse(spec.Containers[started:])
		case 3:
			spec.Containers[started].Name = name
		default:
			spec.Containers[started-1].Name = name
		}
	})
}

// editSpec changes what can be changed at any time.
func (w *walk) editSpec() {
	if w.sj == nil || !w.sj.DeletionTimestamp.IsZero() {
		return
	}
	n := w.random.IntN(15)
	what := "suspends and resumes"
	change := func(spec *v1alpha1.SequentialJobSpec) {
		spec.Suspend = new(!ptr.Deref(spec.Suspend, false))
	}
	switch {
	case n < 5:
		what = "raises retries"
		change = func(spec *v1alpha1.SequentialJobSpec) { spec.Retries = new(ptr.Deref(spec.Retries, 0) + 1) }
	case n == 5:
		what = "lowers retries"
		change = func(spec *v1alpha1.SequentialJobSpec) { spec.Retries = nil }
	case n == 6 && !w.isCreating(): // time may be up for one process while another one creates
		seconds := new(int64(w.random.IntN(60)))
		what = fmt.Sprintf("limits the time to %d", *seconds)
		change = func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = seconds }
	case n == 7:
		what = "removes the limit of time"
		change = func(spec *v1alpha1.SequentialJobSpec) { spec.ActiveDeadlineSeconds = nil }
	case n == 8 && sequence.Finished(&w.sj.Status):
		ttl := new(int32(w.random.IntN(40)))
		what = fmt.Sprintf("sets the time to live to %d", *ttl)
		change = func(spec *v1alpha1.SequentialJobSpec) { spec.TTLSecondsAfterFinished = ttl }
	case n == 9:
		what = "switches advanceOn"
		change = switchAdvanceOn
	case n == 12:
		w.editFinally()
		return
	case n == 13 && w.oneIn(2):
		w.cancel()
		return
	case n < 9, n > 11:
		return
	}
	w.note("user %s", what)
	w.changeSpec(change)
}
