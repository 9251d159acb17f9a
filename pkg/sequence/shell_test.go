package sequence_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// shell is a controller process around the core, with the protocol of package controller: it decides on caches that
// may lag behind, reads live before it creates, creates before it records. It sends one request to the API server a step,
// so that anything may happen between two. It does not remember its own writes, so its view is worse than a real
// controller's.
type shell struct {
	rules *rules

	seenSJ   *v1alpha1.SequentialJob // cache
	seenJobs map[string]*batchv1.Job // cache

	at request // the next one
	// live says that sj was read from the API server and not from the cache.
	live bool
	sj   *v1alpha1.SequentialJob
	jobs []*batchv1.Job
	plan *sequence.Plan
	// asked are the names of the Jobs that the plan took for absent and that were read.
	asked []string
}

// rules are what a shell goes by. To show what a rule is good for, tests take one away.
type rules struct {
	next func(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, now time.Time) *sequence.Plan
	// jobsOf returns the cached Jobs that belong to a SequentialJob.
	jobsOf   func(cached map[string]*batchv1.Job, sj *v1alpha1.SequentialJob) []*batchv1.Job
	conflict func(sj *v1alpha1.SequentialJob, index int, job *batchv1.Job) string
	// rename changes the name of a Job that is about to be created.
	rename func(w *world, job *batchv1.Job) *batchv1.Job
	// trustCache creates what the cache says is due.
	trustCache bool
	// doubtProof takes the cache's word for it that a Job does not exist.
	doubtProof bool
	// ignorePods does not wait for them.
	ignorePods bool
	// failureDetail is what the container of a failed step is found to have said.
	failureDetail string
	// cause is why a step that is looked at does not get on.
	cause sequence.Cause
}

func realRules() *rules {
	return &rules{
		next: func(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, now time.Time) *sequence.Plan {
			return new(sequence.Next(sj, jobs, now))
		},
		jobsOf: func(cached map[string]*batchv1.Job, sj *v1alpha1.SequentialJob) []*batchv1.Job {
			return controlled(cached, sj.UID)
		},
		conflict: sequence.Conflict,
		rename:   func(_ *world, job *batchv1.Job) *batchv1.Job { return job },
	}
}

// request is what a shell sends next. What it does with the answer belongs to the same step.
type request string

const (
	none            request = ""
	readNextJob     request = "reads the next step's Job"
	readRunningJob  request = "reads the running step's Job"
	readAbsentJob   request = "reads a Job to be sure that there is none"
	readSJ          request = "reads the SequentialJob"
	listPods        request = "lists the pods"
	addFinalizer    request = "adds the finalizer"
	createJob       request = "creates the Job"
	readTakenJob    request = "reads the Job that has the name"
	changeJob       request = "changes the running step's Job"
	storeStatus     request = "stores the status"
	dropFinalizer   request = "drops the finalizer"
	readExpired     request = "reads the SequentialJob that has expired"
	deleteExpired   request = "deletes the SequentialJob that has expired"
	listJobs        request = "lists the Jobs"
	deleteJob       request = "deletes a Job"
	listPodsOfNoJob request = "lists the pods whose Job is gone"
)

var errTryAgain = errors.New("try again later")

func newShell(w *world) *shell {
	s := &shell{rules: realRules()}
	s.rules.failureDetail = "exit code 2"
	s.restart(w)
	return s
}

func (s *shell) clone() *shell {
	out := *s
	return &out
}

// restart starts the process anew: its caches are filled before it does anything.
func (s *shell) restart(w *world) {
	s.stop()
	s.seeSJ(w)
	s.seeJobs(w)
}

func (s *shell) seeSJ(w *world)   { s.seenSJ = w.sj }
func (s *shell) seeJobs(w *world) { s.seenJobs = maps.Clone(w.jobs) }

// stop ends a turn, by its end, by an error that asks for another one, or by a crash.
func (s *shell) stop() {
	s.at, s.live, s.sj, s.jobs, s.plan, s.asked = none, false, nil, nil, nil, nil
}

// sync is one turn of the worker, without anything in between.
func (s *shell) sync(w *world) {
	s.stop()
	for s.begin(w); s.at != none; {
		s.step(w)
	}
}

// step sends the next request and goes on to the one after it.
func (s *shell) step(w *world) {
	if err := s.send(w); err != nil {
		s.stop()
	}
}

// isCreating says whether this turn may create a Job on the strength of what it has read.
func (s *shell) isCreating() bool {
	return s.live && slices.Contains([]request{readNextJob, readRunningJob, readAbsentJob, listPods, addFinalizer, createJob}, s.at)
}

// mayCreate says whether it may be a Job of that name: what was read does not say that this one was ever started.
func (s *shell) mayCreate(job *jobRecord) bool {
	if !s.isCreating() || s.sj.UID != job.owner {
		return false
	}
	steps := s.sj.Status.Steps
	return job.index >= len(steps) || steps[job.index].Retries < job.retry
}

// begin comes to the first request of a turn.
func (s *shell) begin(w *world) {
	s.use(w, s.seenSJ)
}

// use goes on with a SequentialJob that was just read.
func (s *shell) use(w *world, sj *v1alpha1.SequentialJob) {
	switch s.sj = sj; {
	case sj == nil:
		s.stop()
	case sj.DeletionTimestamp.IsZero():
		s.gather(w)
	case slices.Contains(sj.Finalizers, v1alpha1.CleanupFinalizer):
		s.at = listJobs
	default:
		s.stop()
	}
}

// gather collects the Jobs. Those that the cache alone would decide on are read.
func (s *shell) gather(w *world) {
	s.jobs, s.asked = s.rules.jobsOf(s.seenJobs, s.sj), nil
	switch {
	case sequence.Finished(&s.sj.Status):
		s.decide(w)
	case s.knows(sequence.NextJobName(s.sj)):
		s.at = readNextJob
	default:
		s.gatherRunning(w)
	}
}

func (s *shell) gatherRunning(w *world) {
	if s.at = readRunningJob; !s.missesRunning() {
		s.decide(w)
	}
}

// knows says whether a Job of that name is among those that are known.
func (s *shell) knows(name string) bool {
	return slices.ContainsFunc(s.jobs, func(job *batchv1.Job) bool { return job.Name == name })
}

// missesRunning says whether the Job of the running step is not.
func (s *shell) missesRunning() bool {
	step := runningStep(s.sj)
	return step != nil && !slices.ContainsFunc(s.jobs, func(job *batchv1.Job) bool { return job.UID == step.JobUID })
}

func runningStep(sj *v1alpha1.SequentialJob) *v1alpha1.StepStatus {
	if n := len(sj.Status.Steps); n > 0 && sj.Status.Steps[n-1].State == v1alpha1.StepRunning {
		return &sj.Status.Steps[n-1]
	}
	return nil
}

// decide first makes sure that the Jobs which the plan takes for absent are not only missing in the cache.
func (s *shell) decide(w *world) {
	s.plan = s.rules.next(s.sj, s.jobs, w.clock)
	if s.toAsk() != "" {
		s.at = readAbsentJob
		return
	}
	switch {
	case s.plan.Create == nil && (s.plan.Change == nil || s.live || s.rules.trustCache):
		s.explain(w)
		s.record()
	case !s.live && !s.rules.trustCache:
		s.at = readSJ
	case s.plan.AfterPods && !s.rules.ignorePods:
		s.at = listPods
	default:
		s.secure()
	}
}

// toAsk returns the name of a Job that is still to be asked for.
func (s *shell) toAsk() string {
	for _, name := range s.plan.Absent {
		if !s.rules.doubtProof && !slices.Contains(s.asked, name) {
			return name
		}
	}
	return ""
}

// secure comes to the create once the finalizer is there.
func (s *shell) secure() {
	if s.at = createJob; !slices.Contains(s.sj.Finalizers, v1alpha1.CleanupFinalizer) {
		s.at = addFinalizer
	}
}

// started goes on with the Job of the step to start, which was created or found.
func (s *shell) started(w *world, job *batchv1.Job) {
	s.know(job)
	s.plan = s.rules.next(s.sj, s.jobs, w.clock)
	s.explain(w)
	s.record()
}

// explain says more than the Jobs alone tell.
func (s *shell) explain(w *world) {
	switch {
	case s.plan.Failed != nil && s.rules.failureDetail != "":
		s.plan = new(s.plan.WithFailureDetail(s.sj, s.jobs, s.rules.failureDetail, w.clock))
	case s.plan.Inspect != nil && s.rules.cause.Reason != "":
		s.plan = new(s.plan.Stuck(s.sj, s.rules.cause, metav1.NewTime(w.clock)))
	}
}

// record comes to the first request that carries out a plan without a create.
func (s *shell) record() {
	s.jobs, s.asked = nil, nil
	if s.at = changeJob; s.plan.Change == nil {
		s.recordStatus()
	}
}

func (s *shell) recordStatus() {
	if s.at = storeStatus; reflect.DeepEqual(s.sj.Status, s.plan.Status) {
		s.recordEnd()
	}
}

// recordEnd comes to what is left once the status is stored.
func (s *shell) recordEnd() {
	switch {
	case !s.plan.Finalizer && slices.Contains(s.sj.Finalizers, v1alpha1.CleanupFinalizer):
		s.at = dropFinalizer
	case s.plan.Expired:
		s.at = readExpired
	default:
		s.stop()
	}
}
