//go:build integration

package faults_test

import (
	"fmt"
	"strings"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// The rules for spec.finally: the result of the steps is stored before it, no step's Job beside or after it, and one after another.

// addStatus notes a status as the API server stored it.
func (h *history) addStatus(sj *v1alpha1.SequentialJob) {
	if h.results[sj.UID] == nil {
		h.results[sj.UID] = map[uint64]bool{}
	}
	h.results[sj.UID][revision(sj)] = sj.Status.Result != nil
}

// hasResult says whether the status that was stored last before a Job was created had a result, and in which revision that was.
func (h *history) hasResult(job *jobHistory) (yes bool, stored uint64) {
	for at, has := range h.results[job.owner] {
		if at < job.created && at > stored {
			yes, stored = has, at
		}
	}
	return yes, stored
}

// withoutResult finds one of spec.finally that was created before the result of the steps was stored.
func (h *history) withoutResult(job *jobHistory) string {
	if yes, _ := h.hasResult(job); !yes {
		return "was created although the status had no result of the steps"
	}
	return ""
}

// afterResult finds a step that was created though the steps had ended and nobody had resumed the sequence.
func (h *history) afterResult(job *jobHistory) string {
	if yes, stored := h.hasResult(job); yes {
		return fmt.Sprintf("was created although the steps had ended, as stored in revision %d", stored)
	}
	return ""
}

// besideStep finds one of spec.finally that was created while the Job of a step, or the pod whose success ends it, had not ended.
func (h *history) besideStep(job *jobHistory, steps []*jobHistory) string {
	for _, step := range steps {
		switch {
		case step.hasEndedBefore(job):
		case !step.byPod:
			return fmt.Sprintf("was created while %s of a step had not ended", step.name)
		default:
			if broken := h.besidePod(job, step); broken != "" {
				return broken
			}
		}
	}
	return ""
}

// besideFinally finds a Job that was created while one of spec.finally had not ended, and one of spec.finally without the one before it.
func (h *history) besideFinally(job *jobHistory, before []*jobHistory) string {
	hasPredecessor := !job.finally || job.step == 0
	for _, other := range before {
		if !other.finally || other.name == job.name {
			continue
		}
		if !other.hasEndedBefore(job) {
			return fmt.Sprintf("was created while %s of spec.finally had not ended", other.name)
		}
		hasPredecessor = hasPredecessor || other.step == job.step-1 && other.attempt() == job.attempt()
	}
	if !hasPredecessor {
		return fmt.Sprintf("was created although container %d of spec.finally never started", job.step-1)
	}
	return ""
}

// hasEndedBefore says whether a Job was complete, had failed or was deleted before another one was created.
func (j *jobHistory) hasEndedBefore(other *jobHistory) bool {
	return j.complete != 0 && j.complete < other.created || j.failed != 0 && j.failed < other.created ||
		!j.deleted.IsZero() && j.deleted.Before(other.answered)
}

// attempt is the end of a Job's name that tells how often it was started before, or "".
func (j *jobHistory) attempt() string {
	_, retry, _ := strings.Cut(j.name, "-r")
	return retry
}
