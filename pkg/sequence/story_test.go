package sequence_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// story plays what happens to one SequentialJob under a controller that works at once and never fails.
type story struct {
	t    *testing.T
	sj   *v1alpha1.SequentialJob
	jobs []*batchv1.Job
	now  time.Time
	// told holds the events since it was last asked.
	told []string
	last sequence.Plan
}

func tell(t *testing.T, steps ...string) *story {
	t.Helper()
	s := &story{t: t, sj: newSequence(steps...), now: now}
	return s
}

// edit changes the spec, as a user does, and lets the controller work.
func (s *story) edit(change func(*v1alpha1.SequentialJobSpec)) *story {
	s.t.Helper()
	change(&s.sj.Spec)
	s.sj.Generation++
	return s.work()
}

func (s *story) after(d time.Duration) *story {
	s.now = s.now.Add(d)
	return s
}

// work lets the controller do all that it can do now.
func (s *story) work() *story {
	s.t.Helper()
	for range 20 {
		plan := sequence.Next(s.sj, s.jobs, s.now)
		if plan.Create != nil {
			s.create(plan.Create)
			plan = sequence.Next(s.sj, s.jobs, s.now)
		}
		if plan.Create != nil {
			s.t.Fatalf("a Job that exists is not seen: %s", plan.Create.Name)
		}
		if plan.Change != nil {
			s.apply(plan.Change)
		}
		for _, event := range plan.Events {
			s.told = append(s.told, fmt.Sprintf("%s: %s", event.Reason, event.Message))
		}
		changed := cmp.Diff(s.sj.Status, plan.Status) != ""
		s.sj.Status, s.last = plan.Status, plan
		if !changed && (len(plan.Events) > 0 || plan.Again) {
			s.t.Fatalf("a plan that changes no status has events %v, again %v", plan.Events, plan.Again)
		}
		if !changed && plan.Change == nil {
			return s
		}
	}
	s.t.Fatal("the controller never comes to rest")
	return s
}

func (s *story) create(job *batchv1.Job) {
	job = job.DeepCopy()
	job.UID = types.UID("uid-" + job.Name)
	job.CreationTimestamp = metav1.NewTime(s.now)
	job.Status.StartTime = new(metav1.NewTime(s.now))
	job.Status.Ready = new(int32(1))
	s.jobs = append(s.jobs, job)
}

// apply changes a Job as the API server and the Job controller would.
func (s *story) apply(change *sequence.JobChange) {
	job := s.job(change.Job.Name)
	if job.Spec.Suspend != nil && *job.Spec.Suspend && !change.Suspend {
		job.Status.StartTime = new(metav1.NewTime(s.now))
	}
	job.Spec.Suspend = &change.Suspend
	job.Spec.ActiveDeadlineSeconds = change.ActiveDeadlineSeconds
	job.Annotations = map[string]string{}
	if change.SuspendedByUs {
		job.Annotations[v1alpha1.SuspendedByAnnotation] = v1alpha1.ControllerName
	}
}

func (s *story) job(name string) *batchv1.Job {
	s.t.Helper()
	i := slices.IndexFunc(s.jobs, func(job *batchv1.Job) bool { return job.Name == name })
	if i < 0 {
		s.t.Fatalf("there is no Job %s, but %v", name, s.names())
	}
	// The plans before must not change with it.
	s.jobs[i] = s.jobs[i].DeepCopy()
	return s.jobs[i]
}

func (s *story) end(name string, how jobOption) *story {
	s.t.Helper()
	job := s.job(name)
	how(job)
	for i := range job.Status.Conditions {
		job.Status.Conditions[i].LastTransitionTime = metav1.NewTime(s.now)
	}
	if job.Status.CompletionTime != nil {
		job.Status.CompletionTime = new(metav1.NewTime(s.now))
	}
	return s.work()
}

func (s *story) remove(name string) *story {
	s.t.Helper()
	s.jobs = slices.DeleteFunc(s.jobs, func(job *batchv1.Job) bool { return job.Name == name })
	return s.work()
}

func (s *story) names() []string {
	var out []string
	for _, job := range s.jobs {
		out = append(out, job.Name)
	}
	return out
}

// wantEvents checks what was told since the last call.
func (s *story) wantEvents(want ...string) *story {
	s.t.Helper()
	if diff := cmp.Diff(want, s.told); diff != "" {
		s.t.Errorf("unexpected events (-want +got):\n%s", diff)
	}
	s.told = nil
	return s
}

func (s *story) wantJobs(want ...string) *story {
	s.t.Helper()
	if diff := cmp.Diff(want, s.names()); diff != "" {
		s.t.Errorf("unexpected Jobs (-want +got):\n%s", diff)
	}
	return s
}

// want checks the phase and the condition Progressing, "True Reason: message".
func (s *story) want(phase v1alpha1.SequentialJobPhase, progressing string) *story {
	s.t.Helper()
	if s.sj.Status.Phase != phase {
		s.t.Errorf("phase %s, want %s", s.sj.Status.Phase, phase)
	}
	if got := conditions(&s.sj.Status)["Progressing"]; got != progressing {
		s.t.Errorf("Progressing is %q, want %q", got, progressing)
	}
	if ended := sequence.Finished(&s.sj.Status); ended != (s.sj.Status.CompletionTime != nil) {
		s.t.Errorf("phase %s with completionTime %v", s.sj.Status.Phase, s.sj.Status.CompletionTime)
	}
	return s
}
