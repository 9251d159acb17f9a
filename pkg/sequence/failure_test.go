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

// failAt2 plays the turn in which the second step of three has failed with these pods.
func failAt2(pods ...corev1.Pod) turn {
	sj := nthRuns(1)
	jobs := []*batchv1.Job{jobOf(sj, 1, failed)}
	out, _ := (&server{jobs: jobs, pods: pods}).play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: jobs})
	return out
}

func TestAFailureTellsWhatThePodsSay(t *testing.T) {
	const line = `Job 1 (transform) failed: BackoffLimitExceeded: container "transform" exited with code 2: no such table`
	got := failAt2(pod(exited("transform", 2, "Error", "no such table\n", 1)))
	for _, conditionType := range []string{"Failed", "Stalled", "Progressing"} {
		if message := meta.FindStatusCondition(got.Status.Conditions, conditionType).Message; message != line {
			t.Errorf("%s says %q, want %q", conditionType, message, line)
		}
	}
	want := outcome{
		Phase: v1alpha1.SequentialJobFailed, Reason: "BackoffLimitExceeded",
		Steps:  []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Failed"},
		Events: []string{"Warning JobFailed: " + line},
	}
	if diff := cmp.Diff(want, outcomeOf(got)); diff != "" {
		t.Errorf("unexpected outcome (-want +got):\n%s", diff)
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

func TestAFailureWithoutPodsSaysWhatTheJobSays(t *testing.T) {
	if got := failAt2().Status.Steps[1].Message; got != backoff {
		t.Errorf("the step says %q, want %q", got, backoff)
	}
}

func TestAFailureIsToldOnce(t *testing.T) {
	s := tell(t, "extract").work().end("etl-0", failed)
	s.told = nil
	if s.work().wantEvents(); len(s.last.Requests) > 0 {
		t.Errorf("a failure that is recorded is asked about again: %q", s.last.Requests)
	}
}

// A failure is recorded at once, even if its pods cannot be asked. What they say is added once they can be.
func TestAFailureWaitsForNobody(t *testing.T) {
	unavailable := func(a sequence.Action) sequence.Refusal {
		if a.Request == sequence.ListJobPods {
			return sequence.Refusal{Class: sequence.Unavailable, Message: "busy"}
		}
		return sequence.Refusal{}
	}
	const exit2 = `container "extract" exited with code 2: no such table`
	const first = "BackoffLimitExceeded: Job has reached the backoff limit; its pods could not be asked yet"
	for name, tc := range map[string]struct {
		end         jobOption
		pods        []corev1.Pod
		first, then string
	}{
		"and the pods tell":        {failed, []corev1.Pod{pod(exited("extract", 2, "Error", "no such table", 1))}, first, "BackoffLimitExceeded: " + exit2},
		"and they are gone":        {failed, nil, first, backoff},
		"and the Job says nothing": {withCondition(batchv1.JobFailed, "True", "PodFailurePolicy", ""), nil, "PodFailurePolicy: its pods could not be asked yet", "PodFailurePolicy"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, "extract").work()
			s.told, s.pods, s.refuse = nil, tc.pods, unavailable
			s.end("etl-0", tc.end)
			reason, _, _ := strings.Cut(tc.first, ":")
			s.want("Failed", "False "+reason+": Job 0 (extract) failed: "+tc.first).wantEvents("JobFailed: Job 0 (extract) failed: " + tc.first)
			if s.last.Last.LookAgain == 0 {
				t.Errorf("the pods are not asked again: %+v", s.last.Last)
			}
			s.refuse = nil
			s.work().want("Failed", "False "+reason+": Job 0 (extract) failed: "+tc.then).wantEvents()
			if got := s.sj.Status.Steps[0].Message; got != tc.then {
				t.Errorf("the step says %q, want %q", got, tc.then)
			}
			if s.work(); len(s.last.Requests) > 0 || s.last.Last.TryAgain {
				t.Errorf("they are asked once more: %q", s.last.Requests)
			}
		})
	}
}

func TestADeadlineKeepsTheCauseThatWasKnown(t *testing.T) {
	const cause = "before that: Job 0 (extract) has no running pod: Unschedulable: no node"
	for name, tc := range map[string]struct {
		seconds *int64 // of the sequence
		policy  *int64 // of somebody who changed the Job
		event   string
		detail  string
	}{
		"of the sequence": {new(int64(600)), nil, "DeadlineExceeded",
			"the sequence was active for longer than its activeDeadlineSeconds (600); " + cause},
		"of somebody else": {nil, new(int64(60)), "JobFailed",
			"Job etl-0 was active for longer than its activeDeadlineSeconds (60), which its SequentialJob does not ask for; " + cause},
		"of nobody who can be found": {nil, nil, "JobFailed", "Job was active longer than specified deadline; " + cause},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, "extract")
			s.sj.Spec.ActiveDeadlineSeconds = tc.seconds
			s.work()
			if tc.policy != nil {
				s.job("etl-0").Spec.ActiveDeadlineSeconds = tc.policy
			}
			s.stuck(unschedulable("no node"))
			s.told, s.pods = nil, nil
			message := "Job 0 (extract) failed: DeadlineExceeded: " + tc.detail
			s.end("etl-0", outOfTime).want("Failed", "False DeadlineExceeded: "+message).wantEvents(tc.event + ": " + message)
		})
	}
}

func TestFailureTextIsBounded(t *testing.T) {
	long := strings.Repeat("größe ", 1000)
	evicted := pod()
	evicted.Status.Reason, evicted.Status.Message = "Evicted", long
	for name, pod := range map[string]corev1.Pod{
		"termination message":        pod(exited("transform", 2, "Error", long, 1)),
		"pod message":                evicted,
		"termination message, node":  onNode(pod(exited("transform", 2, "Error", long, 1)), strings.Repeat("n", 253)),
		"the node's name is not one": onNode(pod(exited("transform", 2, "Error", long, 1)), strings.Repeat("n", 9999)),
	} {
		t.Run(name, func(t *testing.T) {
			got := failAt2(pod)
			message, limit := got.Status.Steps[1].Message, len("BackoffLimitExceeded: ")+1024
			if len(message) > limit || len(message) < limit-3 || !utf8.ValidString(message) || !strings.Contains(message, "...") {
				t.Errorf("the step's message has %d bytes, limit %d: %q", len(message), limit, message)
			}
			if event := got.Events[0].Message; len(event) > 1024 || !utf8.ValidString(event) {
				t.Errorf("the event has %d bytes", len(event))
			}
		})
	}
}
