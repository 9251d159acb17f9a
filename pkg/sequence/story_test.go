package sequence_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

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
	last turn
	pods []corev1.Pod
	// warnings are what the API server has of events.
	warnings []corev1.Event
	// refuse answers a request by a refusal, or lets it pass.
	refuse func(sequence.Action) sequence.Refusal
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
	api := &server{jobs: s.jobs, pods: s.pods, events: s.warnings, refuse: s.refuse}
	for range 20 {
		turn, after := api.play(sequence.Facts{Now: s.now, SequentialJob: s.sj, Jobs: api.jobs})
		for _, event := range turn.Events {
			s.told = append(s.told, fmt.Sprintf("%s: %s", event.Reason, event.Message))
		}
		for i, job := range api.jobs {
			if job.UID == types.UID("uid-"+job.Name) && job.Status.StartTime == nil && !isSuspended(job) {
				job = job.DeepCopy()
				job.Status.StartTime, job.Status.Ready = new(metav1.NewTime(s.now)), new(int32(1))
				api.jobs[i] = job
			}
		}
		changed := after == nil || cmp.Diff(s.sj.Status, after.Status) != "" || turn.Change != nil
		if after == nil {
			return s
		}
		s.sj, s.jobs, s.last = after, api.jobs, turn
		if !changed && (len(turn.Events) > 0 || turn.Last.AtOnce) {
			s.t.Fatalf("a turn that changes no status has events %v, at once %v", turn.Events, turn.Last.AtOnce)
		}
		if !changed {
			return s
		}
	}
	s.t.Fatal("the controller never comes to rest")
	return s
}

func isSuspended(job *batchv1.Job) bool { return ptr.Deref(job.Spec.Suspend, false) }

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

// conditions writes all conditions as "status reason: message".
func conditions(status *v1alpha1.SequentialJobStatus) map[string]string {
	out := map[string]string{}
	for _, c := range status.Conditions {
		out[c.Type] = string(c.Status) + " " + c.Reason + ": " + c.Message
	}
	return out
}

// create lets somebody create a Job.
func (s *story) create(job *batchv1.Job) {
	job = job.DeepCopy()
	job.UID, job.CreationTimestamp = types.UID("uid-"+job.Name), metav1.NewTime(s.now)
	s.jobs = append(s.jobs, job)
}
