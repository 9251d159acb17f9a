package controller

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Whole runs, with real informers, beside others who do not let requests pass.

// What an admission policy (ValidatingAdmissionPolicy) answers: the code and reason of an invalid object, and causes without a type.
var freezeErr = &apierrors.StatusError{ErrStatus: metav1.Status{
	Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid,
	Message: `jobs.batch "etl-1" is forbidden: ValidatingAdmissionPolicy 'freeze' with binding 'freeze' denied request: no changes today`,
	Details: &metav1.StatusDetails{Name: "etl-1", Group: "batch", Kind: "jobs",
		Causes: []metav1.StatusCause{{Message: "ValidatingAdmissionPolicy 'freeze' with binding 'freeze' denied request: no changes today"}}},
}}

// What the API server makes of a webhook that answers 404.
var webhookNotFoundErr = &apierrors.StatusError{ErrStatus: metav1.Status{
	Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
	Message: `admission webhook "owner.example.com" denied the request: no owner found`,
}}

// refusing answers requests with an error as long as there is one.
type refusing struct{ err atomic.Pointer[error] }

func (r *refusing) set(err error) { r.err.Store(&err) }

func (r *refusing) answer(clienttesting.Action) error {
	if err := r.err.Load(); err != nil {
		return *err
	}
	return nil
}

// told returns the reasons of the events that were sent, in order.
func (w *world) told() []string {
	var reasons []string
	for _, action := range w.kube.Actions() {
		if create, ok := action.(clienttesting.CreateActionImpl); ok && create.GetResource().Resource == "events" {
			reasons = append(reasons, create.GetObject().(*corev1.Event).Reason)
		}
	}
	return reasons
}

func count(all []string, one string) (n int) {
	for _, text := range all {
		if text == one {
			n++
		}
	}
	return n
}

func progressMessage(sj *v1alpha1.SequentialJob) string {
	if c := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing); c != nil {
		return c.Message
	}
	return ""
}

// A change freeze, a webhook that is at a loss: what is refused so may be allowed tomorrow.
func TestAnAdmissionThatRefusesIsWaitedForAndTold(t *testing.T) {
	for name, refusal := range map[string]*apierrors.StatusError{
		"a policy": freezeErr, "a webhook that answers 404": webhookNotFoundErr, "a quota": quotaErr,
	} {
		for _, first := range []bool{true, false} {
			if first && refusal == freezeErr {
				continue // what a policy calls invalid before anything has started is taken so
			}
			t.Run(name+", "+map[bool]string{true: "from the beginning", false: "while it runs"}[first], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, newSequence("extract", "load"))
					var freeze refusing
					w.fail("create", "jobs", freeze.answer)
					if first {
						freeze.set(refusal)
					}
					stop, done := running(t, w)
					freeze.set(refusal)
					if !first {
						w.endJob("etl-0", batchv1.JobComplete, "")
					}
					<-time.After(10 * time.Minute)
					status := w.stored().Status
					c := reasonOf(w.stored(), v1alpha1.ConditionProgressing)
					if c != v1alpha1.ReasonJobCreateFailed || status.Phase == v1alpha1.SequentialJobFailed {
						t.Errorf("phase %s, Progressing %s", status.Phase, c)
					}
					if message := progressMessage(w.stored()); !strings.Contains(message, refusal.ErrStatus.Message) {
						t.Errorf("message %q", message)
					}
					if n := count(w.told(), v1alpha1.ReasonJobCreateFailed); n != 1 {
						t.Errorf("told %d times: %q", n, w.told())
					}
					freeze.set(nil)
					<-time.After(time.Minute)
					for _, name := range []string{"etl-0", "etl-1"} {
						w.endJob(name, batchv1.JobComplete, "")
						synctest.Wait()
					}
					w.wantPhase(v1alpha1.SequentialJobCompleted)
					stop()
					must(t, <-done)
				})
			})
		}
	}
}

// An image that a policy does not allow at the last step ends the sequence before the first one runs.
func TestWhatAPolicyCallsInvalidBeforeTheFirstStepIsInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract", "load"))
		w.failCreates(func(create clienttesting.CreateActionImpl) error {
			containers := create.GetObject().(*batchv1.Job).Spec.Template.Spec.Containers
			if containers[len(containers)-1].Name == "load" {
				return freezeErr
			}
			return nil
		})
		stop, done := running(t, w)
		if got := reasonOf(w.stored(), v1alpha1.ConditionFailed); got != v1alpha1.ReasonInvalidSpec {
			t.Errorf("Failed is %q", got)
		}
		if writes := w.writes(); slices.Contains(writes, "create jobs etl-0") {
			t.Errorf("writes %q", writes)
		}
		stop()
		must(t, <-done)
	})
}

func TestANamespaceThatIsGoneEndsQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract"))
		w.failCreates(realCreates(terminatingErr()))
		stop, done := running(t, w)
		w.clear()
		<-time.After(time.Hour)
		if n := count(w.requests(), "create jobs etl-0"); n > 60/3 {
			t.Errorf("%d tries in an hour", n)
		}
		if got := w.told(); got != nil {
			t.Errorf("told %q", got)
		}
		stop()
		must(t, <-done)
	})
}

// As long as a resume is refused, nothing of it is true: not the phase, and the clock does not run.
func TestAResumeThatIsRefusedLeavesItSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sj := newSequence("extract")
		sj.Spec.ActiveDeadlineSeconds = new(int64(3600))
		w := newWorld(t, sj)
		var refused refusing
		w.fail("patch", "jobs", refused.answer)
		stop, done := running(t, w)
		w.editSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) })
		synctest.Wait()
		w.wantPhase(v1alpha1.SequentialJobSuspended)
		used := w.stored().Status.ActiveSeconds

		refused.set(apierrors.NewForbidden(jobs.GroupResource(), "etl-0", errors.New("a policy says no")))
		w.editSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = nil })
		<-time.After(30 * time.Minute)
		w.wantPhase(v1alpha1.SequentialJobSuspended)
		status := w.stored().Status
		if status.ActiveSince != nil || status.ActiveSeconds != used {
			t.Errorf("the clock runs: active since %v, for %d s", status.ActiveSince, status.ActiveSeconds)
		}
		if message := progressMessage(w.stored()); !strings.Contains(message, "Job etl-0 cannot be resumed") {
			t.Errorf("message %q", message)
		}

		refused.set(nil)
		for *w.job("etl-0").Spec.Suspend {
			<-time.After(time.Second)
		}
		w.changeJob("etl-0", func(job *batchv1.Job) {
			job.Status.StartTime, job.Status.Ready = new(metav1.Now()), new(int32(1))
		})
		<-time.After(time.Minute)
		w.wantPhase(v1alpha1.SequentialJobRunning)
		if got := reasonOf(w.stored(), v1alpha1.ConditionProgressing); got != v1alpha1.ReasonJobStarted {
			t.Errorf("reason %s", got)
		}
		job := w.job("etl-0")
		if *job.Spec.Suspend || *job.Spec.ActiveDeadlineSeconds < 3590 {
			t.Errorf("suspended %v, deadline %d", *job.Spec.Suspend, *job.Spec.ActiveDeadlineSeconds)
		}
		want := []string{"JobStarted", "Suspended", "JobUpdateFailed", "Resumed"}
		if diff := cmp.Diff(want, w.told()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		stop()
		must(t, <-done)
	})
}
