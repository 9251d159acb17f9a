package sequence_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// errCrashed ends a controller process in the middle of what it does.
var errCrashed = errors.New("crashed")

// shell is a controller process around the core, with the protocol of package controller: it decides on caches that
// may lag behind, reads live before it creates, creates before it records. It does not remember its own writes, so its
// view is worse than a real controller's.
type shell struct {
	w    *world
	sj   *v1alpha1.SequentialJob // cache
	jobs map[string]*batchv1.Job // cache
	// between is called between any two requests. What it returns ends the process.
	between func(at string) error
}

func newShell(w *world) *shell {
	s := &shell{w: w, between: func(string) error { return nil }}
	s.restart()
	return s
}

// restart starts the process anew: its caches are filled before it does anything.
func (s *shell) restart() {
	s.seeSJ()
	s.seeJobs()
}

func (s *shell) seeSJ()   { s.sj = s.w.readSJ() }
func (s *shell) seeJobs() { s.jobs = copyJobs(s.w.jobs) }

// sync is one turn of the worker. Errors other than a crash only mean another try later.
func (s *shell) sync() {
	if errors.Is(s.turn(), errCrashed) {
		s.restart()
	}
}

func (s *shell) turn() error {
	if s.sj == nil {
		return nil
	}
	if !s.sj.DeletionTimestamp.IsZero() {
		return s.cleanUp(s.sj)
	}
	jobs := s.jobsOf(s.sj)
	plan := sequence.Next(s.sj, jobs, s.w.clock)
	if plan.Create == nil {
		return s.record(s.sj, jobs, plan)
	}
	return s.startStep()
}

func (s *shell) startStep() error {
	sj := s.w.readSJ()
	if sj == nil {
		return nil
	}
	if !sj.DeletionTimestamp.IsZero() {
		return s.cleanUp(sj)
	}
	jobs := s.jobsOf(sj)
	plan := sequence.Next(sj, jobs, s.w.clock)
	if plan.Create == nil {
		return s.record(sj, jobs, plan)
	}
	sj, err := s.w.setFinalizer(sj, true)
	if err != nil {
		return err
	}
	s.w.deletedMeanwhile = false
	if err := s.between("finalizer and create"); err != nil {
		return err
	}
	job, err := s.w.createJob(plan.Create)
	if errors.Is(err, errExists) {
		return s.takeOver(sj, jobs, plan)
	}
	if err := s.between("create and record"); err != nil {
		return err
	}
	jobs = append(jobs, job)
	return s.record(sj, jobs, sequence.Next(sj, jobs, s.w.clock))
}

func (s *shell) takeOver(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan) error {
	job, err := s.w.readJob(plan.Create.Name)
	if err != nil {
		return err
	}
	if conflict := sequence.Conflict(sj, plan.CreateIndex, job); conflict != "" {
		if sequence.LeftByPredecessor(sj, job) {
			return s.record(sj, jobs, plan.Waiting(sj, v1alpha1.ReasonJobNameConflict, conflict, metav1.NewTime(s.w.clock)))
		}
		return s.record(sj, jobs, plan.Blocked(sj, v1alpha1.ReasonJobNameConflict, conflict, metav1.NewTime(s.w.clock)))
	}
	if err := s.between("take-over and record"); err != nil {
		return err
	}
	jobs = append(jobs, job)
	return s.record(sj, jobs, sequence.Next(sj, jobs, s.w.clock))
}

// jobsOf reads the running step's Job live if the cache does not have it.
func (s *shell) jobsOf(sj *v1alpha1.SequentialJob) []*batchv1.Job {
	var jobs []*batchv1.Job
	for _, name := range slices.Sorted(maps.Keys(s.jobs)) {
		if metav1.IsControlledBy(s.jobs[name], sj) {
			jobs = append(jobs, s.jobs[name])
		}
	}
	n := len(sj.Status.Steps)
	if n == 0 || sj.Status.Steps[n-1].State != v1alpha1.StepRunning {
		return jobs
	}
	step := sj.Status.Steps[n-1]
	if slices.ContainsFunc(jobs, func(job *batchv1.Job) bool { return job.UID == step.JobUID }) {
		return jobs
	}
	if job, err := s.w.readJob(step.JobName); err == nil {
		jobs = append(jobs, job)
	}
	return jobs
}

func (s *shell) record(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, plan sequence.Plan) error {
	if plan.Failed != nil {
		plan = plan.WithFailureDetail(sj, jobs, "exit code 2", s.w.clock)
	}
	if !reflect.DeepEqual(sj.Status, plan.Status) {
		update := sj.DeepCopy()
		update.Status = plan.Status
		stored, err := s.w.updateStatus(update)
		if err != nil {
			return err
		}
		for _, event := range plan.Events {
			s.w.publish(stored, event)
		}
		sj = stored
	}
	if plan.Finalizer || !slices.Contains(sj.Finalizers, v1alpha1.CleanupFinalizer) {
		return nil
	}
	if err := s.between("record and finalizer"); err != nil {
		return err
	}
	_, err := s.w.setFinalizer(sj, false)
	return err
}

func (s *shell) cleanUp(sj *v1alpha1.SequentialJob) error {
	if !slices.Contains(sj.Finalizers, v1alpha1.CleanupFinalizer) {
		return nil
	}
	plan := sequence.Next(sj, s.w.owned(sj.UID), s.w.clock)
	for _, job := range plan.Delete {
		if s.w.orphaned[sj.UID] {
			s.w.problem("Job %s was deleted although the user asked to leave it alone", job.Name)
		}
		s.w.deleteJob(job.Name, true)
	}
	if plan.Finalizer {
		return nil
	}
	_, err := s.w.setFinalizer(sj, false)
	return err
}
