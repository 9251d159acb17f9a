package kubectl

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// stepTitle names a step in a sentence, or one that runs finally.
func stepTitle(spec *v1alpha1.SequentialJobSpec, name string) string {
	if slices.ContainsFunc(spec.Finally, func(c corev1.Container) bool { return c.Name == name }) {
		return fmt.Sprintf("finally (%s)", name)
	}
	return "step " + name
}

// runningStep returns the entry of what runs; nil if nothing does.
func runningStep(sj *v1alpha1.SequentialJob) *v1alpha1.StepStatus {
	if _, last := sequence.LastStarted(&sj.Status); last != nil && last.State == v1alpha1.StepRunning {
		return last
	}
	return nil
}

// stepAfter returns the name of what starts next, be it a step or the first one that runs finally; "" if nothing does.
func stepAfter(sj *v1alpha1.SequentialJob) string {
	if next := sequence.NextStep(sj); next != "" {
		return next
	}
	if sj.Status.Result == nil && len(sj.Spec.Finally) > 0 {
		return sj.Spec.Finally[0].Name
	}
	return ""
}

// runningFor is for how long a step has run.
func runningFor(step *v1alpha1.StepStatus, now time.Time) string {
	if step.StartTime == nil {
		return "running"
	}
	return "running " + duration.HumanDuration(max(0, now.Sub(step.StartTime.Time)))
}

// runningJob is what is known of the Job of the step that runs.
type runningJob struct {
	step *v1alpha1.StepStatus // nil if nothing runs
	job  *batchv1.Job         // nil if it could not be read
	note string               // why not
}

// runningJob reads the Job of the step that runs.
func (t *Tool) runningJob(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob) runningJob {
	step := runningStep(sj)
	if step == nil {
		return runningJob{}
	}
	job, err := c.Kube.BatchV1().Jobs(sj.Namespace).Get(ctx, step.JobName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return runningJob{step: step}
	case err != nil:
		note := fmt.Sprintf("Job %s could not be read: %v", step.JobName,
			t.explain(err, access{verb: "get", resource: resourceJobs, namespace: sj.Namespace}))
		return runningJob{step: step, note: note}
	case job.UID != step.JobUID:
		return runningJob{step: step}
	}
	return runningJob{step: step, job: job}
}

func (r runningJob) isSuspended() bool { return r.job != nil && ptr.Deref(r.job.Spec.Suspend, false) }

// isOurs says whether it was this project's controller that suspended the Job.
func (r runningJob) isOurs() bool {
	return r.isSuspended() && r.job.Annotations[v1alpha1.SuspendedByAnnotation] == v1alpha1.ControllerName
}

func (r runningJob) queue() string {
	if r.job == nil {
		return ""
	}
	return r.job.Labels[sequence.QueueLabel]
}
