package view_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

var update = flag.Bool("update", false, "write the golden files again")

// begin is when every sequence of these tests starts.
var begin = time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC)

func at(seconds int) *metav1.Time {
	return new(metav1.NewTime(begin.Add(time.Duration(seconds) * time.Second)))
}

// story makes up what the API server has of a sequence.
type story struct{ view.Input }

func tell(steps ...string) *story {
	sj := &v1alpha1.SequentialJob{
		ObjectMeta: metav1.ObjectMeta{Name: "etl", Namespace: "data", UID: "uid-etl", Generation: 1, CreationTimestamp: *at(0)},
		Status:     v1alpha1.SequentialJobStatus{ObservedGeneration: 1, Progress: &v1alpha1.JobProgress{}},
	}
	for _, step := range steps {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: step})
	}
	return &story{view.Input{SequentialJob: sj, Now: at(120).Time, Commands: view.Commands{Tool: "kubectl sj", Flags: []string{"-n", "data"}}}}
}

func (s *story) finally(names ...string) *story {
	for _, name := range names {
		s.SequentialJob.Spec.Finally = append(s.SequentialJob.Spec.Finally, corev1.Container{Name: name})
	}
	return s
}

// progressing sets phase and condition.
func (s *story) progressing(phase v1alpha1.SequentialJobPhase, reason, message string) *story {
	is := metav1.ConditionTrue
	if phase != v1alpha1.SequentialJobRunning && phase != v1alpha1.SequentialJobPending {
		is = metav1.ConditionFalse
	}
	s.SequentialJob.Status.Phase = phase
	meta.SetStatusCondition(&s.SequentialJob.Status.Conditions,
		metav1.Condition{Type: v1alpha1.ConditionProgressing, Status: is, Reason: reason, Message: message})
	return s
}

func (s *story) edit(change func(sj *v1alpha1.SequentialJob)) *story {
	change(s.SequentialJob)
	return s
}

// step adds the entry of the next step, with a Job and a pod that fit it. A negative end is none.
func (s *story) step(name, job string, state v1alpha1.StepState, from, to int, message string) *story {
	s.SequentialJob.Status.Steps = append(s.SequentialJob.Status.Steps, s.start(name, job, state, from, to, message))
	return s
}

func (s *story) after(name, job string, state v1alpha1.StepState, from, to int, message string) *story {
	s.SequentialJob.Status.Finally = append(s.SequentialJob.Status.Finally, s.start(name, job, state, from, to, message))
	return s
}

func (s *story) start(name, job string, state v1alpha1.StepState, from, to int, message string) v1alpha1.StepStatus {
	status := &s.SequentialJob.Status
	if status.StartTime == nil {
		status.StartTime = at(from)
	}
	entry := v1alpha1.StepStatus{Name: name, JobName: job, JobUID: types.UID("uid-" + job), State: state, StartTime: at(from), Message: message}
	s.job(job, from)
	phase := corev1.PodRunning
	if to >= 0 {
		entry.CompletionTime = at(to)
		phase = corev1.PodSucceeded
	}
	if state == v1alpha1.StepFailed {
		phase = corev1.PodFailed
	}
	s.pod(job, from, phase)
	return entry
}

// job adds a Job of the sequence that runs.
func (s *story) job(name string, from int) *batchv1.Job {
	s.Jobs = append(s.Jobs, batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID("uid-" + name), CreationTimestamp: *at(from),
			OwnerReferences: []metav1.OwnerReference{{Kind: v1alpha1.SequentialJobKind, Name: "etl", UID: "uid-etl", Controller: new(true)}},
		},
		Spec:   batchv1.JobSpec{BackoffLimit: new(int32(0))},
		Status: batchv1.JobStatus{Active: 1, StartTime: at(from)},
	})
	return &s.Jobs[len(s.Jobs)-1]
}

func (s *story) failJob(name string, from, to int, reason, message string) *story {
	s.job(name, from).Status = batchv1.JobStatus{Failed: 1, Conditions: []batchv1.JobCondition{
		{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: *at(to)},
	}}
	return s
}

// pod adds a pod of a Job.
func (s *story) pod(job string, from int, phase corev1.PodPhase) *corev1.Pod {
	s.Pods = append(s.Pods, corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: job + "-x7k2p", CreationTimestamp: *at(from),
			OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: job, UID: types.UID("uid-" + job), Controller: new(true)}},
		},
		Spec:   corev1.PodSpec{NodeName: "worker-1"},
		Status: corev1.PodStatus{Phase: phase},
	})
	return &s.Pods[len(s.Pods)-1]
}

func (s *story) failPod(job, step string, from, to int, code int32, message string) *story {
	pod := s.pod(job, from, corev1.PodFailed)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: step, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message, FinishedAt: *at(to)},
	}}}
	return s
}

// lastPod changes the pod that was added last.
func (s *story) lastPod(change func(*corev1.Pod)) *story {
	change(&s.Pods[len(s.Pods)-1])
	return s
}

// ended sets the time at which the sequence ended.
func (s *story) ended(seconds int) *story {
	s.SequentialJob.Status.CompletionTime = at(seconds)
	return s
}

func (s *story) counts(completions string, retries int32) *story {
	s.SequentialJob.Status.Progress.Completions, s.SequentialJob.Status.Progress.Retries = completions, retries
	return s
}

// mustBeGolden compares lines with a file of testdata.
func mustBeGolden(t *testing.T, name string, lines []string) {
	t.Helper()
	got := strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what is shown (-want +got):\n%s", path, diff)
	}
}
