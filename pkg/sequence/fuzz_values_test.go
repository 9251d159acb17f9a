package sequence_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// dice makes any values out of what the fuzzer gives. Once that is used up every throw is 0.
type dice struct{ bytes []byte }

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	b := int(d.bytes[0])
	d.bytes = d.bytes[1:]
	return b % n
}

// oneOf returns one of the values.
func oneOf[T any](d *dice, values ...T) T { return values[d.below(len(values))] }

// maybe returns nil or a pointer to what make returns.
func maybe[T any](d *dice, make func() T) *T {
	if d.below(2) == 0 {
		return nil
	}
	return new(make())
}

// several returns up to most values.
func several[T any](d *dice, most int, make func(i int) T) []T {
	var out []T
	for i := range d.below(most + 1) {
		out = append(out, make(i))
	}
	return out
}

// text returns any text that JSON can hold.
func (d *dice) text() string {
	if len(d.bytes) > 2 && d.below(4) == 0 {
		n := min(d.below(64), len(d.bytes))
		raw := d.bytes[:n]
		d.bytes = d.bytes[n:]
		return strings.ToValidUTF8(string(raw), "?")
	}
	return oneOf(d, "", "Error", "two\nlines", " \t", "\x00\x07", "ünï", "a: b", "-bad-", "ErrImagePull: x", strings.Repeat("ä", 1000),
		strings.Repeat("x", 3000), "\u202e\u200d", "BackoffLimitExceeded", "DeadlineExceeded", "JobNameConflict", "Retrying")
}

func (d *dice) int32() int32 {
	return oneOf[int32](d, 0, 1, 2, 3, 999, 1000, 1001, -1, math.MaxInt32, math.MinInt32, math.MaxInt32-1)
}

func (d *dice) int64() int64 {
	return oneOf[int64](d, 0, 1, 60, 3600, -1, math.MaxInt64, math.MinInt64, math.MaxInt64-1, math.MaxInt64/int64(time.Second), 1<<40)
}

func (d *dice) time() metav1.Time {
	return oneOf(d, created, ended, metav1.NewTime(now), metav1.Time{}, metav1.NewTime(now.Add(time.Hour)), metav1.NewTime(now.AddDate(300, 0, 0)),
		metav1.NewTime(now.AddDate(-1000, 0, 0)), metav1.NewTime(now.Add(time.Nanosecond)), metav1.Unix(0, 0))
}

func (d *dice) clock() time.Time {
	return oneOf(d, now, now.Add(-2*time.Hour), now.Add(time.Hour), now.AddDate(290, 0, 0), now.AddDate(-500, 0, 0), time.Time{}.Add(time.Second), time.Unix(0, 0))
}

func (d *dice) labels() map[string]string {
	out := map[string]string{}
	for range d.below(3) {
		out[oneOf(d, "app", "job-name", v1alpha1.StepIndexLabel, v1alpha1.StepNameLabel, v1alpha1.SequentialJobUIDLabel,
			"kueue.x-k8s.io/queue-name", v1alpha1.SuspendedByAnnotation)] = oneOf(d, "x", "step-0", "step-1", "uid-etl", v1alpha1.ControllerName, "")
	}
	return oneOf(d, out, nil)
}

func (d *dice) condition() metav1.Condition {
	return metav1.Condition{
		Type:    oneOf(d, "Available", "Progressing", "Failed", "Reconciling", "Stalled", "Unknown", ""),
		Status:  oneOf[metav1.ConditionStatus](d, "True", "False", "Unknown", "Perhaps", ""),
		Reason:  d.text(),
		Message: d.text(), ObservedGeneration: d.int64(), LastTransitionTime: d.time(),
	}
}

// step is not always the one that belongs at that index.
func (d *dice) step(sj *v1alpha1.SequentialJob, i int) v1alpha1.StepStatus {
	at := oneOf(d, i, i, i, i+1, 0)
	retries := oneOf(d, 0, 0, d.int32())
	name := fmt.Sprintf("step-%d", at)
	if sequence.IsFinally(at) {
		name = fmt.Sprintf("finally-%d", at-sequence.FirstFinally)
	}
	return v1alpha1.StepStatus{
		Name: oneOf(d, name, "forged", ""), JobName: oneOf(d, sequence.JobName(sj, at, retries), "forged", ""),
		JobUID: d.jobUID(at), State: oneOf[v1alpha1.StepState](d, "Running", "Completed", "Failed", "", "Forged"),
		StartTime: maybe(d, d.time), CompletionTime: maybe(d, d.time), Retries: retries, Message: d.text(),
	}
}

func (d *dice) jobUID(i int) types.UID {
	return oneOf(d, types.UID(fmt.Sprintf("uid-job-%d", i)), types.UID(fmt.Sprintf("uid-job-%d", i)), "uid-other", "")
}

// status may have been written by anybody.
func (d *dice) status(sj *v1alpha1.SequentialJob) v1alpha1.SequentialJobStatus {
	return v1alpha1.SequentialJobStatus{
		ObservedGeneration: oneOf(d, 0, 1, 2, d.int64()),
		Phase:              oneOf[v1alpha1.SequentialJobPhase](d, "", "Pending", "Running", "Suspended", "Completed", "Failed", "Failed", "Forged"),
		Steps:              several(d, 6, func(i int) v1alpha1.StepStatus { return d.step(sj, i) }),
		Progress: maybe(d, func() v1alpha1.JobProgress {
			return v1alpha1.JobProgress{
				CurrentIndex: d.int32(), CurrentStep: d.text(), Completions: d.text(), FailedIndex: maybe(d, d.int32),
				CompletedIndices: several(d, 3, func(int) int32 { return d.int32() }), FailureReason: d.text(), Retries: oneOf(d, 0, 1, d.int32()),
				FinallyRuns: oneOf(d, 0, 1, 1, 2, d.int32()),
			}
		}),
		State: maybe(d, func() v1alpha1.ExecutionState {
			return v1alpha1.ExecutionState{Active: d.int32(), Succeeded: d.int32(), Failed: d.int32()}
		}),
		StartTime: maybe(d, d.time), CompletionTime: maybe(d, d.time), ActiveSince: maybe(d, d.time), ActiveSeconds: d.int64(),
		Conditions: several(d, 7, func(int) metav1.Condition { return d.condition() }),
		SpecCheck: maybe(d, func() v1alpha1.SpecCheck {
			return v1alpha1.SpecCheck{Generation: oneOf(d, 1, 2, d.int64()),
				Result: oneOf[v1alpha1.SpecCheckResult](d, "Accepted", "Refused", "Unknown", "Forged"), Message: d.text()}
		}),
		Result: d.result(), Finally: oneOf(d, nil, several(d, 3, func(i int) v1alpha1.StepStatus { return d.step(sj, sequence.FirstFinally+i) })),
		FailedWith: maybe(d, func() v1alpha1.FailedWith {
			return v1alpha1.FailedWith{StepsHash: d.text(), Retries: d.int32(), ActiveDeadlineSeconds: maybe(d, d.int64)}
		}),
	}
}

// sequence returns any SequentialJob.
func (d *dice) sequence() *v1alpha1.SequentialJob {
	sj := newSequence()
	sj.Name = oneOf(d, "etl", strings.Repeat("n", 1+d.below(v1alpha1.MaxNameLength)))
	sj.UID = oneOf[types.UID](d, "uid-etl", "uid-etl", "uid-etl", "")
	sj.Generation = oneOf(d, 1, 2, d.int64())
	sj.Spec.Containers = several(d, 5, func(i int) corev1.Container {
		return corev1.Container{Name: oneOf(d, fmt.Sprintf("step-%d", i), fmt.Sprintf("step-%d", i), "edited", "")}
	})
	sj.Spec.Suspend = maybe(d, func() bool { return d.below(2) == 1 })
	sj.Spec.Retries, sj.Spec.ActiveDeadlineSeconds = maybe(d, d.int32), maybe(d, d.int64)
	sj.Spec.TTLSecondsAfterFinished, sj.Spec.BackoffLimit = maybe(d, d.int32), maybe(d, d.int32)
	sj.Spec.Template.Labels, sj.Spec.Template.Annotations = d.labels(), d.labels()
	sj.Spec.StepOverrides = several(d, 3, d.override)
	sj.Spec.AdvanceOn = maybe(d, func() v1alpha1.AdvanceOn {
		return oneOf(d, v1alpha1.AdvanceOnJobComplete, v1alpha1.AdvanceOnPodSucceeded, v1alpha1.AdvanceOnPodSucceeded)
	})
	sj.Spec.Cancel = oneOf(d, nil, nil, new(false), new(true))
	sj.Spec.Finally = oneOf(d, nil, several(d, 3, d.finallyContainer))
	sj.Status = d.status(sj)
	sj.Finalizers = d.finalizers()
	if d.below(8) == 1 {
		sj.DeletionTimestamp = new(d.time())
	}
	return sj
}

func (d *dice) finalizers() []string {
	return oneOf(d, []string{v1alpha1.CleanupFinalizer}, nil, []string{metav1.FinalizerOrphanDependents},
		[]string{metav1.FinalizerOrphanDependents, v1alpha1.CleanupFinalizer})
}

// job returns any Job, mostly one that has something to do with a step.
func (d *dice) job(sj *v1alpha1.SequentialJob, i int) *batchv1.Job {
	// The names may come from a longer sequence, so that there are Jobs of steps that were edited away.
	wide := sj.DeepCopy()
	for sequence.ContainerAt(&wide.Spec, i) == nil {
		if sequence.IsFinally(i) {
			wide.Spec.Finally = append(wide.Spec.Finally, corev1.Container{Name: "gone"})
		} else {
			wide.Spec.Containers = append(wide.Spec.Containers, corev1.Container{Name: "gone"})
		}
	}
	job := sequence.NewJob(wide, i, oneOf(d, 0, 0, 0, 1, 2, d.int32()))
	job.UID = d.jobUID(i)
	job.CreationTimestamp = d.time()
	job.Spec.Suspend, job.Spec.ActiveDeadlineSeconds = maybe(d, func() bool { return d.below(2) == 1 }), maybe(d, d.int64)
	job.Status.StartTime, job.Status.CompletionTime = maybe(d, d.time), maybe(d, d.time)
	job.Status.Ready, job.Status.Active = maybe(d, d.int32), d.int32()
	job.DeletionTimestamp = maybe(d, d.time)
	job.Status.Succeeded, job.Status.Failed, job.Status.Terminating = oneOf(d, 0, 0, d.int32()), d.int32(), maybe(d, d.int32)
	job.Annotations = oneOf(d, nil, job.Annotations, map[string]string{v1alpha1.SuspendedByAnnotation: v1alpha1.ControllerName}, d.labels())
	for _, key := range []string{v1alpha1.DeadlineAnnotation, v1alpha1.ForeignDeadlineAnnotation, v1alpha1.StepDeadlineAnnotation} {
		if job.Annotations != nil && d.below(3) == 1 {
			job.Annotations[key] = oneOf(d, strconv.FormatInt(d.int64(), 10), "forged")
		}
	}
	switch d.below(10) {
	case 1:
		job.OwnerReferences = nil
	case 2:
		job.OwnerReferences[0].UID = "uid-other"
	case 3:
		job.OwnerReferences[0].Controller = nil
	case 4:
		job.OwnerReferences = append([]metav1.OwnerReference{{UID: sj.UID, Kind: "Forged"}}, job.OwnerReferences...)
	case 5:
		job.Labels = d.labels()
	}
	job.Status.Conditions = several(d, 3, func(int) batchv1.JobCondition {
		return batchv1.JobCondition{
			Type:   oneOf[batchv1.JobConditionType](d, "Complete", "Failed", "Complete", "Failed", "Suspended", "SuccessCriteriaMet", "FailureTarget", "Odd", ""),
			Status: oneOf[corev1.ConditionStatus](d, "True", "True", "False", "Unknown", ""),
			Reason: d.text(), Message: d.text(), LastTransitionTime: d.time(),
		}
	})
	return job
}

// refusal returns any refusal, mostly none.
func (d *dice) refusal() sequence.Refusal {
	if d.below(4) != 1 {
		return sequence.Refusal{}
	}
	out := sequence.Refusal{Class: oneOf(d, classes...), Message: d.text()}
	if out.Class == sequence.Invalid || out.Class == sequence.TooLarge {
		out.Causes = append(several(d, 3, func(i int) metav1.StatusCause {
			return metav1.StatusCause{Message: d.text(), Field: oneOf(d, "spec.backoffLimit", "spec.template.labels", d.text(),
				fmt.Sprintf("spec.template.spec.containers[%d].image", i), "spec.template.spec.containers[999999999999999999999]")}
		}), metav1.StatusCause{Message: d.text()})
	}
	return out
}

// jobs returns any Jobs with names of their own, as an API server has them.
func (d *dice) jobs(sj *v1alpha1.SequentialJob) []*batchv1.Job {
	var out []*batchv1.Job
	for _, job := range several(d, 6, func(i int) *batchv1.Job {
		return d.job(sj, oneOf(d, i, i, 0, sequence.FirstFinally, sequence.FirstFinally+i))
	}) {
		if !slices.ContainsFunc(out, func(other *batchv1.Job) bool { return other.Name == job.Name || other.UID == job.UID }) {
			out = append(out, job)
		}
	}
	return out
}
