package sequence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// handOver is a sequence whose first step's pod has succeeded while its Job does not say so yet.
type handOver struct {
	sj    *v1alpha1.SequentialJob
	job   *batchv1.Job
	pods  []corev1.Pod
	facts sequence.Facts
	// refuse answers a request by a refusal, or lets it pass.
	refuse func(sequence.Action) sequence.Refusal
}

func newHandOver() *handOver {
	sj := newSequence("extract", "transform", "load")
	sj.Spec.AdvanceOn = new(v1alpha1.AdvanceOnPodSucceeded)
	sj.Finalizers = []string{v1alpha1.CleanupFinalizer}
	job := jobOf(sj, 0, running)
	sj.Status = turnOf(sj, []*batchv1.Job{job}, now.Add(-30*time.Minute)).Status
	return &handOver{sj: sj, job: job, pods: []corev1.Pod{succeededPod(job)}, facts: sequence.Facts{Now: now, PodSucceeded: true}}
}

// succeededPod returns a pod of a Job that has succeeded and is not counted yet.
func succeededPod(job *batchv1.Job) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: job.Name + "-x", UID: "uid-pod", Finalizers: []string{batchv1.JobTrackingFinalizer}, CreationTimestamp: created,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
	}}
	pod.Status.Phase = corev1.PodSucceeded
	done := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: ended}}
	earlier := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: created}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "extract", State: done}}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "wait", State: earlier}}
	return pod
}

// play plays a turn.
func (h *handOver) play() turn {
	jobs := []*batchv1.Job{h.job}
	h.facts.SequentialJob, h.facts.Jobs = h.sj, jobs
	out, _ := (&server{jobs: slices.Clone(jobs), pods: h.pods, refuse: h.refuse}).play(h.facts)
	return out
}

func TestTheNextStepStartsWhenThePodHasSucceeded(t *testing.T) {
	turn := newHandOver().play()
	want := outcome{
		Create: "etl-1", Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: v1alpha1.ReasonJobCompleted,
		Steps:  []string{"etl-0 uid-job-0 Completed", "etl-1 uid-etl-1 Running"},
		Events: []string{"Normal JobCompleted: Job 0 completed successfully", "Normal JobStarted: Started job 1"},
	}
	if diff := cmp.Diff(want, outcomeOf(turn)); diff != "" {
		t.Error(diff)
	}
	requests := []string{"read SequentialJob", "list pods of Job", "create Job", "store status"}
	if diff := cmp.Diff(requests, turn.Requests); diff != "" {
		t.Error(diff)
	}
	if at := turn.Status.Steps[0].CompletionTime; !at.Equal(&ended) {
		t.Errorf("the step ended at %v, want when its last container did, %v", at, ended)
	}
	for _, labels := range []map[string]string{turn.Create.Labels, turn.Create.Spec.Template.Labels} {
		if labels[v1alpha1.AdvanceOnLabel] != "PodSucceeded" {
			t.Errorf("the next Job would not be watched: labels %v", labels)
		}
	}
}

func TestTheSequenceIsCompleteWhenThePodOfItsLastStepHasSucceeded(t *testing.T) {
	h := newHandOver()
	h.sj.Spec.Containers = h.sj.Spec.Containers[:1]
	want := outcome{
		Phase: v1alpha1.SequentialJobCompleted, Reason: v1alpha1.ReasonCompleted, Steps: []string{"etl-0 uid-job-0 Completed"},
		Events: []string{"Normal JobCompleted: Job 0 completed successfully", "Normal Completed: The only step completed successfully"},
	}
	if diff := cmp.Diff(want, outcomeOf(h.play())); diff != "" {
		t.Error(diff)
	}
}

func TestAStepWithoutFinishTimesEndsNow(t *testing.T) {
	h := newHandOver()
	h.pods[0].Status.ContainerStatuses, h.pods[0].Status.InitContainerStatuses = nil, nil
	if at := h.play().Status.Steps[0].CompletionTime; !at.Time.Equal(now) {
		t.Errorf("the step ended at %v, want %v", at, now)
	}
}

// Each of these is enough for the next step to wait until the Job says Complete.
func TestWhateverLeavesADoubtWaitsForTheJob(t *testing.T) {
	yes, other := true, "example.com/other"
	for name, spoil := range map[string]func(*handOver){
		"the default":                      func(h *handOver) { h.sj.Spec.AdvanceOn = nil },
		"JobComplete":                      func(h *handOver) { h.sj.Spec.AdvanceOn = new(v1alpha1.AdvanceOnJobComplete) },
		"the Job was made for JobComplete": func(h *handOver) { delete(h.job.Labels, v1alpha1.AdvanceOnLabel) },
		"the watch has shown nothing":      func(h *handOver) { h.facts.PodSucceeded = false },
		"suspended":                        func(h *handOver) { h.sj.Spec.Suspend = &yes },
		"out of time":                      func(h *handOver) { h.sj.Spec.ActiveDeadlineSeconds = new(int64(60)) },
		"the pods cannot be listed": func(h *handOver) {
			h.refuse = func(a sequence.Action) sequence.Refusal {
				if a.Request == sequence.ListJobPods {
					return sequence.Refusal{Class: sequence.Denied}
				}
				return sequence.Refusal{}
			}
		},

		"no pod":                   func(h *handOver) { h.pods = nil },
		"another pod":              func(h *handOver) { h.pods = append(h.pods, succeededPod(h.job)) },
		"a pod of somebody else":   func(h *handOver) { h.pods[0].OwnerReferences[0].UID = "uid-other" },
		"a pod of nobody":          func(h *handOver) { h.pods[0].OwnerReferences = nil },
		"the pod still runs":       func(h *handOver) { h.pods[0].Status.Phase = corev1.PodRunning },
		"the pod failed":           func(h *handOver) { h.pods[0].Status.Phase = corev1.PodFailed },
		"the pod is being deleted": func(h *handOver) { h.pods[0].DeletionTimestamp = &ended },
		"the pod is not tracked":   func(h *handOver) { h.pods[0].Finalizers = nil },
		"the container restarted":  func(h *handOver) { h.pods[0].Status.ContainerStatuses[0].RestartCount = 1 },
		"an init container did":    func(h *handOver) { h.pods[0].Status.InitContainerStatuses[0].RestartCount = 1 },
		"a container still runs":   func(h *handOver) { h.pods[0].Status.ContainerStatuses[0].State = corev1.ContainerState{} },
		"a sidecar still runs":     func(h *handOver) { h.pods[0].Status.InitContainerStatuses[0].State = corev1.ContainerState{} },
		"an ephemeral container does": func(h *handOver) {
			h.pods[0].Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "debug"}}
		},

		"the Job is being deleted": func(h *handOver) { terminating(h.job) },
		"the Job is suspended":     func(h *handOver) { suspended(h.job) },
		"it is about to be":        func(h *handOver) { withCondition(batchv1.JobSuspended, corev1.ConditionTrue, "", "")(h.job) },
		"it was once":              func(h *handOver) { withCondition(batchv1.JobSuspended, corev1.ConditionFalse, "", "")(h.job) },
		"it has a queue":           func(h *handOver) { h.job.Labels["kueue.x-k8s.io/queue-name"] = "q" },
		"it is about to fail":      func(h *handOver) { withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "", "")(h.job) },
		"a pod of it has failed":   func(h *handOver) { h.job.Status.Failed = 1 },
		"so has one not yet counted": func(h *handOver) {
			h.job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Failed: []types.UID{"x"}}
		},
		"a pod of it is being stopped":  func(h *handOver) { h.job.Status.Terminating = new(int32(1)) },
		"its deadline has passed":       func(h *handOver) { h.job.Spec.ActiveDeadlineSeconds = new(int64(3600)) },
		"so it may have, not started":   func(h *handOver) { h.job.Spec.ActiveDeadlineSeconds, h.job.Status.StartTime = new(int64(3600)), nil },
		"it runs two pods at once":      func(h *handOver) { h.job.Spec.Parallelism = new(int32(2)) },
		"it needs two pods":             func(h *handOver) { h.job.Spec.Completions = new(int32(2)) },
		"it is indexed":                 func(h *handOver) { h.job.Spec.CompletionMode = new(batchv1.IndexedCompletion) },
		"it has a policy of success":    func(h *handOver) { h.job.Spec.SuccessPolicy = &batchv1.SuccessPolicy{} },
		"it selects its pods by itself": func(h *handOver) { h.job.Spec.ManualSelector = &yes },
		"it is run by another":          func(h *handOver) { h.job.Spec.ManagedBy = &other },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandOver()
			spoil(h)
			turn := h.play()
			if turn.Create != nil || turn.Status.Steps[0].State != v1alpha1.StepRunning || slices.ContainsFunc(turn.Events, isCompletion) {
				t.Errorf("%+v", outcomeOf(turn))
			}
		})
	}
}

func TestAJobThatWeSuspendIsNoLongerAdvancedByItsPod(t *testing.T) {
	h := newHandOver()
	h.facts.PodSucceeded, h.sj.Spec.Suspend = false, new(true)
	turn := h.play()
	want := map[string]string{v1alpha1.AdvanceOnLabel: "JobComplete"}
	if turn.Change == nil || !*turn.Change.Suspend {
		t.Fatalf("%+v", turn)
	}
	if diff := cmp.Diff(want, turn.Change.Labels); diff != "" {
		t.Error(diff)
	}
}

func TestWhatLeavesNoDoubt(t *testing.T) {
	controller := batchv1.JobControllerName
	for name, change := range map[string]func(*handOver){
		"counted": func(h *handOver) { h.pods[0].Finalizers, h.job.Status.Succeeded = nil, 1 },
		"about to be counted": func(h *handOver) {
			h.pods[0].Finalizers = nil
			h.job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"uid-pod"}}
		},
		"as the API server sets it": func(h *handOver) {
			h.job.Spec.Parallelism, h.job.Spec.Completions = new(int32(1)), new(int32(1))
			h.job.Spec.CompletionMode, h.job.Spec.Suspend = new(batchv1.NonIndexedCompletion), new(false)
			h.job.Spec.ManualSelector, h.job.Spec.ManagedBy = new(false), &controller
		},
		"in time": func(h *handOver) { h.job.Spec.ActiveDeadlineSeconds = new(int64(3601)) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandOver()
			if change(h); h.play().Create == nil {
				t.Error("the next step waits")
			}
		})
	}
}

func isCompletion(event sequence.Event) bool { return event.Reason == v1alpha1.ReasonJobCompleted }
