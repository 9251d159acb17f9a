package sequence_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What users do at random about spec.finally and spec.cancel.

// setFinally gives a new sequence up to two containers to run finally.
func (w *walk) setFinally(spec *v1alpha1.SequentialJobSpec) {
	for i := range w.random.IntN(3) {
		spec.Finally = append(spec.Finally, corev1.Container{Name: fmt.Sprintf("f%d", i)})
	}
}

// cancel ends a sequence for good, unless a process could create a Job after another one saw that.
func (w *walk) cancel() {
	if w.isCreating() || ptr.Deref(w.sj.Spec.Cancel, false) {
		return
	}
	w.note("user cancels")
	w.changeSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Cancel = new(true) })
}

// editFinally changes, adds or drops what has not started of spec.finally, which is what the CRD's rules allow.
func (w *walk) editFinally() {
	started, size := len(w.sj.Status.Finally), len(w.sj.Spec.Finally)
	n := w.random.IntN(3)
	if w.isCreating() || (n == 0 && size >= 3) || (n > 0 && started >= size) {
		return
	}
	name := fmt.Sprintf("edited-%d", w.version)
	w.note("user edits spec.finally (%d)", n)
	w.changeSpec(func(spec *v1alpha1.SequentialJobSpec) {
		switch n {
		case 0:
			spec.Finally = append(spec.Finally, corev1.Container{Name: name})
		case 1:
			spec.Finally = spec.Finally[:size-1]
		default:
			spec.Finally[started].Name = name
		}
	})
}

// observeFinally counts what is created of spec.finally.
func (w *walk) observeFinally(s *process, waited bool) {
	sj, index := s.facts.SequentialJob, s.next.Step
	if !sequence.IsFinally(index) {
		return
	}
	w.seen["ran finally"]++
	if waited {
		w.seen["waited with finally for pods"]++
	}
	if sj.Status.Progress.FinallyRuns > 1 {
		w.seen["ran finally again"]++
	}
	if sj.Status.Result.Type == v1alpha1.ResultCancelled {
		w.seen["ran finally after cancelling"]++
	}
}
