package view

import (
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Input is what is known of a sequence.
type Input struct {
	SequentialJob *v1alpha1.SequentialJob
	// Gone says that it exists no more.
	Gone bool
	// Jobs and Pods may be those of others too, which are left out.
	Jobs []batchv1.Job
	Pods []corev1.Pod
	// Missing says what could not be read, a sentence each.
	Missing []string
	// Now is the time.
	Now time.Time
	// Commands says how the user types commands.
	Commands Commands
}

// state is where a step stands.
type state int

const (
	notStarted state = iota
	waiting
	running
	completed
	failed
)

// attempt is one Job of a step.
type attempt struct {
	// number counts from 1.
	number int
	job    string
	state  state
	// start and end are zero if they are not known, or not yet.
	start, end time.Time
	node       string
	message    string
}

// entry is a step, or a container of spec.finally.
type entry struct {
	name      string
	isFinally bool
	state     state
	// current is nil as long as nothing runs, or has run, that counts.
	current *attempt
	// earlier are attempts that failed before.
	earlier []attempt
	// notes are a few words each.
	notes []string
	// cause is what keeps its pod from running.
	cause string
}

// reader finds what belongs together.
type reader struct {
	in       *Input
	sj       *v1alpha1.SequentialJob
	progress *metav1.Condition
	byName   map[string]*batchv1.Job
	byUID    map[types.UID]*batchv1.Job
	// pods are by the Job that controls them.
	pods map[types.UID][]corev1.Pod
}

// newReader takes only the Jobs that the sequence controls, or that its status names.
func newReader(in *Input) *reader {
	sj := in.SequentialJob
	r := &reader{
		in: in, sj: sj, progress: meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing),
		byName: map[string]*batchv1.Job{}, byUID: map[types.UID]*batchv1.Job{}, pods: map[types.UID][]corev1.Pod{},
	}
	for i := range in.Jobs {
		job := &in.Jobs[i]
		if sj.UID != "" && metav1.IsControlledBy(job, sj) || sequence.EntryOf(&sj.Status, job.UID) != nil {
			r.byName[job.Name], r.byUID[job.UID] = job, job
		}
	}
	for i := range in.Pods {
		if owner := metav1.GetControllerOf(&in.Pods[i]); owner != nil {
			r.pods[owner.UID] = append(r.pods[owner.UID], in.Pods[i])
		}
	}
	return r
}

// entries are all steps, and then all of spec.finally.
func (r *reader) entries() []entry {
	var out []entry
	for i := range max(len(r.sj.Spec.Containers), len(r.sj.Status.Steps)) {
		out = append(out, r.entry(i, entryAt(r.sj.Status.Steps, i)))
	}
	for i := range max(len(r.sj.Spec.Finally), len(r.sj.Status.Finally)) {
		out = append(out, r.entry(sequence.FirstFinally+i, entryAt(r.sj.Status.Finally, i)))
	}
	return out
}

func entryAt(list []v1alpha1.StepStatus, at int) *v1alpha1.StepStatus {
	if at < len(list) {
		return &list[at]
	}
	return nil
}

func (r *reader) entry(index int, started *v1alpha1.StepStatus) entry {
	e := entry{isFinally: sequence.IsFinally(index)}
	if container := sequence.ContainerAt(&r.sj.Spec, index); container != nil {
		e.name = container.Name
	}
	if started == nil {
		e.earlier = r.attemptsBefore(index, e.name, r.earlierRuns(index))
		r.describeNotStarted(&e, index)
		return e
	}
	e.name = started.Name
	e.earlier = r.attemptsBefore(index, e.name, int(started.Retries))
	current := r.currentAttempt(started)
	if started.State == v1alpha1.StepFailed && r.next() == index {
		current.message = started.Message
		e.earlier = append(e.earlier, current)
		r.describeNext(&e, "starts again as "+sequence.NextJobName(r.sj))
		return e
	}
	e.current, e.state = &current, current.state
	r.describeStarted(&e, started)
	return e
}

// next is the index of what starts next, or -1 if nothing does before something else has ended.
func (r *reader) next() int {
	status := &r.sj.Status
	index, last := sequence.LastStarted(status)
	switch {
	case sequence.Finished(status), last != nil && last.State == v1alpha1.StepRunning:
		return -1
	case last == nil:
		return 0
	case status.Result != nil && !sequence.IsFinally(index):
		return sequence.FirstFinally
	case status.Result == nil && last.State == v1alpha1.StepFailed:
		return index
	}
	return index + 1
}

// earlierRuns is how often what is about to start for the first time, by the status, has run before: spec.finally runs once at each end.
func (r *reader) earlierRuns(index int) int {
	p := r.sj.Status.Progress
	if !sequence.IsFinally(index) || p == nil {
		return 0
	}
	if r.sj.Status.Result != nil {
		return int(p.FinallyRuns) - 1
	}
	return int(p.FinallyRuns)
}

func (r *reader) describeNotStarted(e *entry, index int) {
	p := r.sj.Status.Progress
	switch {
	case p != nil && p.FailedIndex != nil && int(*p.FailedIndex) == index:
		e.state = failed
		e.notes = append(e.notes, "not started", p.FailureReason)
	case r.next() == index:
		r.describeNext(e, "")
	case r.needsApproval(e.name) && !sequence.Finished(&r.sj.Status):
		e.notes = append(e.notes, "needs approval")
	}
}

// describeNext is about what starts next.
func (r *reader) describeNext(e *entry, start string) {
	e.state = waiting
	isSuspended := r.sj.Status.Phase == v1alpha1.SequentialJobSuspended
	switch {
	case ptr.Deref(r.sj.Spec.Cancel, false) && !e.isFinally:
		start = "will not start: cancelled"
	case isSuspended && ptr.Deref(r.sj.Spec.Suspend, false):
		start = "suspended"
	case isSuspended && r.needsApproval(e.name):
		start = "waits for approval"
	case r.hasReason(v1alpha1.ReasonJobNameConflict, v1alpha1.ReasonJobCreateFailed, v1alpha1.ReasonInvalidSpec):
		start = "cannot start: " + r.progress.Reason
	case start == "":
		e.state = notStarted
		return
	}
	e.notes = append(e.notes, start)
}

// describeStarted is about a step that has a Job.
func (r *reader) describeStarted(e *entry, started *v1alpha1.StepStatus) {
	if e.state == failed {
		reason, _, _ := strings.Cut(started.Message, ":")
		e.notes = append(e.notes, reason)
		e.current.message = started.Message
	}
	if e.state != running {
		return
	}
	job := r.byUID[started.JobUID]
	switch {
	case !r.sj.DeletionTimestamp.IsZero(), ptr.Deref(r.sj.Spec.Cancel, false) && !e.isFinally:
		e.notes = append(e.notes, "is being stopped")
	case r.sj.Status.Phase == v1alpha1.SequentialJobSuspended, job != nil && ptr.Deref(job.Spec.Suspend, false):
		e.state = waiting
		e.notes = append(e.notes, "suspended")
	case r.hasReason(v1alpha1.ReasonJobEnding):
		e.notes = append(e.notes, "is ending")
	case job != nil && !sequence.HasEnded(job):
		r.describePods(e, job)
	}
}

// describePods is about the pods of a Job that runs.
func (r *reader) describePods(e *entry, job *batchv1.Job) {
	pods := r.pods[job.UID]
	cause, _ := sequence.WhyNotReady(job, e.name, pods)
	switch {
	case cause.Reason == v1alpha1.ReasonPodFailed && isLastPod(job, pods):
		e.notes = append(e.notes, "is ending")
		e.cause = sequence.FailureDetail(e.name, pods)
	case cause.Reason != "":
		e.cause = cause.Verb + ": " + cause.Message + cause.Count
	case cause.Message != "":
		e.notes = append(e.notes, cause.Message)
	case slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return pod.Status.Phase == corev1.PodPending }):
		e.notes = append(e.notes, "starting")
	}
	if n := job.Status.Failed; n > 0 && limitOf(job) > 0 {
		e.notes = append(e.notes, plural(int(n), "pod", "pods")+" failed")
	}
}

// isLastPod says whether a Job makes no more pods, because one has failed; it says so itself about a second later.
func isLastPod(job *batchv1.Job, pods []corev1.Pod) bool {
	if slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == batchv1.JobFailureTarget }) {
		return true
	}
	var failed int32
	for i := range pods {
		switch pods[i].Status.Phase { //nolint:exhaustive // one that has succeeded makes the Job complete
		case corev1.PodFailed:
			failed++
		case corev1.PodPending, corev1.PodRunning:
			return false
		}
	}
	return max(failed, job.Status.Failed) > limitOf(job)
}

// limitOf is how often a Job replaces a pod that has failed.
func limitOf(job *batchv1.Job) int32 {
	const unset = 6
	return ptr.Deref(job.Spec.BackoffLimit, unset)
}

func (r *reader) hasReason(reasons ...string) bool {
	return r.progress != nil && slices.Contains(reasons, r.progress.Reason)
}

// needsApproval says whether the sequence waits, or is going to wait, before a step.
func (r *reader) needsApproval(step string) bool {
	return slices.ContainsFunc(r.sj.Spec.StepOverrides, func(o v1alpha1.StepOverride) bool {
		return o.Name == step && ptr.Deref(o.Suspend, false)
	})
}
