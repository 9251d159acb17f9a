package sequence_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// result returns any result of the steps, mostly none.
func (d *dice) result() *v1alpha1.StepsResult {
	return oneOf(d, nil, nil, &v1alpha1.StepsResult{
		Type:       oneOf[v1alpha1.ResultType](d, "Completed", "Failed", "Cancelled", "", "Forged"),
		FailedStep: oneOf(d, "", "step-0", "forged"), Reason: d.text(), Message: d.text(), Time: d.time(),
	})
}

func (d *dice) finallyContainer(i int) corev1.Container {
	return corev1.Container{Name: oneOf(d, fmt.Sprintf("finally-%d", i), fmt.Sprintf("finally-%d", i), "edited", "")}
}

// checkFinallyAction expects, of an action and whatever the facts, that spec.finally waits for a stored result, steps do not start after
// one nor after spec.cancel, and that only success is inferred from a later Job.
func checkFinallyAction(t *testing.T, f *sequence.Facts, a *sequence.Action) {
	t.Helper()
	sj := f.SequentialJob
	stored := sj.Status.Result
	switch {
	case a.Request == sequence.CreateJob && sequence.IsFinally(a.Step):
		at := a.Step - sequence.FirstFinally
		if stored == nil {
			t.Errorf("Job %s is created, and the stored result is %v", a.Job.Name, stored)
		}
		if at < len(sj.Status.Finally) {
			t.Errorf("Job %s is created while %d of spec.finally are recorded", a.Job.Name, len(sj.Status.Finally))
		}
	case a.Request == sequence.CreateJob:
		if stored != nil || ptr.Deref(sj.Spec.Cancel, false) {
			t.Errorf("Job %s of a step is created after the result %v, cancelled: %v", a.Job.Name, stored, ptr.Deref(sj.Spec.Cancel, false))
		}
	case a.Request == sequence.StoreStatus && stored == nil:
		if a.Status.Result != nil && len(a.Status.Finally) > 0 {
			t.Errorf("the result %v is stored together with %v", a.Status.Result, a.Status.Finally)
		}
	case a.Request == sequence.StoreStatus && granted(a.Status) == granted(&sj.Status):
		if is := a.Status.Result; is == nil || is.Type != stored.Type || is.FailedStep != stored.FailedStep || is.Reason != stored.Reason {
			t.Errorf("the result becomes %+v, was %+v", is, stored)
		}
	}
}
