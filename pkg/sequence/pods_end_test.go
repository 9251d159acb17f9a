package sequence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func TestAJobThatIsAboutToFailIsReportedOnce(t *testing.T) {
	const noTable = `container "extract" exited with code 3: no such table`
	crash := pendingPod(func(pod *corev1.Pod) {
		pod.Status.Phase, pod.Spec.RestartPolicy = corev1.PodRunning, corev1.RestartPolicyOnFailure
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{exited("extract", 3, "Error", "no such table", 1)}
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = new(metav1.NewTime(now)), new(int64(30))
	})
	runs := pendingPod(func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodRunning })
	for name, tc := range map[string]struct {
		end     jobOption
		pods    []corev1.Pod
		message string
	}{
		"at the limit of restarts, before the pods go": {
			withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "BackoffLimitExceeded", ""), []corev1.Pod{crash},
			"BackoffLimitExceeded: " + noTable + " (pod etl-0-x7k2p has 30 s to stop)",
		},
		"a pod that has not been told yet": {
			withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "DeadlineExceeded", ""), []corev1.Pod{runs}, "DeadlineExceeded",
		},
		"without pods":            {withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "PodFailurePolicy", ""), nil, "PodFailurePolicy"},
		"without a proper reason": {withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "no reason", ""), nil, "JobFailed"},
		"it is being deleted":     {terminating, []corev1.Pod{crash}, "Deleted: " + noTable + " (pod etl-0-x7k2p has 30 s to stop)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, "extract").work().after(time.Hour)
			s.told, s.pods = nil, tc.pods
			tc.end(s.job("etl-0"))
			ready(0)(s.job("etl-0"))
			s.work().want("Running", "True JobEnding: Job 0 (extract) is ending: "+tc.message).wantEvents()
			s.after(time.Hour).work().wantEvents()
			if len(s.last.Requests) > 0 {
				t.Errorf("its pods are asked again: %q", s.last.Requests)
			}
		})
	}
}

// The pods are gone when a Job of restartPolicy OnFailure is Failed: what they said before counts.
func TestLastWordsSurviveThePods(t *testing.T) {
	target := withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "BackoffLimitExceeded", "")
	s := tell(t, "extract").work()
	s.pods = []corev1.Pod{pod(exited("extract", 3, "Error", "no such table: x", 1))}
	target(s.job("etl-0"))
	s.work()
	s.pods, s.told = nil, nil
	const line = `Job 0 (extract) failed: BackoffLimitExceeded: container "extract" exited with code 3: no such table: x`
	s.end("etl-0", failed).want("Failed", "False BackoffLimitExceeded: "+line).wantEvents("JobFailed: " + line)
}

func TestPodsOfAJobThatIsEndingAreAskedAgainIfTheyCouldNotBe(t *testing.T) {
	s := tell(t, "extract").work()
	withCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, "BackoffLimitExceeded", "")(s.job("etl-0"))
	s.pods = []corev1.Pod{pod(exited("extract", 3, "Error", "", 1))}
	s.refuse = func(a sequence.Action) sequence.Refusal {
		if a.Request == sequence.ListJobPods {
			return sequence.Refusal{Class: sequence.Unavailable}
		}
		return sequence.Refusal{}
	}
	if s.work().want("Running", "True JobStarted: Started job 0"); s.last.Last.LookAgain != 10*time.Second {
		t.Errorf("it ends with %+v", s.last.Last)
	}
	s.refuse = nil
	s.work().want("Running", `True JobEnding: Job 0 (extract) is ending: BackoffLimitExceeded: container "extract" exited with code 3`)
}

// lose plays a turn after a pod of the running step was lost.
func lose(sj *v1alpha1.SequentialJob, job *batchv1.Job, pods ...corev1.Pod) turn {
	out, _ := (&server{jobs: []*batchv1.Job{job}, pods: pods}).play(
		sequence.Facts{Now: now, SequentialJob: sj, Jobs: []*batchv1.Job{job}, PodLost: true})
	return out
}

func TestAPodThatIsLostWhileItsStepGoesOnIsTold(t *testing.T) {
	stopping := pendingPod(func(pod *corev1.Pod) {
		pod.Status.Phase, pod.Spec.NodeName = corev1.PodRunning, "node-1"
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = new(metav1.NewTime(now)), new(int64(30))
	})
	for name, tc := range map[string]struct {
		options []jobOption
		pods    []corev1.Pod
		message string // "" if nothing is told
	}{
		"it is being deleted": {nil, []corev1.Pod{stopping},
			"lost a pod: Deleted: pod etl-0-x7k2p is being deleted and has 30 s to stop; the Job replaces it then (node node-1)"},
		"it failed": {nil, []corev1.Pod{pod(exited("extract", 2, "Error", "no such table", 1))},
			`had a pod that failed: the Job tries again: container "extract" exited with code 2: no such table`},
		"it is gone":              {nil, nil, "lost a pod: Deleted: it failed or was deleted, and is gone; the Job replaces it"},
		"another one is ready":    {[]jobOption{running}, nil, "lost a pod: Deleted: it failed or was deleted, and is gone; the Job replaces it"},
		"its Job succeeds":        {[]jobOption{func(job *batchv1.Job) { job.Status.Succeeded = 1 }}, nil, ""},
		"its Job tries no more":   {[]jobOption{running, func(job *batchv1.Job) { job.Spec.BackoffLimit, job.Status.Failed = new(int32(0)), 1 }}, nil, ""},
		"its Job is suspended":    {[]jobOption{suspended}, nil, ""},
		"its Job tries once more": {[]jobOption{running, func(job *batchv1.Job) { job.Spec.BackoffLimit, job.Status.Failed = new(int32(1)), 1 }}, nil, "lost a pod: Deleted: it failed or was deleted, and is gone; the Job replaces it"},
		"its Job is complete":     {[]jobOption{complete}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			turn := lose(sj, jobOf(sj, 0, append([]jobOption{func(job *batchv1.Job) { job.Status.StartTime = new(metav1.NewTime(now)) }}, tc.options...)...), tc.pods...)
			var want []string
			if tc.message != "" {
				want = []string{"Warning PodFailed: Job 0 (extract) " + tc.message}
			}
			got := slices.DeleteFunc(outcomeOf(turn).Events, func(event string) bool { return !strings.HasPrefix(event, "Warning") })
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("unexpected events (-want +got):\n%s", diff)
			}
		})
	}
}
