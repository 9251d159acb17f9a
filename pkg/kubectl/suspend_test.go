package kubectl

import (
	"errors"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func suspendedJob(job *batchv1.Job) { job.Spec.Suspend = new(true) }

func suspendedByUs(job *batchv1.Job) {
	suspendedJob(job)
	job.Annotations = map[string]string{v1alpha1.SuspendedByAnnotation: v1alpha1.ControllerName}
}

func queued(job *batchv1.Job) { job.Labels = map[string]string{sequence.QueueLabel: "team-a"} }

func waitsInQueue(job *batchv1.Job) {
	queued(job)
	suspendedJob(job)
}

// What becomes of the running step depends on its Job, and on who has suspended that.
func TestSuspendAndResumeSayWhatBecomesOfTheRunningStep(t *testing.T) {
	for name, tc := range map[string]struct {
		job             *batchv1.Job
		suspend, resume string
	}{
		"it runs": {secondJob(func(*batchv1.Job) {}),
			"step transform is stopped, and starts again when it is resumed", "step transform runs"},
		"its queue lets it run": {secondJob(queued),
			`step transform goes on, because only its queue "team-a" can stop it; nothing starts after it`, "step transform runs"},
		"it waits in its queue": {secondJob(waitsInQueue),
			`step transform waits in queue "team-a", and runs once that lets it; nothing starts after it`, `step transform waits in queue "team-a"`},
		"the controller has stopped it": {secondJob(suspendedByUs),
			"step transform is stopped, and starts again when it is resumed", "step transform starts again"},
		"somebody has stopped it": {secondJob(suspendedJob), "step transform stays stopped, as somebody else has suspended its Job",
			"step transform stays stopped until somebody else, who has suspended its Job (etl-1), resumes that"},
	} {
		t.Run(name, func(t *testing.T) {
			s := steer(t, runs(), tc.job)
			s.want(s.tool.suspend(t.Context(), s.clients, "etl"), "", "etl is suspended: "+tc.suspend+"\n", "")
			s.out.Reset()
			s.want(s.tool.suspend(t.Context(), s.clients, "etl"), "", "etl is suspended already: "+tc.suspend+"\n", "")
			if !ptr.Deref(s.stored().Spec.Suspend, false) || len(s.patches()) != 1 {
				t.Errorf("suspend is %v after %q", s.stored().Spec.Suspend, s.patches())
			}
			s.out.Reset()
			s.want(s.tool.resume(t.Context(), s.clients, "etl"), "", "etl is resumed: "+tc.resume+"\n", "")
			s.out.Reset()
			s.want(s.tool.resume(t.Context(), s.clients, "etl"), "", "etl is not suspended: "+tc.resume+"\n", "")
			if ptr.Deref(s.stored().Spec.Suspend, true) || len(s.patches()) != 2 {
				t.Errorf("suspend is %v after %q", s.stored().Spec.Suspend, s.patches())
			}
		})
	}
}

func TestWhoMayNotReadJobsIsToldWhatIsKnown(t *testing.T) {
	const note = `Job etl-1 could not be read: you may not get jobs.batch in namespace "ns": ask for the role "view" there, or for one that allows it ` +
		`(jobs.batch "etl-1" is forbidden: User "ann" cannot get resource "jobs" in API group "batch" in the namespace "ns")` + "\n"
	s := steer(t, runs())
	s.kube.PrependReactor("get", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(batchv1.Resource("jobs"), "etl-1",
			errors.New(`User "ann" cannot get resource "jobs" in API group "batch" in the namespace "ns"`))
	})
	s.want(s.tool.suspend(t.Context(), s.clients, "etl"), "",
		"etl is suspended: step transform is stopped, unless a queue manages its Job: then it goes on, and nothing starts after it\n", note)
	s.out.Reset()
	s.err.Reset()
	s.want(s.tool.resume(t.Context(), s.clients, "etl"), "", "etl is resumed: step transform goes on, unless a queue holds its Job\n", note)
}

func TestSuspendAndResumeBetweenSteps(t *testing.T) {
	approval := func(sj *v1alpha1.SequentialJob) {
		sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "transform", Suspend: new(true)}}
	}
	ended := func(sj *v1alpha1.SequentialJob) {
		andFinally(sj)
		sj.Status.Result = &v1alpha1.StepsResult{Type: v1alpha1.ResultFailed}
	}
	pending := sequenceOf(threeSteps, v1alpha1.SequentialJobPending)
	const suspended, running = v1alpha1.SequentialJobSuspended, v1alpha1.SequentialJobRunning
	for name, tc := range map[string]struct {
		sj              *v1alpha1.SequentialJob
		suspend, resume string
		command         string
	}{
		"before the first step": {pending, "step extract does not start until it is resumed", "step extract starts", ""},
		"before the second":     {between(running), "step transform does not start until it is resumed", "step transform starts", ""},
		"before one that waits for approval": {with(between(suspended), approval), "step transform does not start until it is resumed",
			"step transform waits for approval", "  kubectl sj resume etl --step transform\n"},
		"before finally": {with(between(running), ended), "finally (notify) does not start until it is resumed", "finally (notify) starts", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := steer(t, tc.sj)
			s.want(s.tool.suspend(t.Context(), s.clients, "etl"), "", "etl is suspended: "+tc.suspend+"\n", "")
			s.out.Reset()
			s.want(s.tool.resume(t.Context(), s.clients, "etl"), "", "etl is resumed: "+tc.resume+"\n", tc.command)
		})
	}
}

func TestWhatHasEndedIsNeitherSuspendedNorResumedNorCancelled(t *testing.T) {
	for name, tc := range map[string]struct {
		sj  *v1alpha1.SequentialJob
		why string
	}{
		"complete":  {isComplete(), "it has completed"},
		"failed":    {hasFailed(), "it has failed"},
		"cancelled": {with(hasFailed(), isCancelled), "it was cancelled"},
		"being deleted": {with(runs(), func(sj *v1alpha1.SequentialJob) {
			sj.DeletionTimestamp, sj.Finalizers = new(metav1.Now()), []string{v1alpha1.CleanupFinalizer}
		}), "it is being deleted"},
	} {
		for what, run := range map[string]func(*steering) error{
			"suspend":           func(s *steering) error { return s.tool.suspend(s.Context(), s.clients, "etl") },
			"approve a step of": func(s *steering) error { return s.tool.approve(s.Context(), s.clients, "etl", "load") },
			"cancel":            func(s *steering) error { return s.tool.cancel(s.Context(), s.clients, "etl", true) },
		} {
			t.Run(what+" "+name, func(t *testing.T) {
				s := steer(t, tc.sj)
				s.want(run(s), "1: cannot "+what+" etl: "+tc.why, "", "")
			})
		}
	}
}

func TestResumeOfWhatHasFailedAdvisesToRetry(t *testing.T) {
	s := steer(t, hasFailed())
	s.want(s.tool.resume(t.Context(), s.clients, "etl"), "1: cannot resume etl: it has failed\n"+
		"Fix the cause; then retry. Completed steps do not run again.\n  kubectl sj logs etl --failed\n  kubectl sj retry etl -f", "", "")
}

// A failed sequence whose retries were raised just now is about to go on.
func TestWhatWasRetriedJustNowCanBeSuspended(t *testing.T) {
	s := steer(t, with(hasFailed(), func(sj *v1alpha1.SequentialJob) { sj.Generation, sj.Spec.Retries = 2, new(int32(1)) }))
	s.want(s.tool.suspend(t.Context(), s.clients, "etl"), "", "etl is suspended: step transform does not start until it is resumed\n", "")
}
