package controller

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clienttesting "k8s.io/client-go/testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

var (
	quotaErr    = apierrors.NewForbidden(jobs.GroupResource(), "etl-0", errors.New("exceeded quota: jobs"))
	internalErr = apierrors.NewInternalError(errors.New("etcd is down"))
	timeoutErr  = apierrors.NewTimeoutError("the request timed out", 1)
	invalidErr  = invalid(field.Invalid(field.NewPath("spec", "template", "spec", "containers").Index(0).Child("image"), " ", "must not be blank"))
	etcdErr     = &apierrors.StatusError{ErrStatus: metav1.Status{Code: 500, Message: "etcdserver: request is too large"}}
	tooLargeErr = apierrors.NewRequestEntityTooLargeError("limit is 3145728")
)

func invalid(problems ...*field.Error) error {
	return apierrors.NewInvalid(batchv1.SchemeGroupVersion.WithKind("Job").GroupKind(), "etl-0", problems)
}

func terminatingErr() error {
	err := apierrors.NewForbidden(jobs.GroupResource(), "etl-0", errors.New("the namespace is being terminated"))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	return err
}

// realCreates makes only creates fail that are no dry runs.
func realCreates(err error) func(clienttesting.CreateActionImpl) error {
	return func(create clienttesting.CreateActionImpl) error {
		if len(create.GetCreateOptions().DryRun) > 0 {
			return nil
		}
		return err
	}
}

func TestAnErrorOfCreateIsToldAndTriedAgainUnlessItIsFinal(t *testing.T) {
	for name, tc := range map[string]struct {
		err     error
		phase   v1alpha1.SequentialJobPhase
		reason  string // of Progressing, otherwise of Failed
		waiting bool
		events  []string
	}{
		"a quota": {quotaErr, v1alpha1.SequentialJobPending, "JobCreateFailed", true,
			[]string{`Warning JobCreateFailed Job etl-0 of step 0 cannot be created, trying again: jobs.batch "etl-0" is forbidden: exceeded quota: jobs`}},
		"too many requests": {apierrors.NewTooManyRequestsError("slow down"), v1alpha1.SequentialJobPending, "JobCreateFailed", true,
			[]string{"Warning JobCreateFailed Job etl-0 of step 0 cannot be created, trying again: Too many requests: slow down"}},
		"an internal error": {internalErr, v1alpha1.SequentialJobPending, "JobCreateFailed", true,
			[]string{"Warning JobCreateFailed Job etl-0 of step 0 cannot be created, trying again: Internal error occurred: etcd is down"}},
		"a timeout": {timeoutErr, v1alpha1.SequentialJobPending, "JobCreateFailed", true,
			[]string{"Warning JobCreateFailed Job etl-0 of step 0 cannot be created, trying again: Timeout: the request timed out"}},
		"no connection": {errors.New("connection refused"), v1alpha1.SequentialJobPending, "JobCreateFailed", true,
			[]string{"Warning JobCreateFailed Job etl-0 of step 0 cannot be created, trying again: connection refused"}},
		"an invalid Job": {invalidErr, v1alpha1.SequentialJobFailed, "InvalidSpec", false,
			[]string{`Warning JobCreateFailed InvalidSpec: spec.containers[0].image: Invalid value: " ": must not be blank`}},
		"a Job that is too large":          {tooLargeErr, v1alpha1.SequentialJobFailed, "InvalidSpec", false, []string{"Warning JobCreateFailed InvalidSpec: Request entity too large: limit is 3145728"}},
		"a Job that is too large for etcd": {etcdErr, v1alpha1.SequentialJobFailed, "InvalidSpec", false, []string{"Warning JobCreateFailed InvalidSpec: etcdserver: request is too large"}},
		"a namespace that goes away":       {terminatingErr(), "", "", false, nil},
		"a namespace that is gone":         {apierrors.NewNotFound(corev1.Resource("namespaces"), namespace), "", "", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSyncWorld(t, newSequence("extract", "load"))
			w.failCreates(realCreates(tc.err))
			var events []string
			for range 2 { // the second time must not tell the same again
				if err := w.syncFresh(); errors.Is(err, errWaiting) != tc.waiting || (err != nil) != tc.waiting {
					t.Fatalf("sync: %v, waiting wanted: %v", err, tc.waiting)
				}
				events = append(events, w.events()...)
			}
			sj := w.stored()
			if got := reasonOf(sj, v1alpha1.ConditionProgressing) + reasonOf(sj, v1alpha1.ConditionFailed); sj.Status.Phase != tc.phase || got != tc.reason {
				t.Errorf("phase %q, reason %q; want %q, %q", sj.Status.Phase, got, tc.phase, tc.reason)
			}
			if diff := cmp.Diff(tc.events, events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABlockedStepGoesOnOnceTheCauseHasPassed(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	blocked := true
	w.failCreates(func(clienttesting.CreateActionImpl) error {
		if blocked {
			return quotaErr
		}
		return nil
	})
	if err := w.syncFresh(); !errors.Is(err, errWaiting) {
		t.Fatalf("sync: %v, want to wait", err)
	}
	blocked = false
	must(t, w.syncFresh())
	if sj := w.stored(); sj.Status.Phase != v1alpha1.SequentialJobRunning || reasonOf(sj, v1alpha1.ConditionProgressing) != v1alpha1.ReasonJobStarted {
		t.Errorf("phase %s, conditions %v", sj.Status.Phase, sj.Status.Conditions)
	}
}

func TestACreateThatSucceededUnseenIsTakenOver(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract", "load"))
	lost := false
	w.failCreates(func(create clienttesting.CreateActionImpl) error {
		if len(create.GetCreateOptions().DryRun) > 0 || lost {
			return nil
		}
		lost = true
		if _, _, err := w.createJob(create); err != nil {
			return err
		}
		return timeoutErr // the Job exists, only the answer is lost
	})
	if err := w.sync(); !errors.Is(err, errWaiting) {
		t.Fatalf("sync: %v, want to wait", err)
	}
	created := w.job("etl-0").UID
	must(t, w.sync()) // the caches are as they were: they know neither the Job nor the status
	steps := w.stored().Status.Steps
	if len(steps) != 1 || steps[0].JobUID != created || steps[0].State != v1alpha1.StepRunning {
		t.Errorf("steps %+v, want the Job %s running", steps, created)
	}
}

func TestAJobOfSomebodyElseIsLeftAlone(t *testing.T) {
	sj := newSequence("extract")
	foreign := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "etl-0", UID: "foreign", Labels: map[string]string{
		v1alpha1.SequentialJobUIDLabel: string(sj.UID), v1alpha1.StepNameLabel: "extract", // labels prove nothing
	}}}
	w := newSyncWorld(t, sj, foreign)
	var events []string
	for range 3 {
		if err := w.syncFresh(); !errors.Is(err, errWaiting) {
			t.Fatalf("sync: %v, want to wait", err)
		}
		events = append(events, w.events()...)
	}
	if got := reasonOf(w.stored(), v1alpha1.ConditionProgressing); got != v1alpha1.ReasonJobNameConflict {
		t.Errorf("reason %q", got)
	}
	if len(events) != 1 || !strings.HasPrefix(events[0], "Warning JobNameConflict Job etl-0 exists already and belongs to somebody else") {
		t.Errorf("events %q", events)
	}
	if diff := cmp.Diff(foreign, w.job("etl-0")); diff != "" {
		t.Errorf("the foreign Job changed:\n%s", diff)
	}
	must(t, w.kube.Tracker().Delete(jobs, namespace, "etl-0"))
	must(t, w.syncFresh())
	if !metav1.IsControlledBy(w.job("etl-0"), sj) {
		t.Error("the sequence did not go on once the name was free")
	}
}

func TestAJobOfADeletedNamesakeIsWaitedFor(t *testing.T) {
	predecessor := newSequence("extract")
	predecessor.UID = "uid-of-the-former"
	w := newSyncWorld(t, newSequence("extract"), jobOf(predecessor, 0))
	for range 2 {
		if err := w.syncFresh(); !errors.Is(err, errWaiting) {
			t.Fatalf("sync: %v, want to wait", err)
		}
	}
	if events := w.events(); events != nil {
		t.Errorf("events %q: nobody has to do anything", events)
	}
	if sj := w.stored(); len(sj.Status.Steps) != 0 || reasonOf(sj, v1alpha1.ConditionProgressing) != v1alpha1.ReasonJobNameConflict {
		t.Errorf("status %+v", sj.Status)
	}
}

func stepNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("step-%d", i)
	}
	return names
}

// dryRuns makes dry runs fail: of all steps in one Job with all, of a single step with what each returns for its name.
func dryRuns(all error, each func(step string) error) func(clienttesting.CreateActionImpl) error {
	return func(create clienttesting.CreateActionImpl) error {
		if len(create.GetCreateOptions().DryRun) == 0 {
			return nil
		}
		containers := create.GetObject().(*batchv1.Job).Spec.Template.Spec.Containers
		if len(containers) > 1 {
			return all
		}
		return each(containers[0].Name)
	}
}

func TestTheDryRunRefusesOnlyWhatIsProvedInvalid(t *testing.T) {
	container := func(index int) *field.Path {
		return field.NewPath("spec", "template", "spec", "containers").Index(index)
	}
	badEnv := func(index int) *field.Error {
		return field.Invalid(container(index).Child("env").Index(0).Child("name"), "=", "not a name")
	}
	valid := func(string) error { return nil }
	onlyStep7 := func(step string) error {
		if step == "step-7" {
			return invalid(badEnv(0))
		}
		return nil
	}
	for name, tc := range map[string]struct {
		all     error
		each    func(string) error
		message string // of Failed
		waits   bool
	}{
		"valid":                             {nil, valid, "", false},
		"together invalid, singly valid":    {invalid(field.Duplicate(container(1).Child("ports"), 80)), valid, "", false},
		"step 7 invalid":                    {invalid(badEnv(7)), onlyStep7, `InvalidSpec: spec.containers[7].env[0].name: Invalid value: "=": not a name`, false},
		"step 7 invalid, no step named":     {invalid(field.TooLong(field.NewPath("spec"), "", 9)), onlyStep7, `InvalidSpec: spec.containers[7].env[0].name: Invalid value: "=": not a name`, false},
		"a webhook that knows no dry runs":  {apierrors.NewBadRequest("dry run is not supported"), valid, "", false},
		"a quota":                           {quotaErr, valid, "", false},
		"the API server is down":            {internalErr, valid, "", true},
		"the API server is down for step 7": {invalid(badEnv(7)), func(string) error { return internalErr }, "", true},
		"a quota for the check of one step": {invalid(badEnv(7)), func(string) error { return quotaErr }, "", false},
		"a timeout of the check":            {timeoutErr, valid, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSyncWorld(t, newSequence(stepNames(10)...))
			w.failCreates(dryRuns(tc.all, tc.each))
			if err := w.sync(); errors.Is(err, errWaiting) != tc.waits || (err != nil) != tc.waits {
				t.Fatalf("sync: %v, want to wait: %v", err, tc.waits)
			}
			created := slices.Contains(w.writes(), "create jobs etl-0")
			if want := tc.message == "" && !tc.waits; created != want {
				t.Errorf("first Job created: %v, want %v", created, want)
			}
			if got := failedMessage(w.stored()); got != tc.message {
				t.Errorf("message %q\nwant    %q", got, tc.message)
			}
		})
	}
}

func TestTheDryRunIsDoneOnceAGeneration(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract", "transform", "load"))
	var asked []int64 // for which generation
	w.failCreates(func(create clienttesting.CreateActionImpl) error {
		if len(create.GetCreateOptions().DryRun) > 0 {
			asked = append(asked, w.stored().Generation)
		}
		return nil
	})
	w.settle()
	w.endJob("etl-0", batchv1.JobComplete, "")
	w.settle()
	w.editSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) })
	w.settle()
	w.editSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = nil })
	w.settle()
	w.endJob("etl-1", batchv1.JobComplete, "")
	w.settle()
	if diff := cmp.Diff([]int64{1, 2, 3}, asked); diff != "" {
		t.Errorf("generations for which a dry run was made (-want +got):\n%s", diff)
	}
	if steps := w.stored().Status.Steps; len(steps) != 3 {
		t.Errorf("steps %+v, want the third one started", steps)
	}
}

func failedMessage(sj *v1alpha1.SequentialJob) string {
	for _, condition := range sj.Status.Conditions {
		if condition.Type == v1alpha1.ConditionFailed && condition.Status == metav1.ConditionTrue {
			return condition.Message
		}
	}
	return ""
}
