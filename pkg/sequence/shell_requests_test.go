package sequence_test

import (
	"errors"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// send sends the request that is next. An error means another turn.
func (s *shell) send(w *world) error {
	switch s.at {
	case readNextJob:
		s.know(w.jobs[sequence.NextJobName(s.sj)])
		s.gatherRunning(w)
	case readRunningJob:
		s.know(w.jobs[runningStep(s.sj).JobName])
		s.decide(w)
	case readAbsentJob:
		name := s.toAsk()
		s.know(w.jobs[name])
		s.asked = append(s.asked[:len(s.asked):len(s.asked)], name)
		s.decide(w)
	case readSJ:
		s.live = true
		s.use(w, w.sj)
	case listPods:
		s.sendListPods(w)
	case addFinalizer:
		stored, err := w.setFinalizer(s.sj, true)
		if err != nil {
			return err
		}
		s.sj, s.at = stored, createJob
	case createJob:
		s.sendCreateJob(w)
	case readTakenJob:
		return s.sendReadTakenJob(w)
	default:
		return s.sendRecord(w)
	}
	return nil
}

// know adds what was read; it takes the place of a cached Job of that name. If there is none any more the cached one stands:
// it proves that the step was started.
func (s *shell) know(job *batchv1.Job) {
	if job == nil {
		return
	}
	s.jobs = slices.DeleteFunc(slices.Clone(s.jobs), func(other *batchv1.Job) bool { return other.Name == job.Name })
	s.jobs = append(s.jobs, job)
}

func (s *shell) sendListPods(w *world) {
	if !w.podsRun(s.sj.UID) {
		s.secure()
		return
	}
	s.plan = new(s.plan.Waiting(s.sj, v1alpha1.ReasonRetrying, "Waiting for pods", metav1.NewTime(w.clock)))
	s.record()
}

func (s *shell) sendCreateJob(w *world) {
	job, err := w.createJob(s.sj, s.rules.rename(w, s.plan.Create))
	if errors.Is(err, errExists) {
		s.at = readTakenJob
		return
	}
	s.started(w, job)
}

func (s *shell) sendReadTakenJob(w *world) error {
	job := w.jobs[s.plan.Create.Name]
	if job == nil {
		return errTryAgain
	}
	conflict := s.rules.conflict(s.sj, s.plan.CreateIndex, job)
	switch at := metav1.NewTime(w.clock); {
	case conflict == "":
		s.started(w, job)
		return nil
	case sequence.LeftByPredecessor(s.sj, job):
		s.plan = new(s.plan.Waiting(s.sj, v1alpha1.ReasonJobNameConflict, conflict, at))
	default:
		s.plan = new(s.plan.Blocked(s.sj, v1alpha1.ReasonJobNameConflict, conflict, at))
	}
	s.record()
	return nil
}

// sendRecord sends the requests that come once nothing is left to decide.
func (s *shell) sendRecord(w *world) error {
	switch s.at {
	case changeJob:
		if err := w.changeJob(s.plan.Change); err != nil {
			return err
		}
		s.recordStatus()
	case storeStatus:
		stored, err := w.updateStatus(s.sj, s.plan)
		if err != nil {
			return err
		}
		s.sj = stored
		s.recordEnd()
	case dropFinalizer:
		stored, err := w.setFinalizer(s.sj, false)
		if err != nil || stored == nil || !s.plan.Expired {
			return errTryAgain
		}
		s.sj, s.at = stored, readExpired
	case readExpired:
		if w.sj == nil || w.sj.UID != s.sj.UID || !w.sj.DeletionTimestamp.IsZero() || !sequence.Finished(&w.sj.Status) ||
			!s.rules.next(w.sj, nil, w.clock).Expired {
			return errTryAgain
		}
		s.sj, s.at = w.sj, deleteExpired
	case deleteExpired:
		w.deleteExpired(s.sj)
		s.stop()
	default:
		return s.sendCleanUp(w)
	}
	return nil
}

// sendCleanUp sends the requests of a turn for a SequentialJob that is being deleted.
func (s *shell) sendCleanUp(w *world) error {
	switch s.at {
	case listJobs:
		s.plan = s.rules.next(s.sj, controlled(w.jobs, s.sj.UID), w.clock)
		s.jobs = s.plan.Delete
	case deleteJob:
		if err := w.deleteOwn(s.jobs[0]); err != nil {
			return err
		}
		s.jobs = s.jobs[1:]
	case listPodsOfNoJob:
		if w.podsLeft(s.sj.UID) {
			return errTryAgain
		}
		s.at = dropFinalizer
		return nil
	default:
		panic("unknown request " + s.at)
	}
	s.cleanUp()
	return nil
}

// cleanUp comes to the next deletion, and to the end once there is none left.
func (s *shell) cleanUp() {
	switch {
	case len(s.jobs) > 0:
		s.at = deleteJob
	case s.plan.Finalizer:
		s.stop()
	case slices.Contains(s.sj.Finalizers, metav1.FinalizerOrphanDependents):
		s.at = dropFinalizer
	default:
		s.at = listPodsOfNoJob
	}
}
