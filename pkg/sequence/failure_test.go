package sequence_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// exited is a container that ended that many minutes after now.
func exited(name string, code int32, reason, message string, minutes int) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: message,
		FinishedAt: metav1.NewTime(now.Add(time.Duration(minutes) * time.Minute)),
	}}}
}

func pod(containers ...corev1.ContainerStatus) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "etl-1-x7k2p", CreationTimestamp: created},
		Status:     corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: containers},
	}
}

func TestFailureDetail(t *testing.T) {
	withInit := pod(corev1.ContainerStatus{Name: "transform"})
	withInit.Status.InitContainerStatuses = []corev1.ContainerStatus{exited("fetch", 4, "Error", "no route to host", 1)}
	evicted := pod()
	evicted.Status.Reason, evicted.Status.Message = "Evicted", "The node was low on resource:\nmemory."
	evictedAndKilled := *evicted.DeepCopy()
	evictedAndKilled.Status.ContainerStatuses = []corev1.ContainerStatus{exited("transform", 137, "Error", "", 1)}
	restarted := pod(corev1.ContainerStatus{
		Name:                 "transform",
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: exited("transform", 3, "Error", "first try", 1).State,
	})
	running := pod(corev1.ContainerStatus{Name: "transform", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
	running.Status.Phase, running.Status.Reason = corev1.PodRunning, "NotYet"

	for name, tc := range map[string]struct {
		pods []corev1.Pod
		want string
	}{
		"no pods":                  {nil, ""},
		"a pod that tells nothing": {[]corev1.Pod{pod()}, ""},
		"a pod that still runs":    {[]corev1.Pod{running}, ""},
		"a pod that succeeded":     {[]corev1.Pod{pod(exited("transform", 0, "Completed", "done", 1))}, ""},
		"exit code and termination message": {
			[]corev1.Pod{pod(exited("transform", 2, "Error", "no such table\n", 1))},
			`container "transform" exited with code 2: no such table`,
		},
		"exit code alone": {
			[]corev1.Pod{pod(exited("transform", 2, "Error", "", 1))},
			`container "transform" exited with code 2`,
		},
		"out of memory": {
			[]corev1.Pod{pod(exited("transform", 137, "OOMKilled", "", 1))},
			`container "transform" exited with code 137 (OOMKilled)`,
		},
		"killed by a signal": {
			[]corev1.Pod{pod(exited("transform", 137, "Error", "", 1))},
			`container "transform" exited with code 137 (SIGKILL)`,
		},
		"killed by a signal without a name": {
			[]corev1.Pod{pod(exited("transform", 162, "Error", "", 1))},
			`container "transform" exited with code 162 (signal 34)`,
		},
		"an exit code above all signals": {
			[]corev1.Pod{pod(exited("transform", 255, "Error", "", 1))},
			`container "transform" exited with code 255`,
		},
		"the node stands last": {
			[]corev1.Pod{onNode(pod(exited("transform", 2, "Error", "no such table", 1)), "worker-3")},
			`container "transform" exited with code 2: no such table (node worker-3)`,
		},
		"an evicted pod whose container was killed": {
			[]corev1.Pod{evictedAndKilled},
			`pod etl-1-x7k2p failed: Evicted: The node was low on resource: memory.; container "transform" exited with code 137 (SIGKILL)`,
		},
		"an init container": {
			[]corev1.Pod{withInit},
			`container "fetch" exited with code 4: no route to host`,
		},
		"the step counts before a helper": {
			[]corev1.Pod{pod(exited("helper", 143, "Error", "terminated", 2), exited("transform", 2, "Error", "no such table", 1))},
			`container "transform" exited with code 2: no such table`,
		},
		"a helper counts if the step did not fail": {
			[]corev1.Pod{pod(exited("transform", 0, "Completed", "", 1), exited("helper", 1, "Error", "", 2))},
			`container "helper" exited with code 1`,
		},
		"a container that waits for its next try": {
			[]corev1.Pod{restarted},
			`container "transform" exited with code 3: first try`,
		},
		"an evicted pod": {
			[]corev1.Pod{evicted},
			"pod etl-1-x7k2p failed: Evicted: The node was low on resource: memory.",
		},
		"the latest failure counts, in any order": {
			[]corev1.Pod{
				pod(exited("transform", 1, "Error", "first", 1)),
				pod(exited("transform", 3, "Error", "third", 3)),
				pod(exited("transform", 2, "Error", "second", 2)),
			},
			`container "transform" exited with code 3: third`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, sequence.FailureDetail("transform", tc.pods)); diff != "" {
				t.Errorf("unexpected detail (-want +got):\n%s", diff)
			}
		})
	}
}

func onNode(pod corev1.Pod, node string) corev1.Pod {
	pod.Spec.NodeName = node
	return pod
}

// failedAt2 returns a sequence whose second step has just failed, its Jobs, and the plan to record that.
func failedAt2() (*v1alpha1.SequentialJob, []*batchv1.Job, sequence.Plan) {
	sj := nthRuns(1)
	jobs := []*batchv1.Job{jobOf(sj, 1, failed)}
	return sj, jobs, sequence.Next(sj, jobs, now)
}

func TestWithFailureDetail(t *testing.T) {
	sj, jobs, plan := failedAt2()
	if plan.Failed == nil || plan.Failed.Name != "etl-1" {
		t.Fatalf("the plan names Job %v as failed, want etl-1", plan.Failed)
	}
	const line = `Job 1 (transform) failed: BackoffLimitExceeded: container "transform" exited with code 2: no such table`
	detail := sequence.FailureDetail("transform", []corev1.Pod{pod(exited("transform", 2, "Error", "no such table\n", 1))})
	got := plan.WithFailureDetail(sj, jobs, detail, now)

	for _, conditionType := range []string{"Failed", "Stalled", "Available", "Progressing"} {
		if message := meta.FindStatusCondition(got.Status.Conditions, conditionType).Message; message != line {
			t.Errorf("%s says %q, want %q", conditionType, message, line)
		}
	}
	want := outcomeOf(plan)
	want.Events = []string{"Warning JobFailed: " + line}
	if diff := cmp.Diff(want, outcomeOf(got)); diff != "" {
		t.Errorf("it changed more than the message (-want +got):\n%s", diff)
	}
	step := got.Status.Steps[1]
	if want := `BackoffLimitExceeded: container "transform" exited with code 2: no such table`; step.Message != want {
		t.Errorf("the step says %q, want %q", step.Message, want)
	}
	if !step.CompletionTime.Equal(&ended) || !got.Status.CompletionTime.Equal(&ended) {
		t.Errorf("the step ended at %v and the sequence at %v, want %v", step.CompletionTime, got.Status.CompletionTime, ended)
	}
	if reason := got.Status.Progress.FailureReason; reason != "BackoffLimitExceeded" {
		t.Errorf("failureReason is %q", reason)
	}
}

func TestWithFailureDetailThatAddsNothing(t *testing.T) {
	sj, jobs, plan := failedAt2()
	if diff := cmp.Diff(plan, plan.WithFailureDetail(sj, jobs, "", now)); diff != "" {
		t.Errorf("no detail changed the plan:\n%s", diff)
	}
	running := sequence.Next(nthRuns(1), []*batchv1.Job{jobOf(sj, 1)}, created.Time)
	if diff := cmp.Diff(running, running.WithFailureDetail(sj, jobs, "why", now)); diff != "" {
		t.Errorf("a detail changed a plan without failure:\n%s", diff)
	}
	again := sequence.Next(withStatus(sj, plan.Status), []*batchv1.Job{jobOf(sj, 1, failed)}, now)
	if again.Failed != nil {
		t.Error("a failure that is recorded already is reported again")
	}
}

func withStatus(sj *v1alpha1.SequentialJob, status v1alpha1.SequentialJobStatus) *v1alpha1.SequentialJob {
	out := sj.DeepCopy()
	out.Status = status
	return out
}

func TestFailureTextIsBounded(t *testing.T) {
	sj, jobs, plan := failedAt2()
	long := strings.Repeat("größe ", 1000)
	for name, pods := range map[string][]corev1.Pod{
		"termination message": {pod(exited("transform", 2, "Error", long, 1))},
		"pod message": func() []corev1.Pod {
			p := pod()
			p.Status.Reason, p.Status.Message = "Evicted", long
			return []corev1.Pod{p}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			got := plan.WithFailureDetail(sj, jobs, sequence.FailureDetail("transform", pods), now)
			message, limit := got.Status.Steps[1].Message, len("BackoffLimitExceeded: ")+1024
			if len(message) > limit || len(message) < limit-3 || !utf8.ValidString(message) || !strings.HasSuffix(message, "...") {
				t.Errorf("the step's message has %d bytes, limit %d: %q", len(message), limit, message)
			}
			if event := got.Events[0].Message; len(event) > 1024 || !utf8.ValidString(event) {
				t.Errorf("the event has %d bytes", len(event))
			}
		})
	}
}
