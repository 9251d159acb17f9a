package sequence_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// publish notes the events of an action whose status is stored. Each tells of a transition, and of each it is told once.
func (w *world) publish(sj *v1alpha1.SequentialJob, a sequence.Action) {
	if w.told == nil {
		return
	}
	was, is, suspensions := sj.Status.Phase, a.Status.Phase, 0
	for _, event := range a.Events {
		switch event.Reason {
		case v1alpha1.ReasonJobStarted, v1alpha1.ReasonJobCompleted, v1alpha1.ReasonJobFailed, v1alpha1.ReasonCompleted,
			v1alpha1.ReasonRetrying, v1alpha1.ReasonDeadlineExceeded, v1alpha1.ReasonStepsEnded, v1alpha1.ReasonCancelled,
			v1alpha1.ReasonFinallyFailed:
			// The same step can fail again, the sequence be told to go on again, and spec.finally run again.
			key := fmt.Sprintf("%s/%d/%d/%d/%s", sj.UID, granted(a.Status), startedAgain(a.Status), finallyRuns(a.Status), event.Message)
			if w.told[key]++; w.told[key] > 1 {
				w.problem("the event %q was published %d times", event.Message, w.told[key])
			}
		case v1alpha1.ReasonSuspended:
			suspensions++
		case v1alpha1.ReasonResumed:
			if was != v1alpha1.SequentialJobSuspended {
				w.problem("the event %q was published in phase %s", event.Message, was)
			}
		case v1alpha1.ReasonSpecChanged:
			// A warning tells of a step that started just before the change, whenever its start is recorded.
			if event.Type == corev1.EventTypeNormal && sj.Status.ObservedGeneration == sj.Generation {
				w.problem("the event %q was published although nothing changed", event.Message)
			}
		}
	}
	// It may be suspended a second time, by another, in the status that tells of a step's end.
	entered, again := was != is && is == v1alpha1.SequentialJobSuspended, is == was && len(a.Events) > 1
	if (entered && suspensions != 1) || (!entered && !again && suspensions > 0) || suspensions > 1 {
		w.problem("%d events of suspension with phase %s after %s", suspensions, is, was)
	}
}
