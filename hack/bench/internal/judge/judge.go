// Package judge says whether a run kept what it has to keep: each step's Job created once, after the end of the step before, and
// none missing. A run that did not has no figures.
package judge

import (
	"fmt"
	"maps"
	"slices"
)

// Job is what a watch has shown of a Job. Revisions are resourceVersions: they order what happened, whenever it was seen.
type Job struct {
	// Created is the revision in which it first was there.
	Created uint64
	// Ended is the revision in which its step had ended: the Job Complete or, if the sequences ask for that, its pod Succeeded.
	// 0: never.
	Ended uint64
	// UIDs holds each of the Jobs that had this name.
	UIDs []string
}

// History is what two witnesses tell of a run: the audit log and a watch.
type History struct {
	// Stored says how often the API server stored a Job of each name, by its audit log.
	Stored map[string]int
	// Seen is what the watch showed, by name.
	Seen map[string]Job
	// LogHasGaps says that the audit log may lack a Job that was stored, because whoever asked for it was killed before the answer.
	// The watch, which shows the UIDs of all, is witness enough then.
	LogHasGaps bool
}

// Violations returns what was wrong, in words; nothing if all is well. Sequences are the names of the Jobs that had to be
// created, in the order of their steps.
func (h History) Violations(sequences [][]string) []string {
	var out []string
	wanted := map[string]bool{}
	for _, jobs := range sequences {
		for i, name := range jobs {
			wanted[name] = true
			out = append(out, h.ofStep(name)...)
			if i > 0 {
				out = append(out, h.ofOrder(jobs[i-1], name)...)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.Stored)) {
		if !wanted[name] {
			out = append(out, fmt.Sprintf("Job %s was created, and nobody asked for it", name))
		}
	}
	return out
}

func (h History) ofStep(name string) []string {
	var out []string
	job, seen := h.Seen[name]
	switch stored := h.Stored[name]; {
	case stored == 0 && !seen:
		return []string{fmt.Sprintf("Job %s is missing: it never was created", name)}
	case stored == 0 && h.LogHasGaps:
	case stored == 0:
		out = append(out, fmt.Sprintf("Job %s is missing in the audit log, though a watch has seen it", name))
	case stored > 1:
		out = append(out, fmt.Sprintf("Job %s was created %d times, by the audit log", name, stored))
	case !seen:
		return append(out, fmt.Sprintf("Job %s is in the audit log, and no watch has seen it", name))
	}
	if len(job.UIDs) > 1 {
		out = append(out, fmt.Sprintf("Job %s was created %d times, by the watch", name, len(job.UIDs)))
	}
	if job.Ended == 0 {
		out = append(out, fmt.Sprintf("Job %s never ended", name))
	}
	return out
}

func (h History) ofOrder(before, name string) []string {
	first, second := h.Seen[before], h.Seen[name]
	switch {
	case second.Created == 0:
		return nil // it is missing, which is told already
	case first.Ended == 0:
		return []string{fmt.Sprintf("Job %s was created early: %s never ended", name, before)}
	case second.Created < first.Ended:
		return []string{fmt.Sprintf("Job %s was created early: in revision %d, and %s ended in revision %d", name, second.Created, before, first.Ended)}
	}
	return nil
}
