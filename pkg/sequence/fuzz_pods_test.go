package sequence_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// FuzzWhyNotRunning asks why any step with any pods and any events does not run, or failed: the answer is one short line.
func FuzzWhyNotRunning(f *testing.F) {
	f.Add([]byte{})
	for _, seed := range []int{3, 5, 41, 86, 129, 213} {
		var bytes []byte
		for i := range 120 {
			bytes = append(bytes, byte(i*seed/(1+i%5))) //nolint:gosec // any will do
		}
		f.Add(bytes)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		d := &dice{bytes: bytes}
		sj := newSequence("step-0")
		job := jobOf(sj, 0, func(job *batchv1.Job) { job.Status.Active = d.int32() })
		if d.below(2) == 1 {
			job.Status.StartTime = new(d.time())
		}
		pods := several(d, 4, d.pod)
		checkLine(t, sequence.FailureDetail("step-0", pods))

		cause := sequence.WhyNotRunning(job, pods, several(d, 4, d.event))
		if cause.Reason != "" && cause.Reason != v1alpha1.ReasonPodNotStarted && cause.Reason != v1alpha1.ReasonPodFailed {
			t.Errorf("reason %s", cause.Reason)
		}
		if (cause.Reason == "") != (cause.Message == "") {
			t.Errorf("reason %q with message %q", cause.Reason, cause.Message)
		}
		plan := sequence.Next(sj, []*batchv1.Job{job}, now)
		sj.Status = plan.Status
		for range 2 {
			plan = plan.Stuck(sj, cause, metav1.NewTime(now))
			checkWords(t, sj, plan)
			for _, c := range plan.Status.Conditions {
				checkLine(t, c.Message)
			}
			sj.Status = plan.Status
			plan = sequence.Next(sj, []*batchv1.Job{job}, now)
		}
		if len(plan.Events) > 0 {
			t.Errorf("told again: %v", plan.Events)
		}
	})
}

// checkLine expects a text that fits one line of `kubectl describe`.
func checkLine(t *testing.T, text string) {
	t.Helper()
	const most = 1024
	if len(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("not one short line: %d bytes %q", len(text), text)
	}
}

func (d *dice) pod(i int) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("etl-0-%d", i), UID: types.UID(fmt.Sprintf("uid-pod-%d", i)), CreationTimestamp: d.time(),
		DeletionTimestamp: maybe(d, d.time),
	}}
	pod.Spec.NodeName = oneOf(d, "", "node-1", strings.Repeat("n", 253), strings.Repeat("n", 2000), "nöde")
	pod.Status = corev1.PodStatus{
		Phase:  oneOf[corev1.PodPhase](d, "Pending", "Running", "Failed", "Succeeded", "Unknown", ""),
		Reason: d.text(), Message: d.text(),
		ContainerStatuses:     several(d, 3, d.containerStatus),
		InitContainerStatuses: several(d, 2, d.containerStatus),
		Conditions: several(d, 2, func(int) corev1.PodCondition {
			return corev1.PodCondition{
				Type:   oneOf[corev1.PodConditionType](d, "PodScheduled", "Ready", ""),
				Status: oneOf[corev1.ConditionStatus](d, "True", "False", ""), Reason: d.text(), Message: d.text(),
			}
		}),
	}
	return pod
}

func (d *dice) containerStatus(i int) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: oneOf(d, "step-0", fmt.Sprintf("helper-%d", i)), State: d.containerState(), LastTerminationState: d.containerState(),
		Ready: d.below(2) == 1, RestartCount: d.int32(),
	}
}

func (d *dice) containerState() corev1.ContainerState {
	return corev1.ContainerState{
		Waiting: maybe(d, func() corev1.ContainerStateWaiting {
			return corev1.ContainerStateWaiting{Reason: oneOf(d, "PodInitializing", "ImagePullBackOff", d.text()), Message: d.text()}
		}),
		Terminated: maybe(d, func() corev1.ContainerStateTerminated {
			return corev1.ContainerStateTerminated{
				ExitCode: oneOf(d, 0, 2, 137, d.int32()), Signal: d.int32(), Reason: d.text(), Message: d.text(), FinishedAt: d.time(),
			}
		}),
	}
}

func (d *dice) event(int) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{UID: oneOf[types.UID](d, "uid-job-0", "uid-pod-0", "uid-pod-1", "")},
		Type:           oneOf(d, corev1.EventTypeWarning, corev1.EventTypeNormal, ""), Reason: d.text(), Message: d.text(),
		LastTimestamp: d.time(), EventTime: metav1.NewMicroTime(d.clock()),
	}
}
