package sequence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/sequence"
)

// slow stands for the look at a sequence in which nothing seems to happen: every 3 to 5 minutes.
const slow = time.Duration(-1)

func isSlow(again time.Duration) bool { return again >= 3*time.Minute && again < 5*time.Minute }

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
		"a ready pod":                   {[]jobOption{started, ready}, time.Hour, false, slow},
		"not started by its controller": {nil, time.Hour, true, time.Minute},
		"suspended":                     {[]jobOption{started, suspended}, time.Hour, false, slow},
		"complete: the next one starts": {[]jobOption{started, complete}, time.Hour, false, 10 * time.Second},
		"a clock that was set back":     {[]jobOption{started}, -time.Hour, false, 10 * time.Second},
		"it is about to be complete": {[]jobOption{started,
			withCondition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "CompletionsReached", "")}, time.Hour, false, slow},
		"a pod succeeded": {[]jobOption{started, func(job *batchv1.Job) { job.Status.Succeeded = 1 }}, time.Hour, false, slow},
		"a pod succeeded and is not counted yet": {[]jobOption{started, func(job *batchv1.Job) {
			job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"uid-pod"}}
		}}, time.Hour, false, slow},
		"a pod failed and is not counted yet": {[]jobOption{started, func(job *batchv1.Job) {
			job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Failed: []types.UID{"uid-pod"}}
		}}, time.Hour, true, time.Minute},
		"it fails at once": {[]jobOption{started,
			withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "BackoffLimitExceeded", "")}, time.Second, true, slow},
		"it is deleted": {[]jobOption{started, ready, terminating}, time.Second, true, slow},
	} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			turn := turnOf(sj, []*batchv1.Job{jobOf(sj, 0, tc.options...)}, now.Add(tc.after))
			inspect := slices.Contains(turn.Requests, "list pods of Job")
			again := turn.Last.LookAgain == tc.again || tc.again == slow && isSlow(turn.Last.LookAgain)
			if inspect != tc.inspect || !again {
				t.Errorf("requests %q, look again after %v, want %v and %v", turn.Requests, turn.Last.LookAgain, tc.inspect, tc.again)
			}
		})
	}
}

// Each sequence that is not over is looked at again, at a time of its own.
func TestASequenceIsLookedAtAgainUntilItIsOver(t *testing.T) {
	waits := map[time.Duration]bool{}
	for _, uid := range []types.UID{"a", "b", "c", "d", "e", "f"} {
		sj := newSequence("extract")
		sj.UID = uid
		turn := turnOf(sj, []*batchv1.Job{jobOf(sj, 0, running)}, now)
		if !isSlow(turn.Last.LookAgain) {
			t.Errorf("it is looked at again after %v", turn.Last.LookAgain)
		}
		waits[turn.Last.LookAgain] = true
	}
	if len(waits) < 3 {
		t.Errorf("they come all at once: %v", waits)
	}
	if turn := turnOf(nthRuns(2), []*batchv1.Job{jobOf(newSequence("", "", "load"), 2, complete)}, now); turn.Last.LookAgain != 0 {
		t.Errorf("it is over, and looked at again: %+v", turn.Last)
	}
}

// A cache that lacks the Job, because our labels were taken off, gets no events of it.
func TestAJobThatIsNotCachedIsLookedAtOften(t *testing.T) {
	sj := nthRuns(0)
	api := &server{jobs: []*batchv1.Job{jobOf(sj, 0, running)}}
	turn, _ := api.play(sequence.Facts{Now: now, SequentialJob: sj})
	if diff := cmp.Diff([]string{"read Job"}, turn.Requests); diff != "" || turn.Last.LookAgain != time.Minute {
		t.Errorf("look again after %v, requests (-want +got):\n%s", turn.Last.LookAgain, diff)
	}
}

// A wait counts from when a ready pod was needed last: from the start, the resume, or the loss of one that was ready.
func TestAWaitCountsFromTheResumeAndFromTheLossOfAReadyPod(t *testing.T) {
	s := tell(t, "extract").work().after(time.Hour).edit(suspend).after(12 * time.Second)
	s.job("etl-0").Status.Ready = nil
	s.edit(resume)
	s.job("etl-0").Status.Ready = nil
	s.told = nil
	s.after(9 * time.Second).work().wantEvents()
	if slices.Contains(s.last.Requests, "list pods of Job") || s.last.Last.LookAgain != time.Second {
		t.Errorf("9 s after the resume: %q, %+v", s.last.Requests, s.last.Last)
	}

	sj := nthRuns(0)
	job := jobOf(sj, 0, running, func(job *batchv1.Job) { job.Status.Ready = new(int32(0)) })
	for lost, inspect := range map[time.Duration]bool{9 * time.Second: false, 10 * time.Second: true} {
		api := &server{jobs: []*batchv1.Job{job}}
		turn, _ := api.play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: api.jobs, Unready: now.Add(-lost)})
		if slices.Contains(turn.Requests, "list pods of Job") != inspect {
			t.Errorf("%v after the pod was no longer ready: %q", lost, turn.Requests)
		}
	}
}

func ready(n int32) jobOption {
	return func(job *batchv1.Job) { job.Status.Ready = &n }
}

// stuck lets the controller look at these pods, time and again.
func (s *story) stuck(pods ...corev1.Pod) *story {
	s.t.Helper()
	ready(0)(s.job("etl-0"))
	s.pods = pods
	for range 3 {
		s.after(time.Minute).work()
	}
	return s
}

func TestWhatKeepsAStepIsToldOnceAndClearsItself(t *testing.T) {
	s := tell(t, "extract").work()
	s.told = nil
	const subject = "Job 0 (extract) has no running pod: "
	runs := pendingPod(func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodRunning })
	s.stuck(runs).want("Running", "True JobStarted: Started job 0").wantEvents()

	s.stuck(unschedulable("0/3 nodes")).want("Running", "True PodNotStarted: "+subject+"Unschedulable: 0/3 nodes").
		wantEvents("PodNotStarted: " + subject + "Unschedulable: 0/3 nodes")
	s.stuck(unschedulable("0/4 nodes")).want("Running", "True PodNotStarted: "+subject+"Unschedulable: 0/4 nodes").wantEvents()

	const pull, backOff = `ErrImagePull: container "extract": not found`, `ImagePullBackOff: container "extract": back-off`
	s.stuck(pendingPod(waiting("extract", "ErrImagePull", "not found"))).want("Running", "True PodNotStarted: "+subject+pull).
		wantEvents("PodNotStarted: " + subject + pull)
	s.stuck(pendingPod(waiting("extract", "ImagePullBackOff", "back-off"))).want("Running", "True PodNotStarted: "+subject+pull).wantEvents()
	s.stuck(runs).want("Running", "True JobStarted: Started job 0").wantEvents()
	s.stuck(pendingPod(waiting("extract", "ImagePullBackOff", "back-off"))).want("Running", "True PodNotStarted: "+subject+backOff).
		wantEvents("PodNotStarted: " + subject + backOff)

	ready(1)(s.job("etl-0"))
	s.work().want("Running", "True JobStarted: Started job 0").wantEvents()

	const tried = `Job 0 (extract) had a pod that failed: the Job tries again: container "extract" exited with code 2: no such table`
	s.stuck(pod(exited("extract", 2, "Error", "no such table", 1))).want("Running", "True PodFailed: "+tried).
		wantEvents("PodFailed: " + tried)
	ready(1)(s.job("etl-0"))
	s.work().want("Running", "True JobStarted: Started job 0").wantEvents()
	s.end("etl-0", complete).want("Completed", "False Completed: The only step completed successfully")
}

func TestAnInitContainerThatRunsIsNamed(t *testing.T) {
	s := tell(t, "extract").work()
	s.told = nil
	s.stuck(pendingPod(initRuns("wait-for-db"))).want("Running", `True JobStarted: Started job 0: init container "wait-for-db" runs`)
	s.stuck(pendingPod(initRuns("migrate"))).want("Running", `True JobStarted: Started job 0: init container "migrate" runs`)
	ready(1)(s.job("etl-0"))
	s.work().want("Running", "True JobStarted: Started job 0").wantEvents()
}

func TestWhatIsSaidOfPodsIsBounded(t *testing.T) {
	s := tell(t, "extract").work()
	s.stuck(unschedulable(strings.Repeat("x", 100000)))
	for _, c := range s.sj.Status.Conditions {
		if len(c.Message) > 1024 {
			t.Errorf("condition %s has a message of %d bytes", c.Type, len(c.Message))
		}
	}
	for _, told := range s.told {
		if len(told) > len("PodNotStarted: ")+1024 {
			t.Errorf("an event has %d bytes", len(told))
		}
	}
}

// What cannot be found out now keeps what is known, and costs nothing but another look.
func TestListsThatAreRefusedChangeNothing(t *testing.T) {
	s := tell(t, "extract").work().stuck(unschedulable("0/3 nodes"))
	status := s.sj.Status.DeepCopy()
	for _, request := range []sequence.Request{sequence.ListJobPods, sequence.ListEvents} {
		for _, class := range []sequence.Class{sequence.Unavailable, sequence.PutOff, sequence.Denied} {
			s.refuse = func(a sequence.Action) sequence.Refusal {
				if a.Request != request {
					return sequence.Refusal{}
				}
				return sequence.Refusal{Class: class, Message: "busy"}
			}
			s.told = nil
			if s.work().wantEvents(); s.last.Last.TryAgain || s.last.Last.LookAgain != time.Minute {
				t.Errorf("%s %s: it ends with %+v", request, class, s.last.Last)
			}
			if diff := cmp.Diff(status, &s.sj.Status); diff != "" {
				t.Errorf("%s %s changed the status:\n%s", request, class, diff)
			}
		}
	}
}
