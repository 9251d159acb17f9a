package follow

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// attempt is one time that a step was started, by a Job of its own.
type attempt struct {
	index int // as in sequence.ContainerAt
	retry int32
	step  string
	name  string // of the Job
	uid   types.UID
	job   *batchv1.Job // nil if it is gone
	pods  []corev1.Pod // in the order in which they were created
}

// title names an attempt.
func (a *attempt) title() string {
	title := a.step
	if sequence.IsFinally(a.index) {
		title += ", finally"
	}
	if a.retry > 0 {
		title += fmt.Sprintf(", attempt %d", a.retry+1)
	}
	return title
}

// hasEnded says whether the attempt is over.
func (a *attempt) hasEnded() bool {
	if a.job == nil {
		return true
	}
	for _, c := range a.job.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// endTime is when the Job ended; far in the future if it has not.
func (a *attempt) endTime() time.Time {
	for _, c := range a.job.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Unix(1<<40, 0)
}

// attemptsOf returns all attempts that are known, in the order in which they ran.
func attemptsOf(s *State) []attempt {
	steps, finally := jobsOf(s)
	return addGone(s, merge(steps, finally))
}

// jobsOf returns the attempts whose Jobs exist, those of the steps and those of spec.finally. A Job is only taken for one of this
// sequence if the sequence controls it, or if its status says so.
func jobsOf(s *State) (steps, finally []attempt) {
	for i := range s.Jobs {
		job := &s.Jobs[i]
		if owner := metav1.GetControllerOfNoCopy(job); sequence.EntryOf(&s.SequentialJob.Status, job.UID) == nil && (owner == nil || owner.UID != s.SequentialJob.UID) {
			continue
		}
		a, ok := attemptOf(s.SequentialJob, job.Name)
		if !ok {
			continue
		}
		a.job, a.uid, a.pods = job, job.UID, podsOf(job, s.Pods)
		a.step = cmp.Or(job.Labels[v1alpha1.StepNameLabel], a.step)
		if entry := sequence.EntryOf(&s.SequentialJob.Status, job.UID); entry != nil {
			a.step = entry.Name
		}
		if sequence.IsFinally(a.index) {
			finally = append(finally, a)
		} else {
			steps = append(steps, a)
		}
	}
	slices.SortStableFunc(steps, func(a, b attempt) int {
		return cmp.Or(compareStart(&a, &b), cmp.Compare(a.index, b.index), cmp.Compare(a.retry, b.retry))
	})
	slices.SortStableFunc(finally, func(a, b attempt) int {
		return cmp.Or(compareStart(&a, &b), cmp.Compare(a.retry, b.retry), cmp.Compare(a.index, b.index))
	})
	return steps, finally
}

func compareStart(a, b *attempt) int {
	return a.job.CreationTimestamp.Compare(b.job.CreationTimestamp.Time)
}

// merge puts the attempts of spec.finally between those of the steps. Of two that began in the same second, the one that ended first
// was first.
func merge(steps, finally []attempt) []attempt {
	var all []attempt
	for len(steps) > 0 && len(finally) > 0 {
		isFinally := cmp.Or(compareStart(&finally[0], &steps[0]), finally[0].endTime().Compare(steps[0].endTime())) < 0
		if isFinally {
			all, finally = append(all, finally[0]), finally[1:]
		} else {
			all, steps = append(all, steps[0]), steps[1:]
		}
	}
	return append(append(all, steps...), finally...)
}

var jobSuffix = regexp.MustCompile(`^-(f?)(\d{1,4})(?:-r(\d{1,9}))?$`)

// attemptOf tells from the name of a Job which attempt it is.
func attemptOf(sj *v1alpha1.SequentialJob, job string) (attempt, bool) {
	if len(job) <= len(sj.Name) || job[:len(sj.Name)] != sj.Name {
		return attempt{}, false
	}
	match := jobSuffix.FindStringSubmatch(job[len(sj.Name):])
	if match == nil {
		return attempt{}, false
	}
	index, _ := strconv.Atoi(match[2])
	retry, _ := strconv.ParseInt("0"+match[3], 10, 32)
	if match[1] != "" {
		index += sequence.FirstFinally
	}
	a := attempt{index: index, retry: int32(retry), name: job}
	if container := sequence.ContainerAt(&sj.Spec, index); container != nil {
		a.step = container.Name
	}
	return a, true
}

// addGone adds the attempts of which the status tells and whose Jobs are gone: each before what ran after it.
func addGone(s *State, all []attempt) []attempt {
	status := &s.SequentialJob.Status
	add := func(index int, entry *v1alpha1.StepStatus, retry int32) {
		name := sequence.JobName(s.SequentialJob, index, retry)
		isCurrent := retry == entry.Retries
		if entry.JobUID == "" || slices.ContainsFunc(all, func(a attempt) bool {
			return a.name == name && (!isCurrent || a.uid == entry.JobUID)
		}) {
			return
		}
		a := attempt{index: index, retry: retry, step: entry.Name, name: name}
		if isCurrent {
			a.uid = entry.JobUID
		}
		at := slices.IndexFunc(all, func(other attempt) bool { return isBefore(&a, &other) })
		if at < 0 {
			at = len(all)
		}
		all = slices.Insert(all, at, a)
	}
	for i := range status.Steps {
		for retry := range status.Steps[i].Retries + 1 {
			add(i, &status.Steps[i], retry)
		}
	}
	for i := range status.Finally {
		// How often it ran before, and in how many Jobs, is not known.
		add(sequence.FirstFinally+i, &status.Finally[i], status.Finally[i].Retries)
	}
	return all
}

// isBefore says whether an attempt certainly ran before another one.
func isBefore(a, b *attempt) bool {
	af, bf := sequence.IsFinally(a.index), sequence.IsFinally(b.index)
	switch {
	case af && bf:
		return cmp.Or(cmp.Compare(a.retry, b.retry), cmp.Compare(a.index, b.index)) < 0
	case af != bf:
		return false
	}
	return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.retry, b.retry)) < 0
}

// podsOf returns the pods of a Job, in the order in which they were created.
func podsOf(job *batchv1.Job, all []corev1.Pod) []corev1.Pod {
	var pods []corev1.Pod
	for i := range all {
		if owner := metav1.GetControllerOfNoCopy(&all[i]); owner != nil && owner.UID == job.UID {
			pods = append(pods, all[i])
		}
	}
	slices.SortStableFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), startTime(&a).Compare(startTime(&b)), cmp.Compare(a.Name, b.Name))
	})
	return pods
}

// startTime is when kubelet took a pod up; far in the future if it has not.
func startTime(pod *corev1.Pod) time.Time {
	if pod.Status.StartTime == nil {
		return time.Unix(1<<40, 0)
	}
	return pod.Status.StartTime.Time
}
