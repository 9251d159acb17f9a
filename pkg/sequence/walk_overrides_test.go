package sequence_test

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// editOverrides closes or opens an approval, or limits the time of the attempts of a step.
func (w *walk) editOverrides() {
	// A Job may fail, because its time is up, after its pod has succeeded: see viewsAgree.
	if w.sj == nil || !w.sj.DeletionTimestamp.IsZero() || len(w.sj.Spec.Containers) == 0 || w.isCreating() {
		return
	}
	name := w.sj.Spec.Containers[w.random.IntN(len(w.sj.Spec.Containers))].Name
	n, seconds := w.random.IntN(6), int64(1+w.random.IntN(20))
	w.note("user edits what is different for %s (%d, %d)", name, n, seconds)
	w.changeSpec(func(spec *v1alpha1.SequentialJobSpec) {
		at := slices.IndexFunc(spec.StepOverrides, func(o v1alpha1.StepOverride) bool { return o.Name == name })
		if at < 0 {
			at = len(spec.StepOverrides)
			spec.StepOverrides = append(spec.StepOverrides, v1alpha1.StepOverride{Name: name})
		}
		switch override := &spec.StepOverrides[at]; n {
		case 0, 1:
			override.Suspend = new(!ptr.Deref(override.Suspend, false))
		case 2:
			override.ActiveDeadlineSeconds = &seconds
		case 3:
			override.ActiveDeadlineSeconds = nil
		case 4:
			setOverride(spec, fmt.Sprintf("stepOverrides[%s].nodeSelector", name), fmt.Sprint(seconds%3))
		default:
			spec.StepOverrides = nil
		}
	})
}

// hasStepDeadlines says whether the attempts of any step have a limit of time.
func hasStepDeadlines(spec *v1alpha1.SequentialJobSpec) bool {
	return slices.ContainsFunc(spec.StepOverrides, func(o v1alpha1.StepOverride) bool { return o.ActiveDeadlineSeconds != nil })
}

// isTold says whether an event of that reason has these words in it.
func isTold(events []sequence.Event, reason, words string) bool {
	return slices.ContainsFunc(events, func(e sequence.Event) bool { return e.Reason == reason && strings.Contains(e.Message, words) })
}
