package controller

import (
	"slices"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// ownWrites bridges the time between a write of this process and its arrival in the cache. Deciding on the cache alone
// would mean deciding on what this process itself has already overtaken.
type ownWrites struct {
	byUID sync.Map // types.UID -> *v1alpha1.SequentialJob
	// jobs holds the last Job that this process created for a SequentialJob, until the status names it: should it be deleted
	// before, nobody else remembers that its step was started.
	jobs sync.Map // types.UID of the SequentialJob -> *batchv1.Job
}

// remember keeps what the API server answered to a write.
func (w *ownWrites) remember(sj *v1alpha1.SequentialJob) {
	if sj.DeletionTimestamp.IsZero() {
		w.byUID.Store(sj.UID, sj)
	}
}

// newest returns the newer of a cached object and this process's last write to it.
func (w *ownWrites) newest(cached *v1alpha1.SequentialJob) *v1alpha1.SequentialJob {
	if written, ok := w.byUID.Load(cached.UID); ok {
		if written := written.(*v1alpha1.SequentialJob); newer(written, cached) {
			return written
		}
	}
	return cached
}

// arrived is told what the cache now holds, and says whether that is this process's own last write.
func (w *ownWrites) arrived(cached *v1alpha1.SequentialJob) bool {
	written, ok := w.byUID.Load(cached.UID)
	if !ok || newer(written.(*v1alpha1.SequentialJob), cached) {
		return false
	}
	w.forget(cached.UID)
	return written.(*v1alpha1.SequentialJob).ResourceVersion == cached.ResourceVersion
}

func (w *ownWrites) forget(uid types.UID) {
	w.byUID.Delete(uid)
}

func (w *ownWrites) rememberJob(sj *v1alpha1.SequentialJob, job *batchv1.Job) {
	w.jobs.Store(sj.UID, job)
}

// unrecordedJob returns the Job that this process created for what a SequentialJob starts next, or nil.
func (w *ownWrites) unrecordedJob(sj *v1alpha1.SequentialJob) *batchv1.Job {
	created, ok := w.jobs.Load(sj.UID)
	if !ok {
		return nil
	}
	job := created.(*batchv1.Job)
	if slices.ContainsFunc(sj.Status.Steps, func(step v1alpha1.StepStatus) bool { return step.JobUID == job.UID }) {
		w.jobs.Delete(sj.UID)
		return nil
	}
	if job.Name != sequence.NextJobName(sj) {
		return nil
	}
	return job
}

func (w *ownWrites) forgetAll(uid types.UID) {
	w.forget(uid)
	w.jobs.Delete(uid)
}

func newer(a, b *v1alpha1.SequentialJob) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order > 0
}
