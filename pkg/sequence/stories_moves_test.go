package sequence_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// storyMove is one thing that can happen in a story.
type storyMove struct {
	pattern *regexp.Regexp
	happen  func(s *teller, args []string)
}

func storyMoveOf(pattern string, happen func(s *teller, args []string)) storyMove {
	return storyMove{regexp.MustCompile("^" + pattern + "$"), happen}
}

// happen lets what a line says happen.
func (s *teller) happen(line string) {
	s.t.Helper()
	for _, move := range storyMoves {
		if args := move.pattern.FindStringSubmatch(line); args != nil {
			move.happen(s, args[1:])
			return
		}
	}
	s.t.Fatalf("unknown: %q", line)
}

var storyMoves = []storyMove{
	// Users.
	storyMoveOf(`user creates (.+?)( with (.+))?`, func(s *teller, args []string) {
		sj := newSequence(strings.Split(args[0], ", ")...)
		for _, setting := range strings.Split(args[2], ", ") {
			s.set(&sj.Spec, setting)
		}
		s.apply(sj)
	}),
	storyMoveOf(`user renames step (\d+) to (\S+)`, func(s *teller, args []string) {
		s.changeSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Containers[number(args[0])].Name = args[1] })
	}),
	storyMoveOf(`user sets image of step (\d+) to (\S+)`, func(s *teller, args []string) {
		s.changeSpec(func(spec *v1alpha1.SequentialJobSpec) { spec.Containers[number(args[0])].Image = args[1] })
	}),
	storyMoveOf(`user sets (.+)`, func(s *teller, args []string) {
		s.changeSpec(func(spec *v1alpha1.SequentialJobSpec) { s.set(spec, args[0]) })
	}),
	storyMoveOf(`user deletes the SequentialJob( and leaves its Jobs alone)?`, func(s *teller, args []string) { s.deleteSJ(args[0] != "") }),
	storyMoveOf(`user deletes Job (\S+)`, func(s *teller, args []string) { s.removeJob(args[0], true) }),
	storyMoveOf(`somebody creates Job (\S+)`, func(s *teller, args []string) {
		s.keepJob(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: args[0], UID: "uid-foreign"}})
	}),
	storyMoveOf(`somebody removes Job (\S+)`, func(s *teller, args []string) { s.removeJob(args[0], false) }),
	storyMoveOf(`a replace takes the finalizer off`, func(s *teller, _ []string) { s.dropFinalizer(v1alpha1.CleanupFinalizer) }),
	storyMoveOf(`somebody takes the labels off (\S+)`, func(s *teller, args []string) { s.takeLabels(args[0]) }),
	storyMoveOf(`somebody takes the owner off (\S+)`, func(s *teller, args []string) { s.takeOwner(args[0]) }),
	storyMoveOf(`a policy sets activeDeadlineSeconds (\d+) on (\S+)`, func(s *teller, args []string) {
		s.changeAnyJob(args[1], func(job *batchv1.Job) { job.Spec.ActiveDeadlineSeconds = new(int64(number(args[0]))) })
	}),

	// A queue.
	storyMoveOf(`queue "(.+)" takes (\S+)`, func(s *teller, args []string) {
		s.changeAnyJob(args[1], func(job *batchv1.Job) { job.Labels["kueue.x-k8s.io/queue-name"] = args[0] })
		s.queueSuspends(args[1], true)
	}),
	storyMoveOf(`the queue admits (\S+)`, func(s *teller, args []string) { s.queueSuspends(args[0], false) }),

	// The Job controller, and pods.
	storyMoveOf(`(\S+) is started`, func(s *teller, args []string) { s.startJob(args[0]) }),
	storyMoveOf(`(\S+) has (a|no) ready pod`, func(s *teller, args []string) {
		ready := int32(0)
		if args[1] == "a" {
			ready = 1
		}
		if before := s.jobs[args[0]].Status.Ready; ready == 0 && before != nil && *before > 0 {
			s.unready = s.clock
		}
		s.changeAnyJob(args[0], func(job *batchv1.Job) { job.Status.Ready, job.Status.Active = &ready, 1 })
	}),
	storyMoveOf(`a pod of (\S+) succeeds`, func(s *teller, args []string) {
		s.changeAnyJob(args[0], withCondition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "CompletionsReached", ""))
	}),
	storyMoveOf(`(\S+) is about to fail with (\S+)`, func(s *teller, args []string) {
		s.changeAnyJob(args[0], withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, args[1], ""))
	}),
	storyMoveOf(`(\S+) completes`, func(s *teller, args []string) { s.completeJob(args[0]) }),
	storyMoveOf(`(\S+) completes and its time to live is over at once`, func(s *teller, args []string) {
		s.completeJob(args[0])
		s.removeJob(args[0], false)
	}),
	storyMoveOf(`(\S+) fails with (\S+)`, func(s *teller, args []string) { s.failJob(args[0], args[1]) }),
	storyMoveOf(`the pods of (\S+) end`, func(s *teller, args []string) {
		for uid, record := range s.ledger {
			if record.name == args[0] {
				delete(s.left, uid)
			}
		}
	}),
	storyMoveOf(`a pod of (\S+) is lost`, func(s *teller, _ []string) { s.podLost = true }),
	storyMoveOf(`the pod of (\S+): succeeded(.*)`, (*teller).setSucceededPod),
	storyMoveOf(`the pod of (\S+): (.+)`, (*teller).setPod),
	storyMoveOf(`(\S+) counts its pod`, func(s *teller, args []string) {
		s.changeAnyJob(args[0], func(job *batchv1.Job) { job.Status.Succeeded = 1 })
	}),
	storyMoveOf(`(\S+) is suspended by hand`, func(s *teller, args []string) { s.queueSuspends(args[0], true) }),
	storyMoveOf(`(\S+) is resumed by hand`, func(s *teller, args []string) {
		s.queueSuspends(args[0], false)
		s.changeAnyJob(args[0], withCondition(batchv1.JobSuspended, corev1.ConditionFalse, "JobResumed", ""))
	}),
	storyMoveOf(`garbage is collected`, func(s *teller, _ []string) { s.collectGarbage() }),
	storyMoveOf(`(\S+) pass(?:es)?`, func(s *teller, args []string) {
		d, err := time.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.passTime(d)
	}),

	// The API server.
	storyMoveOf(`the next (.+) is refused as (.+?): (.+)`, func(s *teller, args []string) {
		answer := refusedAs(sequence.Class(args[1]))
		answer.Refusal.Message = args[2]
		s.refuse[sequence.Request(args[0])] = answer
	}),
	storyMoveOf(`every (.+) is refused as (.+?): (.+)`, func(s *teller, args []string) {
		answer := refusedAs(sequence.Class(args[1]))
		answer.Refusal.Message, answer.Refusal.Causes = args[2], []metav1.StatusCause{{Message: args[2]}}
		s.refuseAll[sequence.Request(args[0])] = answer
	}),
	storyMoveOf(`every (.+) passes again`, func(s *teller, args []string) { delete(s.refuseAll, sequence.Request(args[0])) }),
	storyMoveOf(`the answer to the next (.+) is lost`, func(s *teller, args []string) { s.loseAnswer = sequence.Request(args[0]) }),

	// The controller.
	storyMoveOf(`the controller works`, func(s *teller, _ []string) { s.work() }),
	storyMoveOf(`the controller crashes before it can (.+)`, func(s *teller, args []string) {
		s.crashAt = sequence.Request(args[0])
		s.work()
	}),
	storyMoveOf(`the controller starts again`, func(s *teller, _ []string) { s.process.restart(s.world) }),
}

// set sets a field of the spec: "retries 1", "suspend true", "no activeDeadlineSeconds".
func (s *teller) set(spec *v1alpha1.SequentialJobSpec, setting string) {
	name, value, _ := strings.Cut(setting, " ")
	switch name {
	case "":
	case "no":
		spec.ActiveDeadlineSeconds = nil
	case "suspend":
		spec.Suspend = new(value == "true")
	case "cancel":
		spec.Cancel = new(value == "true")
	case "finally":
		spec.Finally = newSequence(strings.Fields(value)...).Spec.Containers
	case "retries":
		spec.Retries = new(int32(number(value))) //nolint:gosec // a handful
	case "activeDeadlineSeconds":
		spec.ActiveDeadlineSeconds = new(int64(number(value)))
	case "advanceOn":
		spec.AdvanceOn = new(v1alpha1.AdvanceOn(value))
	case "ttlSecondsAfterFinished":
		spec.TTLSecondsAfterFinished = new(int32(number(value))) //nolint:gosec // a handful
	default:
		if !setOverride(spec, name, value) {
			s.t.Fatalf("unknown setting %q", setting)
		}
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// setPod makes one pod all that is to be seen of the pods of a Job.
func (s *teller) setPod(args []string) {
	job := s.jobs[args[0]]
	step := job.Labels[v1alpha1.StepNameLabel]
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: args[0] + "-x", UID: "uid-pod", CreationTimestamp: metav1.NewTime(s.clock)}}
	pod.Spec.NodeName, pod.Status.Phase = "node-1", corev1.PodRunning
	pod.Spec.Containers = []corev1.Container{{Name: step}}
	terminated := func(code string, words string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: int32(number(code)), Message: words}} //nolint:gosec // an exit code
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	var match []string
	is := func(pattern string) bool {
		match = regexp.MustCompile("^" + pattern + "$").FindStringSubmatch(args[1])
		return match != nil
	}
	switch {
	case is(`runs`):
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: step, State: running}}
	case is(`no node fits`):
		pod.Spec.NodeName, pod.Status.Phase = "", corev1.PodPending
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no node fits"}}
	case is(`init container (\S+) runs`):
		pod.Status.Phase = corev1.PodPending
		pod.Spec.InitContainers = []corev1.Container{{Name: match[1]}}
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: match[1], State: running}}
	case is(`is gone`):
		s.pods = map[string][]corev1.Pod{args[0]: nil}
		return
	case is(`restarted (\d+) times after code (\d+) "(.*?)"( and is being deleted)?`):
		if match[4] != "" {
			pod.DeletionTimestamp = new(metav1.NewTime(s.clock))
		}
		pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: step, RestartCount: int32(number(match[1])), State: terminated(match[2], match[3]), //nolint:gosec // a handful
		}}
	case is(`failed with code (\d+) "(.*)"`):
		pod.Status.Phase = corev1.PodFailed
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: step, State: terminated(match[1], match[2])}}
	case is(`ended with code (\d+), and (\S+) still runs`):
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: step, State: terminated(match[1], "")}, {Name: match[2], State: running}}
	case is(`is being deleted and has (\d+) s to stop`):
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = new(metav1.NewTime(s.clock)), new(int64(number(match[1])))
	default:
		panic(fmt.Sprintf("unknown state of a pod: %q", args[1]))
	}
	s.pods = map[string][]corev1.Pod{args[0]: {pod}}
}
