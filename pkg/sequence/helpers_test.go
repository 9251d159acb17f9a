package sequence_test

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var (
	now     = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	created = metav1.NewTime(now.Add(-time.Hour))
	ended   = metav1.NewTime(now.Add(-time.Minute))
)

// newSequence returns a SequentialJob that has just been created, with one step a name.
func newSequence(steps ...string) *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "etl", UID: "uid-etl", Generation: 1,
	}}
	for _, name := range steps {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: name, Image: "image/" + name})
	}
	return sj
}

// ranUntil returns a sequence of three steps as it was stored when its Jobs were these.
func ranUntil(jobs func(*v1alpha1.SequentialJob) []*batchv1.Job) *v1alpha1.SequentialJob {
	sj := newSequence("extract", "transform", "load")
	sj.Finalizers = []string{v1alpha1.CleanupFinalizer}
	sj.Status = turnOf(sj, jobs(sj), now.Add(-30*time.Minute)).Status
	return sj
}

// nthRuns returns a sequence of three steps whose status says that the step at index runs.
func nthRuns(index int) *v1alpha1.SequentialJob {
	return ranUntil(func(sj *v1alpha1.SequentialJob) []*batchv1.Job { return upTo(sj, index) })
}

// upTo returns the Jobs of all steps up to index; all but the last are complete.
func upTo(sj *v1alpha1.SequentialJob, index int) []*batchv1.Job {
	var jobs []*batchv1.Job
	for i := range index {
		jobs = append(jobs, jobOf(sj, i, complete))
	}
	return append(jobs, jobOf(sj, index, running))
}

type jobOption func(*batchv1.Job)

// jobOf returns the Job of a step as the API server holds it.
func jobOf(sj *v1alpha1.SequentialJob, index int, options ...jobOption) *batchv1.Job {
	job := sequence.NewJob(sj, index, 0)
	job.UID = types.UID(fmt.Sprintf("uid-job-%d", index))
	job.CreationTimestamp = created
	for _, option := range options {
		option(job)
	}
	return job
}

func withCondition(conditionType batchv1.JobConditionType, status corev1.ConditionStatus, reason, message string) jobOption {
	return func(job *batchv1.Job) {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: conditionType, Status: status, Reason: reason, Message: message, LastTransitionTime: ended,
		})
	}
}

// running is what is known of a Job whose pod is ready.
func running(job *batchv1.Job) {
	job.Status.StartTime, job.Status.Active, job.Status.Ready = created.DeepCopy(), 1, new(int32(1))
}

func complete(job *batchv1.Job) {
	withCondition(batchv1.JobComplete, corev1.ConditionTrue, "CompletionsReached", "")(job)
	job.Status.Succeeded = 1
	job.Status.CompletionTime = ended.DeepCopy()
}

func failed(job *batchv1.Job) {
	withCondition(batchv1.JobFailed, corev1.ConditionTrue, "BackoffLimitExceeded", "Job has reached the backoff limit")(job)
}

func suspended(job *batchv1.Job) {
	job.Spec.Suspend = new(true)
}

func ownedByAnother(job *batchv1.Job) {
	job.UID = "uid-foreign"
	job.OwnerReferences[0].UID = "uid-other"
}

func terminating(job *batchv1.Job) {
	job.DeletionTimestamp = new(metav1.NewTime(now))
}

// turn is what a whole turn comes to if the API server does all that it is asked.
type turn struct {
	Create *batchv1.Job
	Change *sequence.JobChange
	Delete []string
	// Status is what is stored in the end, and Events are what was told with it.
	Status v1alpha1.SequentialJobStatus
	// Finalizer says whether the SequentialJob has the clean-up finalizer then.
	Finalizer bool
	Events    []sequence.Event
	// Requests are all that were sent, in order.
	Requests []string
	// Last is the end of the turn.
	Last sequence.Action
}

// server is an API server that holds these objects and does what it is asked.
type server struct {
	jobs   []*batchv1.Job
	pods   []corev1.Pod
	events []corev1.Event
	// refuse answers a request by a refusal, or lets it pass.
	refuse func(sequence.Action) sequence.Refusal
	// spec is that of the SequentialJob, of which a cache has only the outline.
	spec *v1alpha1.SequentialJobSpec
}

// answer does what an action asks for.
func (s *server) answer(f *sequence.Facts, a sequence.Action) sequence.Answer {
	if s.refuse != nil {
		if refusal := s.refuse(a); refusal.Class != "" {
			return sequence.Answer{Refusal: refusal}
		}
	}
	answer := sequence.Answer{SequentialJob: s.whole(f.SequentialJob), Pods: s.pods, Events: s.events}
	switch a.Request {
	case sequence.ReadJob:
		answer.Job = s.job(a.Name)
	case sequence.CreateJob:
		if s.job(a.Job.Name) != nil {
			return sequence.Answer{Refusal: sequence.Refusal{Class: sequence.NameTaken}}
		}
		answer.Job = a.Job.DeepCopy()
		answer.Job.UID = types.UID("uid-" + a.Job.Name)
		answer.Job.CreationTimestamp = metav1.NewTime(f.Now)
		s.jobs = append(s.jobs, answer.Job)
	case sequence.ChangeJob:
		answer.Job = changed(a.Change)
		for i := range s.jobs {
			if s.jobs[i].Name == answer.Job.Name {
				s.jobs[i] = answer.Job
			}
		}
	case sequence.StoreStatus:
		answer.SequentialJob.Status = *a.Status.DeepCopy()
	case sequence.AddFinalizer:
		answer.SequentialJob.Finalizers = append(answer.SequentialJob.Finalizers, v1alpha1.CleanupFinalizer)
	case sequence.RemoveFinalizer:
		answer.SequentialJob.Finalizers = slices.DeleteFunc(answer.SequentialJob.Finalizers,
			func(f string) bool { return f == v1alpha1.CleanupFinalizer })
	case sequence.DeleteSequentialJob:
		answer.SequentialJob = nil
	default:
	}
	return answer
}

// whole returns a SequentialJob as the server has it.
func (s *server) whole(sj *v1alpha1.SequentialJob) *v1alpha1.SequentialJob {
	out := sj.DeepCopy()
	if s.spec != nil {
		s.spec.DeepCopyInto(&out.Spec)
	}
	return out
}

func (s *server) job(name string) *batchv1.Job {
	for _, job := range s.jobs {
		if job.Name == name {
			return job
		}
	}
	return nil
}

// changed returns a Job as the API server stores it after a change.
func changed(change *sequence.JobChange) *batchv1.Job {
	job := change.Job.DeepCopy()
	if change.Suspend != nil {
		job.Spec.Suspend = new(*change.Suspend)
		job.Status.StartTime = nil // the deadline starts again once it is resumed
	}
	if change.ActiveDeadlineSeconds != nil {
		job.Spec.ActiveDeadlineSeconds = *change.ActiveDeadlineSeconds
	}
	for key, value := range change.Annotations {
		if value == nil {
			delete(job.Annotations, key)
		} else {
			metav1.SetMetaDataAnnotation(&job.ObjectMeta, key, *value)
		}
	}
	for key, value := range change.Labels {
		metav1.SetMetaDataLabel(&job.ObjectMeta, key, value)
	}
	if change.OwnerReferences != nil {
		job.OwnerReferences = change.OwnerReferences
	}
	return job
}

// play plays a turn to its end, and returns it with the SequentialJob as it is then.
func (s *server) play(facts sequence.Facts) (turn, *v1alpha1.SequentialJob) {
	const most = 200
	var out turn
	s.spec = &facts.SequentialJob.Spec
	facts.SequentialJob = outline(facts.SequentialJob)
	for range most {
		a := sequence.Next(facts)
		if out.Last = a; a.Request == sequence.EndTurn {
			if facts.SequentialJob != nil {
				out.Status = facts.SequentialJob.Status
				out.Finalizer = slices.Contains(facts.SequentialJob.Finalizers, v1alpha1.CleanupFinalizer)
			}
			out.Events = append(out.Events, a.Events...)
			if facts.SequentialJob == nil {
				return out, nil
			}
			return out, s.whole(facts.SequentialJob)
		}
		out.Requests = append(out.Requests, string(a.Request))
		answer := s.answer(&facts, a)
		if answer.Refusal.Class == "" {
			out.Events = append(out.Events, a.Events...)
			switch a.Request {
			case sequence.CreateJob:
				out.Create = a.Job
			case sequence.ChangeJob:
				out.Change = a.Change
			case sequence.DeleteJob:
				out.Delete = append(out.Delete, a.Job.Name)
			default:
			}
		}
		facts = facts.With(a, answer)
	}
	panic(fmt.Sprintf("a turn without end: %q", out.Requests))
}

// turnOf is the turn in which the API server, and the cache, hold these Jobs.
func turnOf(sj *v1alpha1.SequentialJob, jobs []*batchv1.Job, at time.Time) turn {
	out, _ := (&server{jobs: slices.Clone(jobs)}).play(sequence.Facts{Now: at, SequentialJob: sj, Jobs: jobs})
	return out
}

// outcome is what a turn comes to, short enough to be compared and read.
type outcome struct {
	Create    string
	Delete    []string
	Finalizer bool
	Phase     v1alpha1.SequentialJobPhase
	Reason    string
	Steps     []string
	Events    []string
}

func outcomeOf(turn turn) outcome {
	out := outcome{Phase: turn.Status.Phase, Delete: turn.Delete, Finalizer: turn.Finalizer}
	if turn.Create != nil {
		out.Create = turn.Create.Name
	}
	if c := meta.FindStatusCondition(turn.Status.Conditions, v1alpha1.ConditionProgressing); c != nil {
		out.Reason = c.Reason
	}
	for _, step := range turn.Status.Steps {
		out.Steps = append(out.Steps, fmt.Sprintf("%s %s %s", step.JobName, step.JobUID, step.State))
	}
	for _, event := range turn.Events {
		out.Events = append(out.Events, fmt.Sprintf("%s %s: %s", event.Type, event.Reason, event.Message))
	}
	return out
}
