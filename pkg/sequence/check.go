package sequence

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Each generation of the spec is checked once, by a dry run of the Jobs of all steps that have not started: what the API server
// would refuse at step 7 it refuses now. status.specCheck has the result.

// checkAgain is after how long a check that the API server could not answer is tried again while a step runs.
const checkAgain = 10 * time.Second

// verdict is the outcome of a check.
type verdict struct {
	result  v1alpha1.SpecCheckResult
	step    int // the first one that is invalid
	message string
	// problems are what is wrong, one by one. The message has as much of them as a status has room for.
	problems []string
}

// SpecFindings is what a check of a spec comes to.
type SpecFindings struct {
	Result v1alpha1.SpecCheckResult
	// Message is what status.specCheck says.
	Message string
	// Problems are what is wrong, in full.
	Problems []string
}

// CheckSpec is the check of a spec alone, without the rest of a turn: it returns the next dry run, or the end of the turn and what was
// found. Nothing but the spec, the status and the answers to the dry runs counts.
func CheckSpec(f Facts) (Action, SpecFindings) {
	d := newDecider(&f)
	v := d.check()
	switch {
	case d.request != nil:
		return *d.request, SpecFindings{}
	case v == nil:
		return Action{Request: EndTurn}, SpecFindings{Result: v1alpha1.SpecCheckUnknown, Message: d.checkUnavailable.Message}
	}
	return Action{Request: EndTurn}, SpecFindings{Result: v.result, Message: v.message, Problems: v.problems}
}

// checkSpec has the present generation checked, and says whether what comes next can be decided.
func (d *decider) checkSpec() bool {
	if !d.needsCheck() {
		return true
	}
	if !d.isWhole() {
		return false
	}
	v := d.check()
	if d.request != nil {
		return false
	}
	if v != nil {
		d.verdict = *v
		d.status.SpecCheck = &v1alpha1.SpecCheck{Generation: d.sj.Generation, Result: v.result, Message: v.message}
	}
	return true
}

// needsCheck says whether there is anything left to check. What came to nothing before the first step, because somebody did
// not let the dry run pass, is tried once more when the first step has started: what refused the one refuses the other.
func (d *decider) needsCheck() bool {
	spec := &d.sj.Spec
	if !d.mayStart(len(spec.Containers)-1) && !d.mayStart(FirstFinally+len(spec.Finally)-1) {
		return false
	}
	last := d.sj.Status.SpecCheck
	if last == nil || last.Generation != d.sj.Generation {
		return true
	}
	_, created := d.f.Answers[CreateJob]
	askedNow := len(d.f.Checks) > 0
	return last.Result == v1alpha1.SpecCheckUnknown && len(d.sj.Status.Steps) == 0 && (askedNow || created && d.startedAs(0) != nil)
}

// firstToCheck is the index of the first step that may still start.
func (d *decider) firstToCheck() int { return firstToStart(&d.sj.Status) }

// firstToStart is the index of the first step that may still start: one that failed, or the one after the last that started.
func firstToStart(status *v1alpha1.SequentialJobStatus) int {
	n := len(status.Steps)
	if n > 0 && status.Steps[n-1].State == v1alpha1.StepFailed {
		return n - 1
	}
	return n
}

// check asks for dry runs until it has a verdict. There is none if the API server cannot tell now.
func (d *decider) check() *verdict {
	if problem := DescribeTooLarge(d.sj); problem != "" {
		return &verdict{v1alpha1.SpecCheckRefused, d.firstToCheck(), problem, []string{problem}}
	}
	var found findings
	for i, group := range checkGroups(&d.sj.Spec, d.mayStart) {
		all, asked := d.f.Checks[group.key]
		switch {
		case i == maxCheckedTemplates:
			found.leaveOpen(fmt.Sprintf("only the steps with the first %d different templates were checked", maxCheckedTemplates))
		case !asked:
			d.need(Action{Request: CheckSteps, Job: NewCheckJob(d.sj, group.indices), Step: group.key})
			return nil
		case all.Class == "":
		case d.isFinal(all.Class):
			if !d.checkSuspects(SuspectSteps(group.indices, all.Causes), &found) {
				return nil
			}
		case all.Class == Unavailable:
			d.checkUnavailable = &all
			return nil
		default:
			// Somebody, such as a quota or a webhook that does not support dry runs, does not let it pass: the real request will tell.
			found.leaveOpen(all.Message)
		}
		if found.isEnough() {
			break
		}
	}
	return found.verdict()
}

// isFinal says whether what is refused like that would be refused again. What a policy calls invalid of a later step
// before the first one has started is taken so: an image that it does not allow at step 7 ends the sequence before step 0 runs.
// Once a step has started it is waited for: what was accepted before may be so again.
func (d *decider) isFinal(class Class) bool {
	return class == Invalid || class == TooLarge || class == Rejected && len(d.sj.Status.Steps) == 0
}

// checkSuspects checks single steps, and says whether that is done, because only the refusal of a step's own Job is proof: steps that are
// valid each for itself may not fit one pod.
func (d *decider) checkSuspects(suspects []int, found *findings) bool {
	for _, index := range suspects {
		one, asked := d.f.Checks[index]
		switch {
		case found.isEnough():
			return true
		case !asked:
			d.need(Action{Request: CheckSteps, Job: NewStepCheckJob(d.sj, index), Step: index})
			return false
		case one.Class == Unavailable:
			d.checkUnavailable = &one
			return false
		case one.Class == Rejected && index == d.firstToCheck():
			// What does not let even the first step pass is not about one of them, such as a change freeze: it is waited for.
			found.leaveOpen(one.Message)
		case d.isFinal(one.Class):
			found.add(index, DescribeInvalid(d.sj, index, one.Causes))
		}
	}
	return true
}

// isSpecRefused says whether the present generation was found invalid.
func (d *decider) isSpecRefused() bool {
	check := d.status.SpecCheck
	return check != nil && check.Generation == d.sj.Generation && check.Result == v1alpha1.SpecCheckRefused
}

// invalidMessage is what is to be said while a sequence whose spec is invalid has not failed for it.
func (d *decider) invalidMessage() string {
	return fmt.Sprintf("%s: %s", v1alpha1.ReasonInvalidSpec, d.status.SpecCheck.Message)
}

// reportInvalid tells of a spec that was found invalid while a step runs or the sequence is suspended. What runs goes on; the step
// that is invalid does not start.
func (d *decider) reportInvalid() {
	if d.checkUnavailable != nil {
		d.lookAfter(checkAgain)
	}
	progressing := d.progress()
	switch {
	case d.request != nil || Finished(&d.status) || progressing == nil:
		return
	case !d.isSpecRefused():
		d.clearInvalid(progressing)
		return
	case d.verdict.result != "":
		d.emit(warning(v1alpha1.ReasonInvalidSpec, d.invalidMessage()))
	}
	if d.status.Phase != v1alpha1.SequentialJobSuspended && !strings.Contains(progressing.Message, d.invalidMessage()) {
		d.setProgressing(progressing.Reason, joinNonEmpty("; ", progressing.Message, d.invalidMessage()))
	}
}

// clearInvalid ends what was said of a spec that has been fixed.
func (d *decider) clearInvalid(progressing *metav1.Condition) {
	before, _, isNoted := strings.Cut(progressing.Message, "; "+v1alpha1.ReasonInvalidSpec+": ")
	if isNoted && d.status.Phase != v1alpha1.SequentialJobSuspended {
		d.setProgressing(progressing.Reason, before)
	}
}
