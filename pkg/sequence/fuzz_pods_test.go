package sequence_test

import (
	"fmt"
	"slices"
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

// FuzzPods asks why any step with any pods and any events makes no progress, or failed: the answer is one short line, told once.
func FuzzPods(f *testing.F) {
	addSeeds(f)
	f.Fuzz(fuzzPods)
}

func fuzzPods(t *testing.T, bytes []byte) {
	t.Helper()
	d := &dice{bytes: bytes}
	sj := nthRuns(0)
	sj.Spec.Containers[0].Name, sj.Status.Steps[0].Name = "step-0", "step-0"
	job := jobOf(sj, 0, func(job *batchv1.Job) {
		job.Status.Active, job.Status.StartTime = d.int32(), maybe(d, d.time)
		job.Status.Conditions = several(d, 1, func(int) batchv1.JobCondition {
			return batchv1.JobCondition{Type: oneOf[batchv1.JobConditionType](d, "FailureTarget", "Failed"), Status: corev1.ConditionTrue,
				Reason: d.text(), Message: d.text(), LastTransitionTime: d.time()}
		})
		job.DeletionTimestamp = oneOf(d, nil, nil, new(d.time()))
	})
	pods := several(d, 4, d.pod)
	checkLine(t, sequence.FailureDetail("step-0", pods), maxText)
	cause, about := sequence.WhyNotReady(job, "step-0", pods)
	checkCause(t, cause, about)

	api := &server{jobs: []*batchv1.Job{job}, pods: pods, events: several(d, 4, d.event)}
	facts := sequence.Facts{Now: now, SequentialJob: sj, Jobs: api.jobs, PodLost: d.below(2) == 1}
	for range 2 {
		told, after := api.play(facts)
		for _, event := range told.Events {
			checkEvent(t, event)
			checkLine(t, event.Message, maxText)
		}
		checkWords(t, facts.SequentialJob, &told.Status)
		for _, c := range told.Status.Conditions {
			checkLine(t, c.Message, 3*maxText) // the reason, the text, and what links them
		}
		facts.SequentialJob = after
	}
	if again, _ := api.play(facts); len(again.Events) > 0 {
		t.Errorf("told again: %v", again.Events)
	}
}

// checkCause expects a cause with words, and only then a reason.
func checkCause(t *testing.T, cause sequence.Cause, about metav1.Object) {
	t.Helper()
	reasons := []string{"", v1alpha1.ReasonPodNotStarted, v1alpha1.ReasonPodFailed, v1alpha1.ReasonPodStillRunning}
	if !slices.Contains(reasons, cause.Reason) || (cause.Reason == "") != (cause.Verb == "") || cause.Reason != "" && cause.Message == "" {
		t.Errorf("cause %+v", cause)
	}
	if about != nil && about.GetUID() == "" {
		t.Errorf("the events of %v may tell more", about)
	}
}

// maxText is the longest text that is taken over from others, in bytes.
const maxText = 1024

// checkLine expects a text that fits one line of `kubectl describe`.
func checkLine(t *testing.T, text string, most int) {
	t.Helper()
	if len(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("not one short line: %d bytes %.200q", len(text), text)
	}
}

func (d *dice) pod(i int) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("etl-0-%d", i), UID: types.UID(fmt.Sprintf("uid-pod-%d", i)), CreationTimestamp: d.time(),
		DeletionTimestamp: maybe(d, d.time), DeletionGracePeriodSeconds: maybe(d, d.int64),
	}}
	pod.Spec.RestartPolicy = oneOf[corev1.RestartPolicy](d, "Never", "OnFailure", "Always", "")
	pod.Spec.Containers, pod.Spec.InitContainers = several(d, 2, d.container), several(d, 2, d.container)
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
				LastTransitionTime: d.time(),
			}
		}),
	}
	return pod
}

func (d *dice) container(i int) corev1.Container {
	return corev1.Container{
		Name: oneOf(d, "step-0", fmt.Sprintf("helper-%d", i)),
		RestartPolicy: maybe(d, func() corev1.ContainerRestartPolicy {
			return oneOf[corev1.ContainerRestartPolicy](d, "Always", "OnFailure", "Never", "")
		}),
		RestartPolicyRules: several(d, 2, func(int) corev1.ContainerRestartRule {
			return corev1.ContainerRestartRule{
				Action: oneOf[corev1.ContainerRestartRuleAction](d, "Restart", "RestartAllContainers", ""),
				ExitCodes: maybe(d, func() corev1.ContainerRestartRuleOnExitCodes {
					return corev1.ContainerRestartRuleOnExitCodes{
						Operator: oneOf[corev1.ContainerRestartRuleOnExitCodesOperator](d, "In", "NotIn", ""),
						Values:   several(d, 2, func(int) int32 { return oneOf(d, 2, 137, d.int32()) }),
					}
				}),
			}
		}),
	}
}

func (d *dice) containerStatus(i int) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: oneOf(d, "step-0", fmt.Sprintf("helper-%d", i)), State: d.containerState(), LastTerminationState: d.containerState(),
		Ready: d.below(2) == 1, RestartCount: d.int32(),
	}
}

func (d *dice) containerState() corev1.ContainerState {
	return corev1.ContainerState{
		Running: maybe(d, func() corev1.ContainerStateRunning { return corev1.ContainerStateRunning{StartedAt: d.time()} }),
		Waiting: maybe(d, func() corev1.ContainerStateWaiting {
			return corev1.ContainerStateWaiting{Reason: oneOf(d, "PodInitializing", "ImagePullBackOff", "CrashLoopBackOff", d.text()), Message: d.text()}
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
