package follow

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// State is what is known of a sequence.
type State struct {
	SequentialJob *v1alpha1.SequentialJob
	Jobs          []batchv1.Job
	Pods          []corev1.Pod
	// Ended says that the sequence has ended; Gone, that it was deleted.
	Ended, Gone bool
	// Fresh says that all of it was read just now, the SequentialJob before its Jobs and those before the pods. What is watched may
	// lag behind, so that a thing is missing that is not gone.
	Fresh bool
}

// Options say which logs are wanted.
type Options struct {
	// Follow is to wait for what is still to come.
	Follow bool
	// Steps are the names of the steps; none means all.
	Steps []string
	// Job is the UID of the only Job that is wanted; "" means all.
	Job types.UID
}

// Walk goes through the logs of a sequence in order. It remembers what was shown.
type Walk struct {
	options Options
	done    map[Key]bool
	told    map[string]bool
	seen    map[string]map[types.UID]bool // pods, by the name of their Job
	past    map[types.UID]bool            // Jobs that are not wanted because they had ended before
}

// Next is what comes next.
type Next struct {
	// Notes are to be told first.
	Notes []string
	// Open is the log to show, if one is to be shown.
	Open *Stream
	// Refresh asks for a fresh state: what is known may lag behind.
	Refresh bool
	// Wait says that nothing is to be shown yet, and why; the reason may be empty.
	Wait   bool
	Reason Reason
	// End says that there is nothing left.
	End bool
}

// NewWalk returns a walk through all logs that are wanted.
func NewWalk(options Options) *Walk {
	return &Walk{
		options: options, done: map[Key]bool{}, told: map[string]bool{},
		seen: map[string]map[types.UID]bool{}, past: map[types.UID]bool{},
	}
}

// SkipEnded leaves out what has ended by now: the walk begins with what runs, or starts next.
func (w *Walk) SkipEnded(s *State) {
	all := attemptsOf(s)
	for i := range all {
		if a := &all[i]; a.hasEnded() {
			w.past[a.uid] = true
			w.told[goneMark(a)] = true
		}
	}
}

// Done says that a log is not to be shown again.
func (w *Walk) Done(key Key) { w.done[key] = true }

// Next says what comes next.
func (w *Walk) Next(s *State) Next {
	next := Next{}
	all := w.wanted(s)
	for i := range all {
		a := &all[i]
		w.see(a)
		if a.uid != "" && w.past[a.uid] {
			continue
		}
		if note, mark := w.noteOfLost(a); note != "" && !w.told[mark] {
			if !s.Fresh {
				return Next{Notes: next.Notes, Refresh: true}
			}
			w.tell(&next, mark, note)
		}
		if a.job == nil {
			continue
		}
		for n := range a.pods {
			if w.openPod(&next, a, n); next.Open != nil {
				return next
			}
		}
	}
	switch {
	case w.options.Follow && (s.Ended || s.Gone) && !s.Fresh:
		next.Refresh = true // the last pods may not be known yet
		return next
	case s.Ended, s.Gone, !w.options.Follow:
		next.End = true
		return next
	}
	next.Wait, next.Reason = true, whyWait(s)
	return next
}

// wanted returns the attempts that are asked for.
func (w *Walk) wanted(s *State) []attempt {
	return slices.DeleteFunc(attemptsOf(s), func(a attempt) bool {
		return len(w.options.Steps) > 0 && !slices.Contains(w.options.Steps, a.step) || w.options.Job != "" && w.options.Job != a.uid
	})
}

func (w *Walk) see(a *attempt) {
	if a.job != nil && w.seen[a.name] == nil {
		w.seen[a.name] = map[types.UID]bool{}
	}
	for i := range a.pods {
		w.seen[a.name][a.pods[i].UID] = true
	}
}

func (w *Walk) tell(next *Next, mark, note string) {
	if !w.told[mark] {
		w.told[mark] = true
		next.Notes = append(next.Notes, note)
	}
}

func goneMark(a *attempt) string { return "gone " + a.name }

// noteOfLost says which logs went with a Job, or with pods that it counts and nobody has seen.
func (w *Walk) noteOfLost(a *attempt) (note, mark string) {
	if a.job == nil {
		if len(w.seen[a.name]) > 0 {
			return "", "" // it was shown while it was there
		}
		return fmt.Sprintf("=== %s (Job %s): the Job is gone, and its log with it", a.title(), a.name), goneMark(a)
	}
	lost := int(a.job.Status.Failed+a.job.Status.Succeeded) - len(w.seen[a.name])
	switch {
	case lost <= 0:
		return "", ""
	case lost == 1:
		note = "a pod is gone, and its log with it"
	default:
		note = fmt.Sprintf("%d pods are gone, and their logs with them", lost)
	}
	return fmt.Sprintf("=== %s (Job %s): %s", a.title(), a.name, note), fmt.Sprintf("lost %s %d", a.uid, lost)
}

// openPod opens the next log of the pod with that number, if there is one.
func (w *Walk) openPod(next *Next, a *attempt, n int) {
	pod := &a.pods[n]
	for _, container := range append(failedInits(pod, a.step), a.step) {
		runs, before := runsOf(pod, container)
		if before > 0 && !w.done[Key{Pod: pod.UID, Container: container, Restarts: before - 1}] {
			w.tell(next, fmt.Sprintf("runs %s %s", pod.UID, container), fmt.Sprintf(
				"=== %s (pod %s): the logs of earlier runs of the container are gone: a node keeps that of the last run that ended", a.title(), pod.Name))
		}
		for _, key := range runs {
			if !w.done[key] {
				next.Open = &Stream{Key: key, Namespace: pod.Namespace, Name: pod.Name, Step: a.step, Heading: heading(a, n, key)}
				return
			}
		}
	}
	if w.options.Follow || w.hasLog(pod, a.step) {
		return
	}
	why := "it has not started"
	if cause, _ := sequence.WhyNotReady(a.job, a.step, []corev1.Pod{*pod}); cause.Message != "" {
		why += ": " + cause.Message
	}
	if !mayStart(pod) {
		why = "it ended before the step started"
		if detail := sequence.FailureDetail(a.step, []corev1.Pod{*pod}); detail != "" {
			why += ": " + detail
		}
	}
	w.tell(next, "no log "+string(pod.UID), fmt.Sprintf("=== %s (pod %s): no log, %s", a.title(), pod.Name, why))
}

func (w *Walk) hasLog(pod *corev1.Pod, step string) bool {
	runs, _ := runsOf(pod, step)
	return len(runs) > 0
}

// heading is the line above the log of one run of a container.
func heading(a *attempt, n int, key Key) string {
	text := "=== " + a.title()
	if n > 0 {
		text += fmt.Sprintf(", pod %d", n+1)
	}
	if key.Container != a.step {
		text += fmt.Sprintf(", init container %s, which failed", key.Container)
	}
	if key.Restarts > 0 {
		text += fmt.Sprintf(", restart %d", key.Restarts)
	}
	pod := &a.pods[n]
	text += fmt.Sprintf(" (Job %s, pod %s", a.name, pod.Name)
	if pod.Spec.NodeName != "" {
		text += " on " + pod.Spec.NodeName
	}
	return text + ")"
}
