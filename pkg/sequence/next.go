package sequence

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Next decides what to do next with a SequentialJob. It is the only decision that there is.
func Next(f Facts) Action {
	if f.SequentialJob == nil {
		return Action{Request: EndTurn}
	}
	if end, over := endAfterRefusal(&f); over {
		return end
	}
	d := newDecider(&f)
	switch {
	case f.Stored != nil:
		return d.afterStatus(*f.Stored)
	case !f.SequentialJob.DeletionTimestamp.IsZero():
		d.cleanUp()
	case Finished(&d.status):
		d.followFinished()
	default:
		d.follow()
	}
	return d.action()
}

// Finished says whether a sequence has ended, by success or by failure.
func Finished(status *v1alpha1.SequentialJobStatus) bool {
	return status.Phase == v1alpha1.SequentialJobCompleted || status.Phase == v1alpha1.SequentialJobFailed
}

// Seen says whether a controller has looked at a SequentialJob yet: the API server gives a new one a status, too.
func Seen(status *v1alpha1.SequentialJobStatus) bool {
	return status.Phase != "" && status.ObservedGeneration >= 0
}

// endAfterRefusal ends a turn in which a request was refused that everything else depends on.
func endAfterRefusal(f *Facts) (Action, bool) {
	if refusal, _ := f.refusalOf(CreateJob); refusal.Class == NamespaceGone {
		return Action{Request: EndTurn}, true // there is nobody to tell
	}
	for _, request := range []Request{ReadSequentialJob, ReadJob, DeleteJob, ListPods, RemoveFinalizer, DeleteSequentialJob} {
		if _, refused := f.refusalOf(request); refused {
			return Action{Request: EndTurn, TryAgain: true}, true
		}
	}
	for _, request := range []Request{CreateJob, ChangeJob, AddFinalizer} {
		if refusal, _ := f.refusalOf(request); refusal.Class == Conflict || refusal.Class == Gone {
			return Action{Request: EndTurn, TryAgain: true}, true
		}
	}
	if refusal, refused := f.refusalOf(StoreStatus); refused {
		end := Action{Request: EndTurn, TryAgain: true}
		if refusal.Class == TooLarge {
			end.Events = []Event{warning(v1alpha1.ReasonInvalidSpec, "The status cannot be stored: "+clean(refusal.Message)+". "+
				"Make the spec smaller: keep large values in ConfigMaps, Secrets or images")}
		}
		return end, true
	}
	return Action{}, false
}

// decider decides on what to do next. It fills in the status as it should be; the first request that it finds itself in need
// of goes before that.
type decider struct {
	f      *Facts
	sj     *v1alpha1.SequentialJob
	now    metav1.Time
	status v1alpha1.SequentialJobStatus
	events []Event

	// verdict is what was found out about the spec in this turn, if anything was.
	verdict verdict
	// checkUnavailable is why nothing could be.
	checkUnavailable *Refusal

	request   *Action
	atOnce    bool
	tryAgain  bool
	lookAgain time.Duration

	byName map[string]*batchv1.Job
	byUID  map[types.UID]*batchv1.Job
	// gone are the Jobs of these that are there no more.
	gone map[types.UID]bool
}

func newDecider(f *Facts) *decider {
	d := &decider{f: f, sj: f.SequentialJob, now: metav1.NewTime(f.Now), status: *f.SequentialJob.Status.DeepCopy()}
	d.collectJobs()
	return d
}

// follow takes a sequence that has not ended as far as it goes.
func (d *decider) follow() {
	if !d.confirmJobs() || !d.protect() || !d.checkSpec() {
		return
	}
	d.countFromStart()
	for d.advance() {
	}
	d.reportInvalid()
	d.noteSpecChange()
	d.summarise()
}

// action is what everything comes to.
func (d *decider) action() Action {
	isCramped := d.isCramped()
	if d.request != nil {
		return *d.request
	}
	end := Action{Request: EndTurn, AtOnce: d.atOnce, TryAgain: d.tryAgain, LookAgain: d.lookAgain}
	if isCramped {
		shrink(&d.status)
	}
	if equality.Semantic.DeepEqual(d.sj.Status, d.status) {
		return d.afterStatus(end)
	}
	return Action{Request: StoreStatus, Status: &d.status, Events: d.events, Then: &end}
}

// afterStatus is what is left once the status is as it should be.
func (d *decider) afterStatus(end Action) Action {
	switch isFinished := Finished(&d.sj.Status); {
	case !isFinished && (end.LookAgain == 0 || end.LookAgain > slowLook(d.sj.UID)):
		end.LookAgain = slowLook(d.sj.UID)
		return end
	case !isFinished, !d.sj.DeletionTimestamp.IsZero():
		return end
	}
	if d.release(); d.request == nil {
		d.expire()
	}
	if d.request != nil {
		return *d.request
	}
	if end.LookAgain > 0 {
		d.lookAfter(end.LookAgain)
	}
	end.TryAgain, end.AtOnce, end.LookAgain = end.TryAgain || d.tryAgain, end.AtOnce || d.atOnce, d.lookAgain
	return end
}

// slowLook is how long a sequence that has not ended is not looked at if nothing seems to happen. It costs no request, as long as
// the cache has its Job, and finds what no event told of. Each sequence has a time of its own, so that they do not come all at once.
func slowLook(uid types.UID) time.Duration {
	const least, spread = 3 * 60, 2 * 60
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(uid)) // never fails
	return time.Duration(least+hash.Sum32()%spread) * time.Second
}

// need has a request sent first. The first one counts.
func (d *decider) need(a Action) {
	if d.request == nil {
		d.request = &a
	}
}

// ask has a request of a kind sent that is sent at most once a turn, and says whether it was answered.
func (d *decider) ask(a Action) bool {
	if d.f.isAnswered(a.Request) {
		return true
	}
	d.need(a)
	return false
}

// lookAfter has the SequentialJob looked at again after that time, if not earlier.
func (d *decider) lookAfter(wait time.Duration) {
	if d.lookAgain == 0 || wait < d.lookAgain {
		d.lookAgain = wait
	}
}

func (d *decider) emit(event Event) {
	d.events = append(d.events, event)
}

// noteSpecChange tells of an edit of a sequence that is under way, unless what it has caused is told anyway.
func (d *decider) noteSpecChange() {
	tells := func(e Event) bool {
		return slices.Contains([]string{
			v1alpha1.ReasonSuspended, v1alpha1.ReasonResumed, v1alpha1.ReasonRetrying, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonCancelled,
			v1alpha1.ReasonJobUpdateFailed,
		}, e.Reason)
	}
	if d.sj.Status.ObservedGeneration <= 0 || !d.isSpecChanged() || slices.ContainsFunc(d.events, tells) {
		return
	}
	follows := "steps that have not started follow it"
	if d.isCancelled(0) {
		follows = "it is cancelled, and no further step starts"
	}
	d.events = slices.Insert(d.events, 0, normal(v1alpha1.ReasonSpecChanged,
		fmt.Sprintf("Spec changed to generation %d: %s", d.sj.Generation, follows)))
}

func (d *decider) isSpecChanged() bool {
	return d.sj.Status.ObservedGeneration != d.sj.Generation
}
