package sequence_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// situation is a SequentialJob of three steps, of which the second one has started last, with a condition Progressing.
type situation struct {
	phase   v1alpha1.SequentialJobPhase
	reason  string
	message string
	change  func(*v1alpha1.SequentialJob)
}

func (s situation) build() *v1alpha1.SequentialJob {
	sj := newSequence("extract", "transform", "load")
	second := v1alpha1.StepStatus{Name: "transform", JobName: "etl-1", State: v1alpha1.StepRunning}
	status := metav1.ConditionTrue
	switch s.phase {
	case v1alpha1.SequentialJobCompleted:
		status, second.State = metav1.ConditionFalse, v1alpha1.StepCompleted
	case v1alpha1.SequentialJobFailed:
		status, second.State = metav1.ConditionFalse, v1alpha1.StepFailed
	case v1alpha1.SequentialJobSuspended:
		status = metav1.ConditionFalse
	default:
	}
	sj.Status = v1alpha1.SequentialJobStatus{
		Phase: s.phase, ObservedGeneration: 1, Progress: &v1alpha1.JobProgress{},
		Steps:      []v1alpha1.StepStatus{{Name: "extract", JobName: "etl-0", State: v1alpha1.StepCompleted}, second},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionProgressing, Status: status, Reason: s.reason, Message: s.message}},
	}
	if s.phase == v1alpha1.SequentialJobPending {
		sj.Status.Steps = nil
	}
	if s.change != nil {
		s.change(sj)
	}
	return sj
}

// otherReasons are those of events only, and of conditions that tell no more than their status.
var otherReasons = []string{v1alpha1.ReasonFailed, v1alpha1.ReasonSpecChanged, v1alpha1.ReasonNotEnded}

// usual are the situations that a condition's reason tells of by itself.
var usual = map[string][]struct {
	situation
	remedy sequence.Remedy
}{
	v1alpha1.ReasonJobStarted:   {{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyNone}},
	v1alpha1.ReasonJobCompleted: {{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyNone}},
	v1alpha1.ReasonResumed: {
		{situation{phase: v1alpha1.SequentialJobPending}, sequence.RemedyNone}, {situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyNone},
	},
	v1alpha1.ReasonRetrying:   {{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyNone}},
	v1alpha1.ReasonStepsEnded: {{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyNone}},
	v1alpha1.ReasonJobEnding:  {{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyNone}},
	v1alpha1.ReasonJobFailed: {
		{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyNone}, {situation{phase: v1alpha1.SequentialJobFailed}, sequence.RemedyRetry},
	},
	v1alpha1.ReasonCompleted:            {{situation{phase: v1alpha1.SequentialJobCompleted}, sequence.RemedyNone}},
	v1alpha1.ReasonPodNotStarted:        {{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyInspectPods}},
	v1alpha1.ReasonPodFailed:            {{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyReadLog}},
	v1alpha1.ReasonPodStillRunning:      {{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyInspectPods}},
	v1alpha1.ReasonJobNameConflict:      {{situation{phase: v1alpha1.SequentialJobPending}, sequence.RemedyDeleteJob}},
	v1alpha1.ReasonJobCreateFailed:      {{situation{phase: v1alpha1.SequentialJobPending}, sequence.RemedyNone}},
	v1alpha1.ReasonDeadlineExceeded:     {{situation{phase: v1alpha1.SequentialJobFailed, change: usedUp}, sequence.RemedyExtend}},
	v1alpha1.ReasonStepDeadlineExceeded: {{situation{phase: v1alpha1.SequentialJobFailed}, sequence.RemedyRetry}},
	v1alpha1.ReasonFinallyFailed:        {{situation{phase: v1alpha1.SequentialJobFailed}, sequence.RemedyRetry}},
	v1alpha1.ReasonJobDeleted:           {{situation{phase: v1alpha1.SequentialJobFailed}, sequence.RemedyRetry}},
	v1alpha1.ReasonCancelled:            {{situation{phase: v1alpha1.SequentialJobFailed, change: ofSpec(cancelled)}, sequence.RemedyCreateAnother}},
	v1alpha1.ReasonJobUpdateFailed: {
		{situation{phase: v1alpha1.SequentialJobRunning}, sequence.RemedyInspectJob},
		{situation{phase: v1alpha1.SequentialJobSuspended}, sequence.RemedyInspectJob},
	},
	v1alpha1.ReasonInvalidSpec: {
		{situation{phase: v1alpha1.SequentialJobFailed}, sequence.RemedyCorrect},
		{situation{phase: v1alpha1.SequentialJobSuspended}, sequence.RemedyCorrect},
	},
	v1alpha1.ReasonSuspended: {
		{situation{phase: v1alpha1.SequentialJobSuspended, change: ofSpec(suspend)}, sequence.RemedyResume},
		{situation{phase: v1alpha1.SequentialJobSuspended}, sequence.RemedyInspectJob},
	},
	batchv1.JobReasonBackoffLimitExceeded: {{situation{phase: v1alpha1.SequentialJobFailed}, sequence.RemedyRetry}},
	batchv1.JobReasonPodFailurePolicy:     {{situation{phase: v1alpha1.SequentialJobFailed}, sequence.RemedyRetry}},
}

func ofSpec(change func(*v1alpha1.SequentialJobSpec)) func(*v1alpha1.SequentialJob) {
	return func(sj *v1alpha1.SequentialJob) { change(&sj.Spec) }
}

func usedUp(sj *v1alpha1.SequentialJob) {
	sj.Spec.ActiveDeadlineSeconds, sj.Status.ActiveSeconds = new(int64(60)), 60
}

// constantReasons are the values of the constants Reason... of the API.
func constantReasons(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../apis/batch/v1alpha1/constants.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Reason") {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value) //nolint:forcetypeassert // the constants are strings
			if err != nil {
				t.Error(err)
			}
			reasons = append(reasons, value)
		}
		return true
	})
	return reasons
}

func TestEveryReasonOfAConditionHasItsAdvice(t *testing.T) {
	want := append(constantReasons(t), batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonPodFailurePolicy)
	got := slices.Clone(otherReasons)
	for reason := range usual {
		got = append(got, reason)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-code +cases):\n%s", diff)
	}
	for reason, cases := range usual {
		for _, tc := range cases {
			t.Run(reason+" while "+string(tc.phase), func(t *testing.T) {
				tc.reason, tc.message = reason, "the message"
				advice := sequence.Advise(tc.build())
				if advice.Remedy != tc.remedy {
					t.Errorf("advice %+v, want %q", advice, tc.remedy)
				}
				if advice.Remedy != sequence.RemedyNone && advice.Text == "" {
					t.Errorf("advice %+v says nothing", advice)
				}
			})
		}
	}
}

func TestAdviceNamesStepAndJob(t *testing.T) {
	const suspendedPhase, runningPhase, failedPhase = v1alpha1.SequentialJobSuspended, v1alpha1.SequentialJobRunning, v1alpha1.SequentialJobFailed
	for name, tc := range map[string]struct {
		situation
		want sequence.Advice
	}{
		"no controller has seen it": {
			situation{change: func(sj *v1alpha1.SequentialJob) { sj.Status = v1alpha1.SequentialJobStatus{ObservedGeneration: -1} }},
			sequence.Advice{Remedy: sequence.RemedyFindController, Text: "No controller has seen it yet. If it stays like this, none runs, or none for this namespace."},
		},
		"it is being deleted": {
			situation{phase: failedPhase, reason: v1alpha1.ReasonJobDeleted, change: func(sj *v1alpha1.SequentialJob) { sj.DeletionTimestamp = &created }},
			sequence.Advice{Text: "It is being deleted, and goes once its Jobs and pods have ended."},
		},
		"a step failed": {
			situation{phase: failedPhase, reason: "BackoffLimitExceeded"},
			sequence.Advice{Remedy: sequence.RemedyRetry, Step: "transform", Job: "etl-1", Text: "Fix the cause; then retry. Completed steps do not run again."},
		},
		"a Job's deadline of somebody else was over": {
			situation{phase: failedPhase, reason: v1alpha1.ReasonDeadlineExceeded},
			sequence.Advice{Remedy: sequence.RemedyRetry, Step: "transform", Job: "etl-1", Text: "Fix the cause; then retry. Completed steps do not run again."},
		},
		"a step is invalid, and none has started": {
			situation{phase: failedPhase, reason: v1alpha1.ReasonInvalidSpec, change: func(sj *v1alpha1.SequentialJob) {
				sj.Status.Steps, sj.Status.Progress.FailedIndex = nil, new(int32(2))
			}},
			sequence.Advice{Remedy: sequence.RemedyCorrect, Step: "load", Text: "Correct the field that the message names, and raise retries."},
		},
		"finally failed": {
			situation{phase: failedPhase, reason: v1alpha1.ReasonFinallyFailed, change: func(sj *v1alpha1.SequentialJob) {
				sj.Status.Steps[1].State = v1alpha1.StepCompleted
				sj.Status.Finally = []v1alpha1.StepStatus{{Name: "notify", JobName: "etl-f0", State: v1alpha1.StepFailed}}
			}},
			sequence.Advice{Remedy: sequence.RemedyRetry, Step: "notify", Job: "etl-f0", Text: "All steps are complete. To run finally again, fix it and retry."},
		},
		"a step waits for approval": {
			situation{phase: suspendedPhase, reason: v1alpha1.ReasonSuspended, change: approvalBefore("load")},
			sequence.Advice{Remedy: sequence.RemedyApprove, Step: "load", Text: "The step waits for approval. Approve it when it may run."},
		},
		"it was approved, and the controller has not seen that yet": {
			situation{phase: suspendedPhase, reason: v1alpha1.ReasonSuspended, change: func(sj *v1alpha1.SequentialJob) {
				sj.Status.Steps[1].State = v1alpha1.StepCompleted
			}},
			sequence.Advice{Step: "load", Text: "Nothing holds it any more: it goes on once the controller has seen that."},
		},
		"a queue has its Job": {
			situation{phase: suspendedPhase, reason: v1alpha1.ReasonSuspended},
			sequence.Advice{Remedy: sequence.RemedyInspectJob, Step: "transform", Job: "etl-1", Text: "Wait until whoever suspended the Job, such as a queue, lets it run."},
		},
		"it was changed, and the controller has not seen that yet": {
			situation{phase: failedPhase, reason: v1alpha1.ReasonJobFailed, change: func(sj *v1alpha1.SequentialJob) { sj.Generation++ }},
			sequence.Advice{Text: "It was changed since, and the controller has not answered yet."},
		},
		"the pod does not start": {
			situation{phase: runningPhase, reason: v1alpha1.ReasonPodNotStarted},
			sequence.Advice{Remedy: sequence.RemedyInspectPods, Step: "transform", Job: "etl-1",
				Text: "Remove the cause; the step goes on by itself. If the step itself is wrong: delete its Job (etl-1), correct the step, and retry."},
		},
		"the pod does not start, and the step would be tried again as it is": {
			situation{phase: runningPhase, reason: v1alpha1.ReasonPodNotStarted, change: func(sj *v1alpha1.SequentialJob) {
				sj.Spec.Retries, sj.Status.Progress.Retries = new(int32(3)), 1
			}},
			sequence.Advice{Remedy: sequence.RemedyInspectPods, Step: "transform", Job: "etl-1", Text: "Remove the cause; the step goes on by itself. " +
				"If the step itself is wrong: set retries to 1, delete its Job (etl-1), correct the step, and retry."},
		},
		"the name of the next Job is taken": {
			situation{phase: runningPhase, reason: v1alpha1.ReasonJobNameConflict, change: func(sj *v1alpha1.SequentialJob) {
				sj.Status.Steps[1].State = v1alpha1.StepCompleted
			}},
			sequence.Advice{Remedy: sequence.RemedyDeleteJob, Job: "etl-2", Text: "If nobody needs that Job, delete it; the step starts then by itself."},
		},
		"cancelled, and a Job is left": {
			situation{phase: runningPhase, reason: v1alpha1.ReasonJobNameConflict, change: func(sj *v1alpha1.SequentialJob) {
				sj.Status.Steps[1].State, sj.Spec.Cancel = v1alpha1.StepCompleted, new(true)
			}},
			sequence.Advice{Remedy: sequence.RemedyDeleteJob, Job: "etl-2", Text: "Wait until that Job has ended, or delete it."},
		},
		"a later step is invalid while one runs": {
			situation{phase: runningPhase, reason: v1alpha1.ReasonJobStarted, message: "Started job 1; InvalidSpec: spec.containers[2].image: wrong"},
			sequence.Advice{Remedy: sequence.RemedyCorrect, Text: "Correct the field that the message names before the turn of its step comes: that costs no retry."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, sequence.Advise(tc.build())); diff != "" {
				t.Errorf("advice (-want +got):\n%s", diff)
			}
		})
	}
}

// approvalBefore lets the second step be complete and another one wait for approval.
func approvalBefore(step string) func(*v1alpha1.SequentialJob) {
	return func(sj *v1alpha1.SequentialJob) {
		sj.Status.Steps[1].State = v1alpha1.StepCompleted
		sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: step, Suspend: new(true)}}
	}
}

func TestTheStepThatWaitsForApprovalIsNamed(t *testing.T) {
	s := tell(t, "extract", "load")
	s.sj.Spec.Finally = []corev1.Container{{Name: "notify"}}
	for _, step := range []string{"extract", "load", "notify"} {
		s.sj.Spec.StepOverrides = append(s.sj.Spec.StepOverrides, v1alpha1.StepOverride{Name: step, Suspend: new(true)})
	}
	approve := func(spec *v1alpha1.SequentialJobSpec) {
		i := slices.IndexFunc(spec.StepOverrides, func(o v1alpha1.StepOverride) bool { return *o.Suspend })
		spec.StepOverrides[i].Suspend = new(false)
	}
	var got []string
	waits := func() { got = append(got, sequence.Advise(s.sj).Step) }
	s.work()
	waits()
	s.edit(approve).end("etl-0", complete)
	waits()
	s.edit(approve).end("etl-1", failed)
	waits()
	s.edit(approve).end("etl-f0", complete)
	s.edit(func(spec *v1alpha1.SequentialJobSpec) {
		spec.Retries, spec.StepOverrides[1].Suspend = new(int32(1)), new(true)
	})
	waits() // before it is started again
	if diff := cmp.Diff([]string{"extract", "load", "notify", "load"}, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}
