package sequence_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/sequence"
)

func TestPodsAreLookedAtOnlyAfterAWhileWithoutAReadyOne(t *testing.T) {
	started := func(job *batchv1.Job) { job.Status.StartTime = new(metav1.NewTime(now)) }
	ready := func(job *batchv1.Job) { job.Status.Ready = new(int32(1)) }
	for name, tc := range map[string]struct {
		options []jobOption
		after   time.Duration
		inspect bool
		again   time.Duration
	}{
		"just started":                  {[]jobOption{started}, time.Second, false, 9 * time.Second},
		"for a while":                   {[]jobOption{started}, 10 * time.Second, true, 10 * time.Second},
		"for longer":                    {[]jobOption{started}, time.Minute, true, 30 * time.Second},
		"for very long":                 {[]jobOption{started}, time.Hour, true, time.Minute},
		"a ready pod":                   {[]jobOption{started, ready}, time.Hour, false, 0},
		"not started by its controller": {nil, time.Hour, true, time.Minute},
		"suspended":                     {[]jobOption{started, suspended}, time.Hour, false, 0},
		"complete":                      {[]jobOption{started, complete}, time.Hour, false, 0},
		"a clock that was set back":     {[]jobOption{started}, -time.Hour, false, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			plan := sequence.Next(sj, []*batchv1.Job{jobOf(sj, 0, tc.options...)}, now.Add(tc.after))
			if (plan.Inspect != nil) != tc.inspect || plan.LookAgain != tc.again {
				t.Errorf("inspect %v, look again after %v, want %v and %v", plan.Inspect, plan.LookAgain, tc.inspect, tc.again)
			}
		})
	}
}

func pendingPod(change func(*corev1.Pod)) corev1.Pod {
	out := pod()
	out.UID, out.Status.Phase = "uid-pod", corev1.PodPending
	change(&out)
	return out
}

func waiting(container, reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: container, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}
	}
}

func warningAbout(uid types.UID, at int, reason, message string) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{UID: uid}, Type: corev1.EventTypeWarning, Reason: reason, Message: message,
		LastTimestamp: metav1.NewTime(now.Add(time.Duration(at) * time.Second)),
	}
}

func TestWhyNotRunning(t *testing.T) {
	unscheduled := pendingPod(func(pod *corev1.Pod) {
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available",
		}}
	})
	crashing := pendingPod(waiting("extract", "CrashLoopBackOff", "back-off 10s"))
	crashing.Status.Phase = corev1.PodRunning
	crashing.Status.ContainerStatuses[0].LastTerminationState = exited("extract", 2, "Error", "no such table", 1).State
	stopping := pendingPod(func(pod *corev1.Pod) {
		pod.DeletionTimestamp, pod.Spec.NodeName, pod.Status.Phase = new(metav1.Now()), "worker-3", corev1.PodRunning
	})
	ended := pod(exited("extract", 2, "Error", "no such table", 1))
	starting := pendingPod(func(*corev1.Pod) {})
	starting.Status.Phase = corev1.PodRunning
	creating := pendingPod(waiting("extract", "ContainerCreating", ""))
	initialising := pendingPod(waiting("extract", "PodInitializing", ""))
	initialising.Status.InitContainerStatuses = []corev1.ContainerStatus{{
		Name: "fetch", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}},
	}}
	const forbidden = `Error creating: pods "etl-0-x7k2p" is forbidden: violates PodSecurity "restricted:latest"`

	for name, tc := range map[string]struct {
		started bool
		pods    []corev1.Pod
		events  []corev1.Event
		want    sequence.Cause
	}{
		"no node fits": {true, []corev1.Pod{unscheduled}, nil,
			sequence.Cause{Reason: "PodNotStarted", Message: "Unschedulable: 0/3 nodes are available"}},
		"the image is not there": {true, []corev1.Pod{pendingPod(waiting("extract", "ErrImagePull", "not found"))}, nil,
			sequence.Cause{Reason: "PodNotStarted", Message: `ErrImagePull: container "extract": not found`}},
		"the image of a helper is not there": {true, []corev1.Pod{initialising}, nil,
			sequence.Cause{Reason: "PodNotStarted", Message: `ErrImagePull: container "fetch": not found`}},
		"a volume is not there": {true, []corev1.Pod{creating},
			[]corev1.Event{
				warningAbout("uid-pod", 1, "FailedMount", `secret "first" not found`),
				warningAbout("uid-pod", 3, "FailedMount", `secret "db" not found`),
				warningAbout("uid-pod", 2, "FailedMount", `secret "second" not found`),
				warningAbout("uid-other", 9, "FailedMount", "another pod's"),
				{InvolvedObject: corev1.ObjectReference{UID: "uid-pod"}, Type: corev1.EventTypeNormal, Reason: "Pulling",
					LastTimestamp: metav1.NewTime(now.Add(time.Hour))},
			},
			sequence.Cause{Reason: "PodNotStarted", Message: `FailedMount: secret "db" not found`}},
		"a pod that only takes its time": {true, []corev1.Pod{creating}, nil, sequence.Cause{}},
		"a pod that runs":                {true, []corev1.Pod{starting}, nil, sequence.Cause{}},
		"a container that crashes in place": {true, []corev1.Pod{crashing}, nil, sequence.Cause{Reason: "PodNotStarted",
			Message: `CrashLoopBackOff: container "extract": back-off 10s; container "extract" exited with code 2: no such table`}},
		"a pod on a node that is lost": {true, []corev1.Pod{stopping}, nil, sequence.Cause{Reason: "PodNotStarted",
			Message: "Terminating: pod etl-1-x7k2p is being deleted and has not ended yet (node worker-3)"}},
		"pods are refused": {true, nil, []corev1.Event{warningAbout("uid-job-0", 1, "FailedCreate", forbidden)},
			sequence.Cause{Reason: "PodNotStarted",
				Message: `FailedCreate: Error creating: pods "etl-0-*" is forbidden: violates PodSecurity "restricted:latest"`}},
		"pods fail and the Job tries again": {true, []corev1.Pod{ended}, nil, sequence.Cause{Reason: "PodFailed",
			Message: `the Job tries again: container "extract" exited with code 2: no such table`}},
		"the latest pod counts": {true, []corev1.Pod{ended, unscheduled}, nil,
			sequence.Cause{Reason: "PodNotStarted", Message: "Unschedulable: 0/3 nodes are available"}},
		"the Job is not taken up": {false, nil, nil,
			sequence.Cause{Reason: "PodNotStarted", Message: "NotAcknowledged: the Job controller has not started the Job yet"}},
		"nothing is known": {true, nil, nil, sequence.Cause{}},
	} {
		t.Run(name, func(t *testing.T) {
			job := jobOf(newSequence("extract"), 0)
			if tc.started {
				job.Status.StartTime = new(metav1.NewTime(now))
			}
			if diff := cmp.Diff(tc.want, sequence.WhyNotRunning(job, tc.pods, tc.events)); diff != "" {
				t.Errorf("unexpected cause (-want +got):\n%s", diff)
			}
		})
	}
}

// stuck lets the controller find that cause, time and again.
func (s *story) stuck(cause sequence.Cause) *story {
	s.t.Helper()
	s.job("etl-0").Status.Ready = new(int32(0))
	for range 3 {
		s.after(time.Minute)
		plan := sequence.Next(s.sj, s.jobs, s.now).Stuck(s.sj, cause, metav1.NewTime(s.now))
		for _, event := range plan.Events {
			s.told = append(s.told, event.Type+" "+event.Reason+": "+event.Message)
		}
		s.sj.Status = plan.Status
	}
	return s
}

func TestWhatKeepsAStepIsToldOnceAndClearsItself(t *testing.T) {
	s := tell(t, "extract").work()
	s.told = nil
	notStarted := func(message string) sequence.Cause {
		return sequence.Cause{Reason: "PodNotStarted", Message: message}
	}
	const subject = "Job 0 (extract) has no running pod: "
	s.stuck(sequence.Cause{}).want("Running", "True JobStarted: Started job 0").wantEvents()

	s.stuck(notStarted("Unschedulable: 0/3 nodes")).want("Running", "True PodNotStarted: "+subject+"Unschedulable: 0/3 nodes").
		wantEvents("Warning PodNotStarted: " + subject + "Unschedulable: 0/3 nodes")
	s.stuck(notStarted("Unschedulable: 0/4 nodes")).want("Running", "True PodNotStarted: "+subject+"Unschedulable: 0/4 nodes").wantEvents()

	s.stuck(notStarted("ErrImagePull: not found")).want("Running", "True PodNotStarted: "+subject+"ErrImagePull: not found").
		wantEvents("Warning PodNotStarted: " + subject + "ErrImagePull: not found")
	s.stuck(notStarted("ImagePullBackOff: back-off")).want("Running", "True PodNotStarted: "+subject+"ErrImagePull: not found").wantEvents()

	s.stuck(sequence.Cause{}).want("Running", "True PodNotStarted: "+subject+"ErrImagePull: not found").wantEvents()
	s.job("etl-0").Status.Ready = new(int32(1))
	s.work().want("Running", "True JobStarted: Started job 0").wantEvents()

	const tried = "Job 0 (extract) had a pod that failed: "
	s.stuck(sequence.Cause{Reason: "PodFailed", Message: "exit code 2"}).want("Running", "True PodFailed: "+tried+"exit code 2").
		wantEvents("Warning PodFailed: " + tried + "exit code 2")
	s.job("etl-0").Status.Ready = new(int32(1))
	s.work().want("Running", "True PodFailed: "+tried+"exit code 2").wantEvents()
	s.end("etl-0", complete).want("Completed", "False Completed: The only step completed successfully")
}

func TestStuckIsBounded(t *testing.T) {
	s := tell(t, "extract").work()
	long := make([]byte, 100000)
	for i := range long {
		long[i] = 'x'
	}
	s.stuck(sequence.Cause{Reason: "PodNotStarted", Message: "FailedMount: " + string(long)})
	for _, c := range s.sj.Status.Conditions {
		if len(c.Message) > 1024 {
			t.Errorf("condition %s has a message of %d bytes", c.Type, len(c.Message))
		}
	}
}
