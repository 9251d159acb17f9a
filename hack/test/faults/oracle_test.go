//go:build integration

package faults_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// history is what really happened in a namespace, as the API server knows it. It says whether the promises were kept, and
// asks no controller about it.
//
// What happened to Jobs is ordered by resourceVersions: a controller may learn of a change by its watch before the
// request that made the change is answered, so that times alone would accuse it wrongly.
type history struct {
	jobs []*jobHistory
	pods map[types.UID]*podHistory
	// deletions has the time at which the deletion of a SequentialJob was answered.
	deletions map[types.UID]time.Time
	// results has, of each SequentialJob, the revisions at which its status was stored, and whether that had a result of its steps.
	results map[types.UID]map[uint64]bool
}

// jobHistory is the life of one Job. What never happened is zero.
type jobHistory struct {
	name  string
	uid   types.UID
	owner types.UID
	// step is the index of its step; finally says that it is one of spec.finally.
	step     int
	finally  bool
	created  uint64
	complete uint64
	failed   uint64
	// byPod says that the success of its pod is the end of its step (spec.advanceOn).
	byPod bool
	// asked and answered are when the request that created it came and when it was answered; deleted is when the first
	// request to delete it came.
	asked, answered, deleted time.Time
}

// podHistory is the life of a pod of a Job.
type podHistory struct {
	name    string
	job     types.UID
	created uint64
	// ended is when its phase became Succeeded or Failed.
	ended     uint64
	succeeded bool
}

func newHistory() *history {
	return &history{
		deletions: map[types.UID]time.Time{}, pods: map[types.UID]*podHistory{}, results: map[types.UID]map[uint64]bool{},
	}
}

func (h *history) find(uid types.UID) *jobHistory {
	for _, job := range h.jobs {
		if job.uid == uid {
			return job
		}
	}
	return nil
}

// add notes a Job as the API server stored it. It reports false for a Job that is no step of a SequentialJob.
func (h *history) add(job *batchv1.Job) (*jobHistory, bool) {
	owner := metav1.GetControllerOf(job)
	label, isFinally := job.Labels[v1alpha1.FinallyIndexLabel]
	if !isFinally {
		label = job.Labels[v1alpha1.StepIndexLabel]
	}
	step, err := strconv.Atoi(label)
	if owner == nil || owner.Kind != v1alpha1.SequentialJobKind || err != nil {
		return nil, false
	}
	known := h.find(job.UID)
	if known == nil {
		known = &jobHistory{
			name: job.Name, uid: job.UID, owner: owner.UID, step: step, finally: isFinally, created: revision(job),
			asked: job.CreationTimestamp.Time, answered: job.CreationTimestamp.Time,
			byPod: job.Labels[v1alpha1.AdvanceOnLabel] == string(v1alpha1.AdvanceOnPodSucceeded),
		}
		h.jobs = append(h.jobs, known)
	}
	if known.complete == 0 && framework.IsTrue(job, batchv1.JobComplete) {
		known.complete = revision(job)
	}
	if known.failed == 0 && framework.IsTrue(job, batchv1.JobFailed) {
		known.failed = revision(job)
	}
	return known, true
}

// addPod notes a pod as the API server stored it. A line about its status may come before the one about its creation.
func (h *history) addPod(pod *corev1.Pod, isNew bool) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil || owner.Kind != "Job" {
		return
	}
	known := h.pods[pod.UID]
	if known == nil {
		known = &podHistory{name: pod.Name, job: owner.UID, created: revision(pod)}
		h.pods[pod.UID] = known
	}
	if isNew {
		known.created = revision(pod)
	}
	hasEnded := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	if hasEnded && (known.ended == 0 || known.ended > revision(pod)) {
		known.ended, known.succeeded = revision(pod), pod.Status.Phase == corev1.PodSucceeded
	}
}

// revision orders what happened to all objects: they are in one etcd.
func revision(object metav1.Object) uint64 {
	rv, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("%s has resourceVersion %q: %v", object.GetName(), object.GetResourceVersion(), err))
	}
	return rv
}

// violations lists every broken promise.
func (h *history) violations() []string {
	jobs := h.sorted()
	var out []string
	for i, job := range jobs {
		before := slices.DeleteFunc(slices.Clone(jobs[:i]), func(j *jobHistory) bool { return j.owner != job.owner })
		for _, broken := range slices.Concat([]string{twice(job, before)}, h.outOfOrder(job, before), []string{h.late(job)}) {
			if broken != "" {
				out = append(out, fmt.Sprintf("Job %s (revision %d, asked for at %s) %s",
					job.name, job.created, job.asked.UTC().Format(time.RFC3339Nano), broken))
			}
		}
	}
	return out
}

// outOfOrder finds what breaks the order of steps, or of spec.finally after them.
func (h *history) outOfOrder(job *jobHistory, before []*jobHistory) []string {
	steps := slices.DeleteFunc(slices.Clone(before), func(j *jobHistory) bool { return j.finally })
	if job.finally {
		return []string{h.withoutResult(job), h.besideStep(job, steps), h.besideFinally(job, before)}
	}
	return []string{h.tooEarly(job, steps), backwards(job, steps), beside(job, steps), h.afterResult(job), h.besideFinally(job, before)}
}

// twice finds a name that one SequentialJob used before.
func twice(job *jobHistory, before []*jobHistory) string {
	for _, other := range before {
		if other.name == job.name {
			return fmt.Sprintf("was created twice, first in revision %d", other.created)
		}
	}
	return ""
}

// tooEarly finds a step whose predecessor was not Complete when it was created.
func (h *history) tooEarly(job *jobHistory, before []*jobHistory) string {
	if job.step == 0 {
		return ""
	}
	predecessor := last(before, job.step-1)
	switch {
	case predecessor == nil:
		return fmt.Sprintf("was created although step %d never started", job.step-1)
	case predecessor.byPod && (predecessor.complete == 0 || predecessor.complete >= job.created):
		return h.besidePod(job, predecessor)
	case predecessor.complete == 0:
		return fmt.Sprintf("was created although %s never was Complete", predecessor.name)
	case predecessor.complete >= job.created:
		return fmt.Sprintf("was created before %s was Complete in revision %d", predecessor.name, predecessor.complete)
	}
	return ""
}

// besidePod finds a step that was created, or goes on, while a pod of its predecessor has not ended, or before one has succeeded.
func (h *history) besidePod(job, predecessor *jobHistory) string {
	hasSucceeded := false
	for _, uid := range slices.Sorted(maps.Keys(h.pods)) {
		switch pod := h.pods[uid]; {
		case pod.job != predecessor.uid:
		case pod.created > job.created:
			return fmt.Sprintf("was created before pod %s of %s", pod.name, predecessor.name)
		case pod.ended == 0 || pod.ended > job.created:
			return fmt.Sprintf("was created while pod %s of %s ran", pod.name, predecessor.name)
		default:
			hasSucceeded = hasSucceeded || pod.succeeded
		}
	}
	if !hasSucceeded {
		return fmt.Sprintf("was created although no pod of %s had succeeded", predecessor.name)
	}
	return ""
}

// backwards finds a step that was started after a later one.
func backwards(job *jobHistory, before []*jobHistory) string {
	for _, other := range before {
		if other.step > job.step {
			return fmt.Sprintf("was created after %s of a later step", other.name)
		}
	}
	return ""
}

// beside finds an attempt at a step that began before the one before it had failed or was deleted.
func beside(job *jobHistory, before []*jobHistory) string {
	former := last(before, job.step)
	if former == nil || former.name == job.name {
		return "" // twice tells of the same name
	}
	hasFailed := former.failed != 0 && former.failed < job.created
	wasDeleted := !former.deleted.IsZero() && former.deleted.Before(job.answered)
	if !hasFailed && !wasDeleted {
		return fmt.Sprintf("was created although %s had neither failed nor been deleted", former.name)
	}
	return ""
}

// late finds a Job that was asked for when the deletion of its SequentialJob had already been answered.
func (h *history) late(job *jobHistory) string {
	if deleted, ok := h.deletions[job.owner]; ok && job.asked.After(deleted) {
		return "was created after its SequentialJob was deleted at " + deleted.UTC().Format(time.RFC3339Nano)
	}
	return ""
}

// last returns the latest Job of a step.
func last(jobs []*jobHistory, step int) *jobHistory {
	for _, job := range slices.Backward(jobs) {
		if job.step == step {
			return job
		}
	}
	return nil
}

// allNames returns the names of all Jobs, in the order in which they were created.
func (h *history) allNames() []string {
	var out []string
	for _, job := range h.sorted() {
		out = append(out, job.name)
	}
	return out
}

func (h *history) sorted() []*jobHistory {
	return slices.SortedFunc(slices.Values(h.jobs), func(a, b *jobHistory) int { return cmp.Compare(a.created, b.created) })
}

// String tells the whole history, for a test that failed.
func (h *history) String() string {
	var out strings.Builder
	for _, j := range h.sorted() {
		fmt.Fprintf(&out, "%s of %s: created in revision %d (asked %s), Complete in %d, Failed in %d", j.name, j.owner, j.created,
			j.asked.UTC().Format(time.RFC3339Nano), j.complete, j.failed)
		if !j.deleted.IsZero() {
			fmt.Fprintf(&out, ", deleted %s", j.deleted.UTC().Format(time.RFC3339Nano))
		}
		out.WriteString("\n")
	}
	for _, uid := range slices.Sorted(maps.Keys(h.pods)) {
		pod := h.pods[uid]
		fmt.Fprintf(&out, "pod %s of %s: created in revision %d, ended in %d, succeeded %t\n", pod.name, pod.job, pod.created, pod.ended, pod.succeeded)
	}
	for uid, at := range h.deletions {
		fmt.Fprintf(&out, "SequentialJob %s deleted %s\n", uid, at.UTC().Format(time.RFC3339Nano))
	}
	return out.String()
}
