package sequence_test

import (
	"errors"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// serve does what a controller asks for that has seen the SequentialJob as the facts have it.
func (w *world) serve(f *sequence.Facts, a sequence.Action) sequence.Answer {
	var answer sequence.Answer
	var err error
	seen := f.SequentialJob
	switch a.Request {
	case sequence.ReadSequentialJob:
		if answer.SequentialJob = w.sj; w.sj == nil {
			err = errNotFound
		}
	case sequence.ReadJob:
		if answer.Job = w.jobs[a.Name]; answer.Job == nil {
			err = errNotFound
		}
	case sequence.CheckSteps:
	case sequence.CreateJob:
		answer.Job, err = w.createJob(seen, a.Job)
	case sequence.ChangeJob:
		answer.Job, err = w.changeJob(a.Change)
	case sequence.DeleteJob:
		err = w.deleteOwn(a.Job)
	case sequence.ListJobPods:
		answer.Pods = w.podsOf(a.Job)
	case sequence.ListPods:
		answer.Pods = w.runningPods(seen)
	case sequence.ListEvents:
	case sequence.StoreStatus:
		answer.SequentialJob, err = w.updateStatus(seen, a)
	case sequence.AddFinalizer, sequence.RemoveFinalizer:
		answer.SequentialJob, err = w.setFinalizer(seen, a.Request == sequence.AddFinalizer)
	case sequence.DeleteSequentialJob:
		w.deleteExpired(seen)
	default:
		panic("unknown request " + a.Request)
	}
	answer.Refusal = refusalFor(err)
	return answer
}

func refusalFor(err error) sequence.Refusal {
	switch {
	case err == nil:
		return sequence.Refusal{}
	case errors.Is(err, errNotFound):
		return sequence.Refusal{Class: sequence.Gone}
	case errors.Is(err, errConflict):
		return sequence.Refusal{Class: sequence.Conflict}
	}
	return sequence.Refusal{Class: sequence.NameTaken}
}

// refusals are how else a request may be answered. The first ones are not carried out; one whose answer is lost is.
func refusals(request sequence.Request) []sequence.Class {
	switch request {
	case sequence.CreateJob, sequence.CheckSteps:
		return []sequence.Class{sequence.Denied, sequence.Rejected, sequence.Invalid, sequence.Unavailable}
	case sequence.ChangeJob, sequence.ListJobPods:
		return []sequence.Class{sequence.Denied}
	case sequence.AddFinalizer, sequence.RemoveFinalizer, sequence.StoreStatus, sequence.DeleteJob:
		return []sequence.Class{sequence.Denied, sequence.Unavailable}
	case sequence.EndTurn:
		return nil
	default:
		return []sequence.Class{sequence.Unavailable}
	}
}

func refusedAs(class sequence.Class) sequence.Answer {
	return sequence.Answer{Refusal: sequence.Refusal{
		Class: class, Message: "refused", Causes: []metav1.StatusCause{{Field: "spec.template.spec.containers[0].image", Message: "wrong"}},
	}}
}

// podsOf returns what is to be seen of the pods of a Job.
func (w *world) podsOf(job *batchv1.Job) []corev1.Pod {
	if pods, ok := w.pods[job.Name]; ok {
		return pods
	}
	if exists := w.jobs[job.Name]; exists == nil || exists.UID != job.UID {
		return w.podsThatAreLeft(job)
	}
	if w.ledger[job.UID].pod.succeeded {
		return w.succeededPods(job)
	}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: job.Name + "-x", CreationTimestamp: metav1.NewTime(w.clock)}}
	switch {
	case sequence.HasEnded(job):
		pod.Status.Phase = corev1.PodFailed
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "s", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: 2}}}}
	case w.trouble != "":
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: w.trouble}}
	}
	return []corev1.Pod{pod}
}

// podsThatAreLeft returns those of a Job that is gone which have not ended.
func (w *world) podsThatAreLeft(job *batchv1.Job) []corev1.Pod {
	if _, left := w.left[job.UID]; left {
		return []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: job.Name + "-x"}}}
	}
	return nil
}

// runningPods returns those that carry the label of a SequentialJob and have not ended.
func (w *world) runningPods(sj *v1alpha1.SequentialJob) []corev1.Pod {
	var out []corev1.Pod
	add := func(job metav1.Object) {
		out = append(out, corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: job.GetName() + "-x", OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		}})
	}
	for _, name := range slices.Sorted(maps.Keys(w.jobs)) {
		if job := w.jobs[name]; w.ledger[job.UID].owner == sj.UID && w.runs(job) && !isSuspended(job) {
			add(job)
		}
	}
	for _, uid := range sortedKeys(w.left) {
		if w.left[uid] == sj.UID {
			add(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: w.ledger[uid].name, UID: uid}})
		}
	}
	return out
}
