package sequence_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// TestPlanRetrySaysWhatTheCoreDoes walks at random, as TestRandomWalk does, and asks again and again how the sequence could be retried.
// What is planned is tried on a copy of the world, with the real core: a sequence that is said to go on does, with the step that is named; one
// that is not does not, were its retries raised anyway.
func TestPlanRetrySaysWhatTheCoreDoes(t *testing.T) {
	const walks, moves = 400, 250
	first := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	if *walkSeed != 0 {
		first = *walkSeed
	}
	seen, tried := map[string]int{}, ""
	for seed := first; seed < first+walks; seed++ {
		w := newWalk(seed)
		w.seen = map[string]int{}
		for range moves {
			if w.move(); w.sj == nil || tried == w.sj.ResourceVersion {
				continue
			}
			tried = w.sj.ResourceVersion
			kind, problem := w.tryRetry()
			if seen[kind]++; problem != "" {
				t.Fatalf("%s; run it again with -walk.seed=%d", problem, seed)
			}
		}
	}
	for _, want := range []string{
		"goes on with a step", "goes on with finally", "goes on after finally",
		sequence.ErrCancelled.Error(), sequence.ErrCompleted.Error(), sequence.ErrDeleted.Error(), sequence.ErrNotFailed.Error(),
		sequence.ErrAskedFor.Error(), sequence.ErrOutOfTime.Error(),
	} {
		if seen[want] == 0 {
			t.Errorf("no walk ever came to %q: they prove less than they should", want)
		}
	}
	t.Log(seen)
}

// tryRetry plans a retry, tries on a copy of the world whether what it says is true, and says what kind of plan it is and what is wrong.
func (w *walk) tryRetry() (kind, problem string) {
	plan, err := sequence.PlanRetry(w.sj)
	trial := newTrial(w.world)
	switch {
	case errors.Is(err, sequence.ErrAskedFor):
		return err.Error(), trial.wantMore(trial.used())
	case err != nil:
		// It may be that the controller has not yet seen that it has failed.
		trial.calmDown()
		return err.Error(), trial.wantRefusal()
	}
	kind = "goes on with a step"
	switch {
	case plan.AfterFinally:
		kind = "goes on after finally"
	case sequence.IsFinally(plan.Index):
		kind = "goes on with finally"
	}
	used := trial.used()
	trial.changeSpec(retries(plan.Retries))
	if problem = trial.wantMore(used); problem != "" {
		return kind, problem
	}
	return kind, trial.wantStart(plan)
}

// trial is a copy of a world in which all is calm, with one process that knows everything.
type trial struct {
	*world
	process *process
}

func newTrial(w *world) *trial {
	t := &trial{world: w.clone()}
	t.trouble = ""
	t.process = newProcess(t.world)
	return t
}

func (t *trial) used() int32 {
	if t.sj == nil || t.sj.Status.Progress == nil {
		return 0
	}
	return t.sj.Status.Progress.Retries
}

// calmDown lets the process do all that there is to do.
func (t *trial) calmDown() {
	const turns = 8
	for range turns {
		t.collectGarbage()
		t.process.restart(t.world)
		t.process.sync(t.world)
	}
}

// clearTheWay ends what may keep the next step from starting: Jobs of others, suspensions and approvals.
func (t *trial) clearTheWay() {
	for name, job := range t.jobs {
		if t.ledger[job.UID].owner != t.sj.UID || t.inTheWay(job) {
			t.removeJob(name, false)
		}
	}
	t.changeSpec(func(spec *v1alpha1.SequentialJobSpec) {
		spec.Suspend = nil
		overrides := spec.DeepCopy().StepOverrides
		for i := range overrides {
			overrides[i].Suspend = nil
		}
		spec.StepOverrides = overrides
	})
	t.calmDown()
}

// endFinally ends what runs of spec.finally, one after the other, until the sequence goes on.
func (t *trial) endFinally(used int32) {
	for range v1alpha1.MaxFinally {
		t.clearTheWay()
		for name, job := range t.jobs {
			if sequence.IsFinally(t.ledger[job.UID].index) && !sequence.HasEnded(job) {
				t.changeAnyJob(name, func(job *batchv1.Job) { setSuspend(job, false) })
				t.completeJob(name)
			}
		}
		if t.calmDown(); t.sj == nil || t.used() != used || sequence.Finished(&t.sj.Status) {
			return
		}
	}
}

// wantMore says what is wrong if the sequence is not granted one more retry.
func (t *trial) wantMore(used int32) string {
	if t.calmDown(); t.used() == used && t.sj != nil {
		t.endFinally(used)
	}
	switch {
	case t.sj == nil:
		return "it is gone"
	case t.used() != used+1:
		return "it does not go on: " + conditions(&t.sj.Status)[v1alpha1.ConditionProgressing]
	}
	return ""
}

// wantStart says what is wrong if it is not the planned step that starts.
func (t *trial) wantStart(plan sequence.Retry) string {
	t.clearTheWay()
	t.clearTheWay() // only the first time it shows what Job has the name of the next one
	status := &t.sj.Status
	index, last := sequence.LastStarted(status)
	switch {
	case plan.Step == "" && status.Phase == v1alpha1.SequentialJobCompleted:
		return ""
	case last == nil || index != plan.Index || last.Name != plan.Step || last.State != v1alpha1.StepRunning:
		return "not the step that was named has started: " + plan.Step + ", but: " + conditions(status)[v1alpha1.ConditionProgressing]
	}
	return ""
}

// jobsOfSteps counts the Jobs that were ever created for steps.
func (t *trial) jobsOfSteps() int {
	n := 0
	for _, record := range t.ledger {
		if !sequence.IsFinally(record.index) {
			n++
		}
	}
	return n
}

// wantRefusal says what is wrong if the sequence goes on for longer than a moment once its retries are raised.
func (t *trial) wantRefusal() string {
	if t.sj == nil {
		return ""
	}
	_, err := sequence.PlanRetry(t.sj)
	is := ptr.Deref(t.sj.Spec.Retries, 0)
	if err == nil || errors.Is(err, sequence.ErrAskedFor) || is >= v1alpha1.MaxRetries {
		return ""
	}
	used, created := t.used(), t.jobsOfSteps()
	t.changeSpec(retries(is + 1))
	if t.calmDown(); t.sj == nil || t.used() == used {
		return ""
	}
	switch t.clearTheWay(); {
	// A Job that nobody has recorded may be found, which had been created in time.
	case errors.Is(err, sequence.ErrOutOfTime) && t.sj.Status.Progress.FailureReason == v1alpha1.ReasonDeadlineExceeded && t.jobsOfSteps() == created:
		return ""
	}
	return fmt.Sprintf("it goes on although %v: %s %v", err, t.sj.Status.Phase, conditions(&t.sj.Status)[v1alpha1.ConditionProgressing])
}
