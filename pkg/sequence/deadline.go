package sequence

import (
	"fmt"
	"math"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// activate begins a time that counts against spec.activeDeadlineSeconds, unless one has begun already.
func (p *planner) activate(at metav1.Time) {
	if status := &p.plan.Status; status.ActiveSince == nil {
		status.ActiveSince = at.DeepCopy()
	}
}

// adoptActiveTime takes over a sequence that was started by a version which did not count.
func (p *planner) adoptActiveTime() {
	status := &p.plan.Status
	if p.sj.Spec.ActiveDeadlineSeconds != nil && status.Phase == v1alpha1.SequentialJobRunning && status.StartTime != nil {
		p.activate(*status.StartTime)
	}
}

// deactivate ends it. A clock that was set back must not make the time that was used negative.
func (p *planner) deactivate(at metav1.Time) {
	status := &p.plan.Status
	status.ActiveSeconds = int64(p.activeUntil(at) / time.Second)
	status.ActiveSince = nil
}

// activeUntil is for how long the sequence was active up to that time.
func (p *planner) activeUntil(at metav1.Time) time.Duration {
	status := &p.plan.Status
	active := time.Duration(status.ActiveSeconds) * time.Second
	if status.ActiveSince != nil {
		active += max(0, at.Sub(status.ActiveSince.Time))
	}
	return active
}

// timeLeft is what is left of spec.activeDeadlineSeconds. There is no limit if the second value is false.
func (p *planner) timeLeft() (time.Duration, bool) {
	if p.sj.Spec.ActiveDeadlineSeconds == nil {
		return 0, false
	}
	// More seconds than a Duration holds are 292 years.
	const maxSeconds = int64(math.MaxInt64 / time.Second)
	limit := time.Duration(min(*p.sj.Spec.ActiveDeadlineSeconds, maxSeconds)) * time.Second
	return limit - p.activeUntil(p.now), true
}

func (p *planner) outOfTime() bool {
	left, limited := p.timeLeft()
	return limited && left <= 0
}

// secondsLeft is timeLeft as the activeDeadlineSeconds of a Job that starts now. The Job carries it so that the deadline
// holds while no controller of ours runs.
func (p *planner) secondsLeft() *int64 {
	left, limited := p.timeLeft()
	if !limited {
		return nil
	}
	return new(ceilSeconds(left))
}

func ceilSeconds(d time.Duration) int64 {
	return max(0, int64(math.Ceil(d.Seconds())))
}

// jobDeadline is the activeDeadlineSeconds that the Job of the running step has to have: it counts from the Job's start,
// and anew whenever the Job is resumed. is and want say whether the Job is, and shall be, suspended.
func (p *planner) jobDeadline(job *batchv1.Job, is, want bool) *int64 {
	now := job.Spec.ActiveDeadlineSeconds
	left, limited := p.timeLeft()
	switch {
	case want:
		return now // it does not count while the Job is suspended
	case is || !limited:
		return p.secondsLeft()
	case job.Status.StartTime == nil && now != nil:
		return now // the Job controller has not set the beginning yet
	case job.Status.StartTime == nil:
		return p.secondsLeft()
	}
	seconds := ceilSeconds(p.now.Add(left).Sub(job.Status.StartTime.Time))
	// Times are stored in whole seconds, and the Job controller sets its own: a second more or less is no difference.
	if now != nil && seconds-*now <= 1 && *now-seconds <= 1 {
		return now
	}
	return &seconds
}

// failForTime ends a sequence whose time is up before the step at index starts.
func (p *planner) failForTime(index int) {
	message := fmt.Sprintf("Job %d (%s) was not started: %s: %s", index, p.sj.Spec.Containers[index].Name,
		v1alpha1.ReasonDeadlineExceeded, p.describeTimeout())
	p.fail(index, v1alpha1.ReasonDeadlineExceeded, message)
	p.emit(warning(v1alpha1.ReasonDeadlineExceeded, message))
}

func (p *planner) describeTimeout() string {
	return fmt.Sprintf("the sequence was active for longer than its activeDeadlineSeconds (%d)", *p.sj.Spec.ActiveDeadlineSeconds)
}

// spendAllTime makes sure that a sequence which was stopped for its deadline has no time left, whatever the rounding.
func (p *planner) spendAllTime() {
	if limit := p.sj.Spec.ActiveDeadlineSeconds; limit != nil {
		p.plan.Status.ActiveSeconds = max(p.plan.Status.ActiveSeconds, *limit)
	}
}
