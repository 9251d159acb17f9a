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

// pendingPod returns a pod of step 0 that has not ended.
func pendingPod(changes ...func(*corev1.Pod)) corev1.Pod {
	out := podIn(corev1.PodPending)
	out.UID = "uid-pod"
	for _, change := range changes {
		change(&out)
	}
	return out
}

func waiting(container, reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		})
	}
}

func runs(container string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodRunning
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
}

func exits(container string, code int32, restarts int32) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodRunning
		status := exited(container, code, "Error", "no such table", 1)
		status.RestartCount = restarts
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status)
	}
}

func initRuns(container string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: container})
		pod.Status.InitContainerStatuses = append(pod.Status.InitContainerStatuses, corev1.ContainerStatus{
			Name: container, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
}

// spec gives a pod the container of a step, with a restart policy of its own if it is not empty.
func spec(pod corev1.RestartPolicy, container corev1.ContainerRestartPolicy, rules ...corev1.ContainerRestartRule) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.RestartPolicy = pod
		c := corev1.Container{Name: "extract", RestartPolicyRules: rules}
		if container != "" {
			c.RestartPolicy = &container
		}
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
}

func rule(action corev1.ContainerRestartRuleAction, operator corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) corev1.ContainerRestartRule {
	return corev1.ContainerRestartRule{Action: action,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: operator, Values: codes}}
}

func unschedulable(message string) corev1.Pod {
	return pendingPod(scheduled(corev1.ConditionFalse, "Unschedulable", message, created.Time))
}

func scheduled(status corev1.ConditionStatus, reason, message string, at time.Time) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.PodScheduled, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(at),
		})
	}
}

func older(pod corev1.Pod) corev1.Pod {
	pod.CreationTimestamp = metav1.NewTime(pod.CreationTimestamp.Add(-time.Hour))
	return pod
}

func TestWhyNotReady(t *testing.T) {
	notStarted := func(message string) sequence.Cause {
		return sequence.Cause{Reason: "PodNotStarted", Verb: "has no running pod", Message: message}
	}
	failing := func(message string) sequence.Cause {
		return sequence.Cause{Reason: "PodFailed", Verb: "has a container that fails again and again", Message: message,
			Count: " (restarted 4 times in the same pod)"}
	}
	const (
		always    = corev1.ContainerRestartPolicyAlways
		onFailure = corev1.RestartPolicyOnFailure
		never     = corev1.RestartPolicyNever
		in, notIn = corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn
		restart   = corev1.ContainerRestartRuleActionRestart
		exit2     = `container "extract" exited with code 2: no such table`
	)
	crashes := "CrashLoopBackOff: " + exit2
	isStarting, isActive := func(job *batchv1.Job) { job.Status.StartTime = nil }, func(job *batchv1.Job) { job.Status.Active = 1 }
	crashing := pendingPod(waiting("extract", "CrashLoopBackOff", "back-off 10s"))
	crashing.Status.ContainerStatuses[0].LastTerminationState = exited("extract", 2, "Error", "no such table", 1).State
	refusedAgain := pendingPod(waiting("extract", "CreateContainerError", "no such file"))
	refusedAgain.Status.ContainerStatuses[0].LastTerminationState = exited("extract", 2, "Error", "", 1).State
	sidecar := pendingPod(initRuns("proxy"))
	sidecar.Spec.InitContainers[0].RestartPolicy = new(always)
	sidecar.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "extract"}}
	fetching := pendingPod(waiting("extract", "PodInitializing", ""))
	fetching.Status.InitContainerStatuses = pendingPod(waiting("fetch", "ErrImagePull", "not found")).Status.ContainerStatuses
	stopping := pendingPod(runs("extract"), func(pod *corev1.Pod) {
		pod.DeletionTimestamp, pod.Spec.NodeName = new(metav1.Now()), "worker-3"
	})
	ended := pod(exited("extract", 2, "Error", "no such table", 1))
	tries := sequence.Cause{Reason: "PodFailed", Verb: "had a pod that failed", Message: "the Job tries again: " + exit2}
	stillRuns := sequence.Cause{Reason: "PodStillRunning", Verb: "has ended, and its pod has not",
		Message: `ContainerStillRunning: container "mesh-proxy" still runs in pod etl-0-x7k2p, although the step has exited with code 0: ` +
			"a Job is complete only once all its containers have ended"}

	for name, tc := range map[string]struct {
		job  jobOption
		pods []corev1.Pod
		want sequence.Cause
		// about is whose events may tell more.
		about types.UID
	}{
		"no node fits":            {nil, []corev1.Pod{unschedulable("0/3 nodes are available")}, notStarted("Unschedulable: 0/3 nodes are available"), ""},
		"no node, without a word": {nil, []corev1.Pod{pendingPod(scheduled(corev1.ConditionFalse, "", "", now))}, notStarted("Unschedulable"), ""},
		"the image is not there": {nil, []corev1.Pod{pendingPod(waiting("extract", "ErrImagePull", "not found"))},
			notStarted(`ErrImagePull: container "extract": not found`), ""},
		"the image of a helper is not there": {nil, []corev1.Pod{fetching}, notStarted(`ErrImagePull: container "fetch": not found`), ""},
		"a container cannot be created once more": {nil, []corev1.Pod{refusedAgain},
			notStarted(`CreateContainerError: container "extract": no such file; container "extract" exited with code 2`), ""},
		"a pod that waits for its volumes": {nil, []corev1.Pod{pendingPod(waiting("extract", "ContainerCreating", ""))}, sequence.Cause{}, "uid-pod"},
		"a pod that nobody has seen yet":   {nil, []corev1.Pod{pendingPod()}, sequence.Cause{}, "uid-pod"},
		"a pod that has a node":            {nil, []corev1.Pod{pendingPod(scheduled(corev1.ConditionTrue, "", "", now))}, sequence.Cause{}, "uid-pod"},
		"a pod that runs":                  {nil, []corev1.Pod{pendingPod(runs("extract"))}, sequence.Cause{}, ""},
		"a pod on a node that is lost": {nil, []corev1.Pod{stopping},
			notStarted("Terminating: pod etl-0-x7k2p is being deleted and has not ended yet (node worker-3)"), ""},
		"an init container runs":          {nil, []corev1.Pod{pendingPod(initRuns("wait-for-db"))}, sequence.Cause{Message: `init container "wait-for-db" runs`}, ""},
		"a sidecar runs, and nothing yet": {nil, []corev1.Pod{sidecar}, sequence.Cause{}, "uid-pod"},

		"a container that crashes in place, waiting": {nil, []corev1.Pod{crashing}, sequence.Cause{Reason: "PodFailed",
			Verb: "has a container that fails again and again", Message: crashes}, ""},
		"waiting, without a trace of what ended": {nil, []corev1.Pod{pendingPod(waiting("extract", "CrashLoopBackOff", "back-off 10s"))},
			notStarted(`CrashLoopBackOff: container "extract": back-off 10s`), ""},
		"terminated, as kubelet shows it":         {nil, []corev1.Pod{pendingPod(exits("extract", 2, 4), spec(onFailure, ""))}, failing(crashes), ""},
		"always restarted by its pod":             {nil, []corev1.Pod{pendingPod(exits("extract", 2, 4), spec(corev1.RestartPolicyAlways, ""))}, failing(crashes), ""},
		"restarted by a policy of its own":        {nil, []corev1.Pod{pendingPod(exits("extract", 2, 4), spec(never, corev1.ContainerRestartPolicyOnFailure))}, failing(crashes), ""},
		"not restarted by a policy of its own":    {nil, []corev1.Pod{pendingPod(exits("extract", 2, 4), spec(onFailure, corev1.ContainerRestartPolicyNever))}, sequence.Cause{}, ""},
		"not restarted by its pod":                {nil, []corev1.Pod{pendingPod(exits("extract", 2, 0), spec(never, ""))}, sequence.Cause{}, ""},
		"a pod without a policy":                  {nil, []corev1.Pod{pendingPod(exits("extract", 2, 0), spec("", ""))}, sequence.Cause{}, ""},
		"of a container that the spec has not":    {nil, []corev1.Pod{pendingPod(exits("injected", 2, 0), spec(onFailure, ""))}, sequence.Cause{}, ""},
		"restarted by a rule for its code":        {nil, []corev1.Pod{pendingPod(exits("extract", 2, 4), spec(never, corev1.ContainerRestartPolicyNever, rule(restart, in, 42, 2)))}, failing(crashes), ""},
		"no rule has its code":                    {nil, []corev1.Pod{pendingPod(exits("extract", 2, 4), spec(never, corev1.ContainerRestartPolicyNever, rule(restart, in, 42)))}, sequence.Cause{}, ""},
		"restarted by a rule for all other codes": {nil, []corev1.Pod{pendingPod(exits("extract", 2, 4), spec(never, corev1.ContainerRestartPolicyNever, rule(restart, notIn, 42)))}, failing(crashes), ""},
		"a rule excludes its code":                {nil, []corev1.Pod{pendingPod(exits("extract", 2, 4), spec(never, corev1.ContainerRestartPolicyNever, rule(restart, notIn, 2)))}, sequence.Cause{}, ""},
		"a rule of another kind":                  {nil, []corev1.Pod{pendingPod(exits("extract", 2, 4), spec(never, corev1.ContainerRestartPolicyNever, rule("RestartAllContainers", in, 2), corev1.ContainerRestartRule{Action: restart}))}, sequence.Cause{}, ""},
		"it ended with success":                   {nil, []corev1.Pod{pendingPod(exits("extract", 0, 0), spec(onFailure, ""))}, sequence.Cause{}, ""},

		"an injected container keeps the pod":        {nil, []corev1.Pod{pendingPod(exits("extract", 0, 0), runs("mesh-proxy"))}, stillRuns, ""},
		"an injected container runs beside the step": {nil, []corev1.Pod{pendingPod(runs("extract"), runs("mesh-proxy"))}, sequence.Cause{}, ""},
		"the injected one ended first":               {nil, []corev1.Pod{pendingPod(exits("mesh-proxy", 0, 0), runs("extract"))}, sequence.Cause{}, ""},

		"pods fail and the Job tries again": {nil, []corev1.Pod{ended}, tries, "uid-job-0"},
		"the next one is about to come":     {isActive, []corev1.Pod{ended}, tries, ""},
		"the pod that has not ended counts": {nil, []corev1.Pod{ended, older(unschedulable("0/3 nodes"))}, notStarted("Unschedulable: 0/3 nodes"), ""},
		"the newest counts":                 {nil, []corev1.Pod{older(pendingPod(runs("extract"))), unschedulable("0/3 nodes")}, notStarted("Unschedulable: 0/3 nodes"), ""},
		"the Job is not taken up":           {isStarting, nil, notStarted("NotAcknowledged: the Job controller has not started the Job yet"), "uid-job-0"},
		"nothing is known":                  {nil, nil, sequence.Cause{}, "uid-job-0"},
		"a pod that succeeded":              {isActive, []corev1.Pod{podIn(corev1.PodSucceeded)}, sequence.Cause{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			job := jobOf(newSequence("extract"), 0, func(job *batchv1.Job) { job.Status.StartTime = new(metav1.NewTime(now)) })
			if tc.job != nil {
				tc.job(job)
			}
			cause, about := sequence.WhyNotReady(job, "extract", tc.pods)
			if diff := cmp.Diff(tc.want, cause); diff != "" {
				t.Errorf("unexpected cause (-want +got):\n%s", diff)
			}
			if tc.about == "" && about != nil || tc.about != "" && (about == nil || about.GetUID() != tc.about) {
				t.Errorf("the events of %v may tell more, want those of %q", about, tc.about)
			}
		})
	}
}

func eventAbout(uid types.UID, eventType string, after time.Duration, reason, message string) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{UID: uid}, Type: eventType, Reason: reason, Message: message,
		LastTimestamp: metav1.NewTime(created.Add(after)),
	}
}

func TestWarningsExplainOnlyTheStateThatHolds(t *testing.T) {
	const fails, isNormal = corev1.EventTypeWarning, corev1.EventTypeNormal
	about := func(after time.Duration, reason, message string) corev1.Event {
		return eventAbout("uid-pod", fails, after, reason, message)
	}
	hasNode := func(after time.Duration) corev1.Pod {
		return pendingPod(scheduled(corev1.ConditionTrue, "", "", created.Add(after)), waiting("extract", "ContainerCreating", ""))
	}
	const forbidden = `Error creating: pods "etl-0-x7k2p" is forbidden: violates PodSecurity "restricted:latest"`
	inSeries := about(0, "FailedMount", "again")
	inSeries.Series = &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(created.Add(time.Minute))}
	onlyEventTime := corev1.Event{InvolvedObject: corev1.ObjectReference{UID: "uid-pod"}, Type: fails, Reason: "FailedMount",
		Message: "new style", EventTime: metav1.NewMicroTime(created.Add(time.Minute))}
	onlyCreated := corev1.Event{InvolvedObject: corev1.ObjectReference{UID: "uid-pod"}, Type: fails, Reason: "FailedMount",
		Message: "without times", ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(created.Add(time.Minute))}}

	for name, tc := range map[string]struct {
		pods   []corev1.Pod
		events []corev1.Event
		want   string // "" if nothing is wrong
	}{
		"a volume is not there: the latest counts, about this pod": {
			[]corev1.Pod{pendingPod(waiting("extract", "ContainerCreating", ""))},
			[]corev1.Event{
				about(time.Second, "FailedMount", `secret "first" not found`),
				about(3*time.Second, "FailedMount", `secret "db" not found`),
				about(2*time.Second, "FailedMount", `secret "second" not found`),
				eventAbout("uid-other", fails, 9*time.Second, "FailedMount", "another pod's"),
			},
			`FailedMount: secret "db" not found`,
		},
		"something has gone on since": {
			[]corev1.Pod{pendingPod(waiting("extract", "ContainerCreating", ""))},
			[]corev1.Event{about(time.Second, "FailedMount", "x"), eventAbout("uid-pod", isNormal, time.Minute, "Pulling", "y")}, "",
		},
		"a node was found since":           {[]corev1.Pod{hasNode(time.Minute)}, []corev1.Event{about(30*time.Second, "FailedScheduling", "no node")}, ""},
		"it has a node, and another cause": {[]corev1.Pod{hasNode(time.Minute)}, []corev1.Event{about(time.Minute, "FailedMount", "x")}, "FailedMount: x"},
		"within the second of the node":    {[]corev1.Pod{hasNode(time.Minute + 900*time.Millisecond)}, []corev1.Event{about(time.Minute, "FailedMount", "x")}, "FailedMount: x"},
		"pods are refused": {nil, []corev1.Event{eventAbout("uid-job-0", fails, time.Minute, "FailedCreate", forbidden)},
			`FailedCreate: Error creating: pods "etl-0-*" is forbidden: violates PodSecurity "restricted:latest"`},
		"pods were refused before it was started": {nil, []corev1.Event{eventAbout("uid-job-0", fails, -time.Minute, "FailedCreate", forbidden)}, ""},
		"a warning that goes on":                  {[]corev1.Pod{hasNode(30 * time.Second)}, []corev1.Event{inSeries}, "FailedMount: again"},
		"a warning of the new API":                {[]corev1.Pod{hasNode(30 * time.Second)}, []corev1.Event{onlyEventTime}, "FailedMount: new style"},
		"a warning that has only been created":    {[]corev1.Pod{hasNode(30 * time.Second)}, []corev1.Event{onlyCreated}, "FailedMount: without times"},
		"no warning":                              {[]corev1.Pod{hasNode(0)}, nil, ""},
		"nobody asks if the pods tell":            {[]corev1.Pod{unschedulable("no node")}, []corev1.Event{about(time.Minute, "FailedMount", "x")}, "Unschedulable: no node"},
	} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			job := jobOf(sj, 0, func(job *batchv1.Job) { job.Status.StartTime = created.DeepCopy() })
			turn, _ := (&server{jobs: []*batchv1.Job{job}, pods: tc.pods, events: tc.events}).play(
				sequence.Facts{Now: now, SequentialJob: sj, Jobs: []*batchv1.Job{job}})
			var want []string
			if tc.want != "" {
				want = []string{"Warning PodNotStarted: Job 0 (extract) has no running pod: " + tc.want}
			}
			if diff := cmp.Diff(want, outcomeOf(turn).Events); diff != "" {
				t.Errorf("unexpected events (-want +got), after %q:\n%s", turn.Requests, diff)
			}
		})
	}
}
