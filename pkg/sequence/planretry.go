package sequence

import (
	"errors"
	"fmt"

	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Retry is how a sequence that has failed can be made to go on.
type Retry struct {
	// Retries is what spec.retries has to be raised to.
	Retries int32
	// Index is that of the step that goes on, as in [ContainerAt]; [FirstFinally] if all steps are complete.
	Index int
	// Step is the name of that step; "" if there is nothing left to run.
	Step string
	// AfterFinally says that it goes on only once spec.finally, which runs now, has ended.
	AfterFinally bool
}

// Reasons for which a sequence is not retried.
var (
	ErrCancelled   = errors.New("it was cancelled")
	ErrCompleted   = errors.New("it has completed")
	ErrDeleted     = errors.New("it is being deleted")
	ErrNotFailed   = errors.New("it has not failed")
	ErrAskedFor    = errors.New("that was asked for already: retries were raised, and it goes on by itself")
	ErrOutOfTime   = errors.New("it would fail again at once, because its time is used up")
	ErrManyRetries = fmt.Errorf("retries cannot be higher than %d", v1alpha1.MaxRetries)
)

// PlanRetry says how a sequence that has failed can be made to go on, or why it cannot.
func PlanRetry(sj *v1alpha1.SequentialJob) (Retry, error) {
	status := &sj.Status
	hasFailed := status.Phase == v1alpha1.SequentialJobFailed
	afterFinally := !Finished(status) && status.Result != nil && status.Result.Type == v1alpha1.ResultFailed
	// Only what is more than it has used, and than it failed with, makes it go on.
	is, least := ptr.Deref(sj.Spec.Retries, 0), spentRetries(status)
	switch {
	case !sj.DeletionTimestamp.IsZero():
		return Retry{}, ErrDeleted
	case status.Phase == v1alpha1.SequentialJobCompleted:
		return Retry{}, ErrCompleted
	case isCancelled(sj):
		return Retry{}, ErrCancelled
	case !hasFailed && !afterFinally:
		return Retry{}, ErrNotFailed
	case IsOutOfTime(sj):
		return Retry{}, ErrOutOfTime
	case is > least && (afterFinally || sj.Generation != status.ObservedGeneration):
		return Retry{}, ErrAskedFor
	case max(is, least) >= v1alpha1.MaxRetries:
		return Retry{}, ErrManyRetries
	}
	index := firstToStart(status)
	if index >= len(sj.Spec.Containers) {
		index = FirstFinally
	}
	return Retry{Retries: max(is, least) + 1, Index: index, Step: nameAt(&sj.Spec, index), AfterFinally: afterFinally}, nil
}

// spentRetries is the highest spec.retries that does not make a failed sequence go on by itself.
func spentRetries(status *v1alpha1.SequentialJobStatus) int32 {
	var used, failedWith int32
	if status.Progress != nil {
		used = status.Progress.Retries
	}
	if status.FailedWith != nil {
		failedWith = status.FailedWith.Retries
	}
	return max(used, failedWith)
}

// IsChangedSinceFailure says whether what a sequence runs was changed since it failed, or may have been.
func IsChangedSinceFailure(sj *v1alpha1.SequentialJob) bool {
	with := sj.Status.FailedWith
	d := decider{sj: sj, status: sj.Status}
	return with == nil || with.StepsHash != d.failedWith().StepsHash
}
