package sequence

import (
	"fmt"
	"math"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// startClock begins a time that counts against spec.activeDeadlineSeconds, unless one has begun already.
func (d *decider) startClock(at metav1.Time) {
	if status := &d.status; status.ActiveSince == nil && status.Result == nil {
		status.ActiveSince = at.DeepCopy()
	}
}

// countFromStart takes over a sequence that was started by a version which did not count.
func (d *decider) countFromStart() {
	status := &d.status
	if d.sj.Spec.ActiveDeadlineSeconds != nil && status.Phase == v1alpha1.SequentialJobRunning && status.StartTime != nil && status.Result == nil {
		d.startClock(*status.StartTime)
	}
}

// stopClock ends it. A clock that was set back must not make the time that was used negative.
func (d *decider) stopClock(at metav1.Time) {
	status := &d.status
	status.ActiveSeconds = int64(d.activeUntil(at) / time.Second)
	status.ActiveSince = nil
}

// activeUntil is for how long the sequence was active up to that time.
func (d *decider) activeUntil(at metav1.Time) time.Duration {
	status := &d.status
	active := time.Duration(status.ActiveSeconds) * time.Second
	if status.ActiveSince != nil {
		active += max(0, at.Sub(status.ActiveSince.Time))
	}
	return active
}

// timeLeft is what is left of spec.activeDeadlineSeconds. There is no limit if the second value is false. spec.finally has none.
func (d *decider) timeLeft() (time.Duration, bool) {
	if d.sj.Spec.ActiveDeadlineSeconds == nil || d.status.Result != nil {
		return 0, false
	}
	// More seconds than a Duration holds are 292 years.
	const maxSeconds = int64(math.MaxInt64 / time.Second)
	limit := time.Duration(min(*d.sj.Spec.ActiveDeadlineSeconds, maxSeconds)) * time.Second
	return limit - d.activeUntil(d.now), true
}

func (d *decider) isOutOfTime() bool {
	left, limited := d.timeLeft()
	return limited && left <= 0
}

// secondsLeft is timeLeft as the activeDeadlineSeconds of a Job that starts now. The Job carries it so that the deadline
// holds while no controller of ours runs.
func (d *decider) secondsLeft() *int64 {
	left, limited := d.timeLeft()
	if !limited {
		return nil
	}
	return new(ceilSeconds(left))
}

func ceilSeconds(d time.Duration) int64 {
	return max(0, int64(math.Ceil(d.Seconds())))
}

// setDeadline gives a Job that is about to be created for the step at index its deadline.
func (d *decider) setDeadline(index int, job *batchv1.Job) {
	var left *int64
	if d.isLimited(index) {
		left = d.secondsLeft()
	}
	seconds, isStep := lowerDeadline(left, d.stepDeadline(index), false)
	if seconds == nil {
		return
	}
	text := strconv.FormatInt(*seconds, 10)
	job.Spec.ActiveDeadlineSeconds = copyOf(seconds)
	metav1.SetMetaDataAnnotation(&job.ObjectMeta, v1alpha1.DeadlineAnnotation, text)
	if isStep {
		metav1.SetMetaDataAnnotation(&job.ObjectMeta, v1alpha1.StepDeadlineAnnotation, text)
	}
}

// changeDeadline corrects the activeDeadlineSeconds of the running step's Job: it counts from the Job's start, and again whenever
// the Job is resumed. A value that somebody else has set, such as an admission policy, stays unless ours is lower.
func (d *decider) changeDeadline(change *JobChange, index int, suspend bool) {
	if suspend {
		return // it does not count while the Job is suspended
	}
	job := change.Job
	is, foreign, hasStep := job.Spec.ActiveDeadlineSeconds, d.foreignDeadline(job), d.hasStepDeadline(job)
	own, isStep := lowerDeadline(d.sequenceDeadline(index, job), d.stepDeadline(index), hasStep)
	want := own
	if own == nil || foreign != nil && *foreign <= *own {
		want, isStep = foreign, false
	}
	if ptr.Equal(want, is) && isStep == hasStep {
		return
	}
	change.ActiveDeadlineSeconds = &want
	notes := map[string]*int64{v1alpha1.DeadlineAnnotation: own, v1alpha1.ForeignDeadlineAnnotation: foreign}
	if _, isNoted := job.Annotations[v1alpha1.StepDeadlineAnnotation]; isNoted {
		change.Annotations[v1alpha1.StepDeadlineAnnotation] = nil
	}
	if isStep {
		notes[v1alpha1.StepDeadlineAnnotation] = own
	}
	for key, value := range notes {
		change.Annotations[key] = nil
		if want == own && value != nil {
			change.Annotations[key] = new(strconv.FormatInt(*value, 10))
		}
	}
}

// sequenceDeadline is the activeDeadlineSeconds that the Job of the running step has to have for spec.activeDeadlineSeconds.
func (d *decider) sequenceDeadline(index int, job *batchv1.Job) *int64 {
	is, isSet := job.Spec.ActiveDeadlineSeconds, d.hasSequenceDeadline(job)
	left, _ := d.timeLeft()
	switch {
	case !d.isLimited(index):
		return nil
	case isJobSuspended(job):
		return d.secondsLeft()
	case !isCounting(job) && isSet:
		return is
	case !isCounting(job):
		return d.secondsLeft()
	}
	seconds := ceilSeconds(d.now.Add(left).Sub(job.Status.StartTime.Time))
	// Times are stored in whole seconds, and the Job controller sets its own: a second more or less is no difference.
	if isSet && seconds-*is <= 1 && *is-seconds <= 1 {
		return is
	}
	return &seconds
}

// isCounting says whether the Job controller has set the beginning from which it counts. Up to Kubernetes 1.35 the one from before
// a suspension stays there until it has noticed that the Job was resumed; it sets the condition with it.
func isCounting(job *batchv1.Job) bool {
	return job.Status.StartTime != nil && jobCondition(job, batchv1.JobSuspended) == nil
}

// isOwnDeadline says whether it was this controller that gave the Job its activeDeadlineSeconds.
func (d *decider) isOwnDeadline(job *batchv1.Job) bool {
	is := job.Spec.ActiveDeadlineSeconds
	if is == nil {
		return false
	}
	if job.Annotations[v1alpha1.GenerationAnnotation] == "" {
		return d.sj.Spec.ActiveDeadlineSeconds != nil // made by a version that did not note it
	}
	return job.Annotations[v1alpha1.DeadlineAnnotation] == strconv.FormatInt(*is, 10)
}

// foreignDeadline is the activeDeadlineSeconds that somebody else has given the Job, if any.
func (d *decider) foreignDeadline(job *batchv1.Job) *int64 {
	if !d.isOwnDeadline(job) {
		return job.Spec.ActiveDeadlineSeconds
	}
	seconds, err := strconv.ParseInt(job.Annotations[v1alpha1.ForeignDeadlineAnnotation], 10, 64)
	if err != nil {
		return nil
	}
	return &seconds
}

// failForTime ends a sequence whose time is up before the step at index starts.
func (d *decider) failForTime(index int) {
	message := fmt.Sprintf("%s was not started: %s: %s", subject(index, nameAt(&d.sj.Spec, index)),
		v1alpha1.ReasonDeadlineExceeded, d.describeTimeout())
	d.emit(warning(v1alpha1.ReasonDeadlineExceeded, message))
	d.fail(index, v1alpha1.ReasonDeadlineExceeded, message, d.now)
	d.spendAllTime()
}

func (d *decider) describeTimeout() string {
	return fmt.Sprintf("the sequence was active for longer than its activeDeadlineSeconds (%d)", *d.sj.Spec.ActiveDeadlineSeconds)
}

// spendAllTime makes sure that a sequence which was stopped for its deadline has no time left, whatever the rounding.
func (d *decider) spendAllTime() {
	if limit := d.sj.Spec.ActiveDeadlineSeconds; limit != nil {
		d.status.ActiveSeconds = max(d.status.ActiveSeconds, *limit)
	}
}
