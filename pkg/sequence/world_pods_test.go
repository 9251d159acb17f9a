package sequence_test

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// The pods whose success starts the next step, and what the Job controller and others do to them.

// podRecord is what there is to know of the pod of a Job.
type podRecord struct {
	// watched says that the Job was made for spec.advanceOn PodSucceeded.
	watched bool
	// succeeded says that it has succeeded, and shown that a watch has shown so once. Another pod may have taken its place since.
	succeeded, shown bool
	// untracked says that somebody has taken the Job controller's finalizer off it: it may vanish before it is counted.
	untracked bool
	// behind says that the Job was suspended by us and its controller may see that before it sees what became of the pod.
	behind bool
}

// runs says whether a Job has pods that have not ended, or may make one.
func (w *world) runs(job *batchv1.Job) bool {
	return !sequence.HasEnded(job) && !w.ledger[job.UID].pod.succeeded
}

func (w *world) changePod(name string, change func(*podRecord)) {
	w.note(w.jobs[name].UID, func(record *jobRecord) {
		if record.pod.watched {
			change(&record.pod)
		}
	})
}

// succeedPod is what a kubelet does.
func (w *world) succeedPod(name string) {
	w.changePod(name, func(pod *podRecord) { pod.succeeded, pod.shown = true, true })
}

// losePod removes the pod of a Job that nobody has counted: the Job makes another one.
func (w *world) losePod(name string) {
	w.changePod(name, func(pod *podRecord) { pod.succeeded, pod.untracked, pod.behind = false, false, false })
}

// succeededPods are those of a Job whose pod has succeeded.
func (w *world) succeededPods(job *batchv1.Job) []corev1.Pod {
	pod := succeededPod(job)
	if w.ledger[job.UID].pod.untracked {
		pod.Finalizers = nil
	}
	return []corev1.Pod{pod}
}

// hasShownSuccess says whether a watch has shown that the pod of the step succeeded that runs according to a SequentialJob.
func (w *world) hasShownSuccess(sj *v1alpha1.SequentialJob) bool {
	n := len(sj.Status.Steps)
	return n > 0 && sj.Status.Steps[n-1].State == v1alpha1.StepRunning && w.ledger[sj.Status.Steps[n-1].JobUID].pod.shown
}

// hasStartedNext says whether a step was started, or may be at any time, because the pod of this Job had succeeded.
func (w *world) hasStartedNext(record *jobRecord) bool {
	for _, other := range w.ledger {
		if other.owner == record.owner && other.index == record.index+1 {
			return true
		}
	}
	return record.done
}

// isLast says whether no step comes after that of this Job.
func (w *world) isLast(record *jobRecord) bool {
	return w.sj == nil || record.index+1 >= len(w.sj.Spec.Containers)
}

func isByPod(sj *v1alpha1.SequentialJob) bool {
	return sj.Spec.AdvanceOn != nil && *sj.Spec.AdvanceOn == v1alpha1.AdvanceOnPodSucceeded
}

func switchAdvanceOn(spec *v1alpha1.SequentialJobSpec) {
	if spec.AdvanceOn == nil {
		spec.AdvanceOn = new(v1alpha1.AdvanceOnPodSucceeded)
	} else {
		spec.AdvanceOn = nil
	}
}

// podMoves are how a Job goes on whose pod is watched. A Job controller that finds it suspended, and its pod succeeded, counts the pod.
func podMoves(from place, job *batchv1.Job, record *jobRecord, add addMove) {
	name, b, pod := job.Name, &from.budget, &record.pod
	switch {
	case sequence.HasEnded(job):
	case !pod.succeeded && !isSuspended(job):
		add("the pod of "+name+" succeeds", nothing, nil, nil, func(p *place) { p.succeedPod(name) })
		add(name+" fails", nothing, nil, &b.Failures, func(p *place) {
			p.budget.Failures--
			p.failJob(name, batchv1.JobReasonBackoffLimitExceeded)
		})
	case pod.untracked:
		add("the pod of "+name+", which nobody tracks, is removed", nothing, nil, nil, func(p *place) { p.losePod(name) })
	case pod.succeeded:
		if pod.behind {
			add("the Job controller, which has only seen that "+name+" was suspended, removes its pod", nothing, nil, nil,
				func(p *place) { p.losePod(name) })
		}
		add(name+" completes", nothing, nil, nil, func(p *place) { p.completeJob(name) })
		const timeIsUp = " fails, because its time is up, although its pod has succeeded"
		if isStopping(job) && !isSuspended(job) {
			add(name+timeIsUp, nothing, nil, nil, func(p *place) { p.failJob(name, batchv1.JobReasonDeadlineExceeded) })
		} else {
			add(name+timeIsUp, viewsAgree, nil, &b.Failures, func(p *place) {
				p.budget.Failures--
				p.failJob(name, batchv1.JobReasonDeadlineExceeded)
			})
		}
		mind := nobodyCreates
		if from.hasStartedNext(record) || from.isLast(record) { // with the last one, the sequence may be recorded as complete at any time
			mind = podTracked
		}
		add("somebody takes the finalizer off the pod of "+name, mind, nil, &b.Thefts, func(p *place) {
			p.budget.Thefts--
			p.changePod(name, func(pod *podRecord) { pod.untracked = true })
		})
	}
}

// runWatched takes a Job whose pod is watched one step further. A former leader that has not seen that it was suspended may start the
// next step, so its controller is behind only before that; the model lets one work at a time, and has the rest.
func (w *walk) runWatched(job *batchv1.Job) {
	name, record := job.Name, w.ledger[job.UID]
	pod := record.pod
	switch n := w.random.IntN(10); {
	case !pod.succeeded && n < 7:
		w.note("%s: its pod succeeds", name)
		w.succeedPod(name)
	case !pod.succeeded:
		w.note("%s: fails", name)
		w.failJob(name, batchv1.JobReasonBackoffLimitExceeded)
	case pod.behind && n < 3 && !w.hasStartedNext(&record):
		w.note("%s: its controller has only seen that it was suspended, and removes its pod", name)
		w.losePod(name)
	case n < 6:
		w.note("%s: completes", name)
		w.completeJob(name)
	case n < 7:
		w.note("%s: its time is up, although its pod has succeeded", name)
		w.seen["failed although its pod had succeeded"]++
		w.failJob(name, batchv1.JobReasonDeadlineExceeded)
		w.agree()
	}
}

// agree lets no process know less than another: when the time of a Job is up after its pod has succeeded, one may take the pod's word,
// and start the next step, and another one the Job's. That is so only while two work.
func (w *walk) agree() {
	for _, p := range w.processes {
		p.stop()
		p.seeSJ(w.world)
		p.seeJobs(w.world)
	}
}

// passTime also lets the processes agree on the Jobs that it ends.
func (w *walk) passTime(d time.Duration) {
	failed := func() (n int) {
		for _, record := range w.ledger {
			if record.pod.succeeded && record.failed {
				n++
			}
		}
		return n
	}
	before := failed()
	if w.world.passTime(d); failed() > before {
		w.agree()
	}
}

// setSucceededPod makes a pod that has succeeded all that is to be seen of the pods of a Job, and shows it to the watch.
func (s *teller) setSucceededPod(args []string) {
	job, how := s.jobs[args[0]], args[1]
	s.succeedPod(job.Name)
	pods := []corev1.Pod{succeededPod(job)}
	pod := &pods[0]
	pod.Status.InitContainerStatuses = nil
	pod.Status.ContainerStatuses[0].Name = job.Labels[v1alpha1.StepNameLabel]
	pod.Status.ContainerStatuses[0].State.Terminated.FinishedAt = metav1.NewTime(s.clock)
	switch how {
	case "":
	case ", and nobody tracks it":
		pod.Finalizers = nil
	case ", and is being deleted":
		pod.DeletionTimestamp = new(metav1.NewTime(s.clock))
	case " after a restart":
		pod.Status.ContainerStatuses[0].RestartCount = 1
	case ", and a sidecar still runs":
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "proxy", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	case ", and another one runs":
		another := succeededPod(job)
		another.Name, another.UID, another.Status.Phase = job.Name+"-y", "uid-pod-y", corev1.PodRunning
		pods = append(pods, another)
	default:
		panic("unknown state of a pod: " + how)
	}
	s.pods = map[string][]corev1.Pod{job.Name: pods}
}
