package compat

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// life is a SequentialJob of two steps and its Jobs, taken further by the same decisions as the controller's.
type life struct {
	sj   *v1alpha1.SequentialJob
	jobs map[string]*batchv1.Job
	now  time.Time
	// refusals are the answers to requests that are not carried out.
	refusals map[sequence.Request]sequence.Refusal
}

func newLife() *life {
	sj := &v1alpha1.SequentialJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.SequentialJobKind},
		ObjectMeta: metav1.ObjectMeta{Name: "etl", Namespace: "default", UID: "etl", Generation: 1},
	}
	sj.Status.ObservedGeneration = -1 // as the CRD has it
	for _, name := range []string{"extract", "load"} {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: name, Image: "example.com/" + name + ":v1"})
	}
	return &life{sj: sj, jobs: map[string]*batchv1.Job{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
}

// goOn lets the controller do all that there is to do now.
func (l *life) goOn() *life {
	for {
		l.now = l.now.Add(time.Second)
		facts := sequence.Facts{Now: l.now, SequentialJob: l.sj, Jobs: slices.Collect(maps.Values(l.jobs))}
		for {
			action := sequence.Next(facts)
			if action.Request == sequence.EndTurn && action.AtOnce {
				break
			}
			if action.Request == sequence.EndTurn {
				return l
			}
			facts = facts.With(action, l.answer(action))
		}
	}
}

// answer does what the controller asks for, as an API server that has nothing against it.
func (l *life) answer(action sequence.Action) sequence.Answer {
	refusal := l.refusals[action.Request]
	if refusal.Class != "" {
		return sequence.Answer{Refusal: refusal}
	}
	sj := l.sj.DeepCopy()
	switch action.Request {
	case sequence.StoreStatus:
		sj.Status = *action.Status
	case sequence.AddFinalizer:
		sj.Finalizers = []string{v1alpha1.CleanupFinalizer}
	case sequence.RemoveFinalizer:
		sj.Finalizers = nil
	case sequence.ReadJob:
		if job, ok := l.jobs[action.Name]; ok {
			return sequence.Answer{Job: job}
		}
		return sequence.Answer{Refusal: sequence.Refusal{Class: sequence.Gone}}
	case sequence.CreateJob:
		job := action.Job.DeepCopy()
		job.UID, job.CreationTimestamp = types.UID(job.Name), metav1.NewTime(l.now)
		l.jobs[job.Name] = job
		return sequence.Answer{Job: job}
	case sequence.ChangeJob:
		job := action.Change.Job.DeepCopy()
		job.Spec.Suspend = action.Change.Suspend
		job.Annotations[v1alpha1.SuspendedByAnnotation] = v1alpha1.ControllerName
		l.jobs[job.Name] = job
		return sequence.Answer{Job: job}
	default: // what only asks finds nothing against it
	}
	l.sj = sj
	return sequence.Answer{SequentialJob: sj}
}

func (l *life) end(job string, condition batchv1.JobConditionType, reason string) *life {
	l.jobs[job].Status.Conditions = append(l.jobs[job].Status.Conditions,
		batchv1.JobCondition{Type: condition, Status: corev1.ConditionTrue, Reason: reason})
	return l.goOn()
}

func (l *life) edit(change func(*v1alpha1.SequentialJobSpec)) *life {
	change(&l.sj.Spec)
	l.sj.Generation++
	return l
}

// stages are the states in which others see a SequentialJob.
func stages() map[string]*v1alpha1.SequentialJob {
	suspend := func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) }
	retry := func(spec *v1alpha1.SequentialJobSpec) { spec.Retries = new(int32(1)) }
	queued := newLife().goOn()
	queued.jobs["etl-0"].Spec.Suspend = new(true)
	blocked := newLife()
	blocked.refusals = map[sequence.Request]sequence.Refusal{
		sequence.CreateJob: {Class: sequence.Denied, Message: "exceeded quota"},
	}
	failed := func() *life {
		return newLife().goOn().end("etl-0", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	}
	completed := func() *life {
		return newLife().goOn().end("etl-0", batchv1.JobComplete, "").end("etl-1", batchv1.JobComplete, "")
	}
	deleted := newLife().goOn()
	deleted.sj.DeletionTimestamp = &metav1.Time{Time: deleted.now}
	deleted.sj.Finalizers = []string{v1alpha1.CleanupFinalizer}
	return map[string]*v1alpha1.SequentialJob{
		"just created":           newLife().sj,
		"cannot start yet":       blocked.goOn().sj,
		"first step runs":        newLife().goOn().sj,
		"second step runs":       newLife().goOn().end("etl-0", batchv1.JobComplete, "").sj,
		"suspended":              newLife().goOn().edit(suspend).goOn().sj,
		"suspended from birth":   newLife().edit(suspend).goOn().sj,
		"waits for a queue":      queued.goOn().sj,
		"failed":                 failed().sj,
		"retry asked for":        failed().edit(retry).sj,
		"retried":                failed().edit(retry).goOn().sj,
		"completed after retry":  failed().edit(retry).goOn().end("etl-0-r1", batchv1.JobComplete, "").end("etl-1", batchv1.JobComplete, "").sj,
		"completed":              completed().sj,
		"completed, then edited": completed().edit(retry).sj,
		"being deleted":          deleted.sj,
	}
}

func toUnstructured(t *testing.T, sj *v1alpha1.SequentialJob) *unstructured.Unstructured {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(sj)
	if err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: content}
}
