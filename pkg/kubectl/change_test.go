package kubectl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/fake"
)

// steering is the plugin with an API server that holds one SequentialJob, and what it wrote.
type steering struct {
	*testing.T
	tool     *Tool
	clients  Clients
	sjs      *fake.Clientset
	kube     *kubefake.Clientset
	out, err *bytes.Buffer
}

func steer(t *testing.T, sj *v1alpha1.SequentialJob, objects ...runtime.Object) *steering {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}
	s := &steering{
		T: t, sjs: fake.NewClientset(sj), kube: kubefake.NewClientset(append(objects, namespace)...), out: &bytes.Buffer{}, err: &bytes.Buffer{},
	}
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: s.out, ErrOut: s.err}
	s.tool = &Tool{IOStreams: streams, Name: "kubectl sj", flags: genericclioptions.NewConfigFlags(false)}
	s.clients = Clients{Kube: s.kube, SequentialJobs: s.sjs, Namespace: "ns"}
	return s
}

// want checks what was written, and what a command returned: "1: why" for an error with exit code 1.
func (s *steering) want(err error, wantErr, out, errOut string) {
	s.Helper()
	got := ""
	if err != nil {
		got = fmt.Sprintf("%d: %v", ExitCode(err), err)
	}
	for _, part := range [][3]string{{"error", wantErr, got}, {"standard output", out, s.out.String()}, {"standard error", errOut, s.err.String()}} {
		if diff := cmp.Diff(part[1], part[2]); diff != "" {
			s.Errorf("%s (-want +got):\n%s", part[0], diff)
		}
	}
}

// stored returns the SequentialJob as the API server has it.
func (s *steering) stored() *v1alpha1.SequentialJob {
	s.Helper()
	// Not through the client, whose answers may ask for it.
	sj, err := s.sjs.Tracker().Get(sequentialJobs, "ns", "etl")
	if err != nil {
		s.Fatal(err)
	}
	return sj.(*v1alpha1.SequentialJob) //nolint:forcetypeassert // it is what is stored
}

// store lets somebody else change the SequentialJob.
func (s *steering) store(change func(*v1alpha1.SequentialJob)) {
	s.Helper()
	sj := s.stored().DeepCopy()
	change(sj)
	if err := s.sjs.Tracker().Update(sequentialJobs, sj, "ns"); err != nil {
		s.Fatal(err)
	}
}

// onPatch answers patches; how often so far is counted from 1. nil lets it pass.
func (s *steering) onPatch(answer func(n int) (*v1alpha1.SequentialJob, error)) {
	n := 0
	s.sjs.PrependReactor("patch", "sequentialjobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		n++
		sj, err := answer(n)
		return sj != nil || err != nil, sj, err
	})
}

// patches returns the bodies of those that were sent.
func (s *steering) patches() []string {
	var bodies []string
	for _, action := range s.sjs.Actions() {
		if patch, ok := action.(clienttesting.PatchAction); ok {
			bodies = append(bodies, string(patch.GetPatch()))
		}
	}
	return bodies
}

// sequenceOf returns a SequentialJob with one step a name, of which these have started.
func sequenceOf(names []string, phase v1alpha1.SequentialJobPhase, started ...v1alpha1.StepState) *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "etl", UID: "uid-etl", ResourceVersion: "1", Generation: 1}}
	for _, name := range names {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: name})
	}
	sj.Status = v1alpha1.SequentialJobStatus{
		Phase: phase, ObservedGeneration: 1, Progress: &v1alpha1.JobProgress{Completions: "1/3"},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonJobStarted}},
	}
	for i, state := range started {
		job := fmt.Sprintf("etl-%d", i)
		sj.Status.Steps = append(sj.Status.Steps, v1alpha1.StepStatus{Name: names[i], JobName: job, JobUID: types.UID("uid-" + job), State: state})
	}
	return sj
}

var threeSteps = []string{"extract", "transform", "load"}

const (
	stepCompleted = v1alpha1.StepCompleted
	stepRunning   = v1alpha1.StepRunning
	stepFailed    = v1alpha1.StepFailed
)

// runs returns a sequence whose second of three steps runs.
func runs() *v1alpha1.SequentialJob {
	return sequenceOf(threeSteps, v1alpha1.SequentialJobRunning, stepCompleted, stepRunning)
}

// between returns a sequence whose first of three steps is complete.
func between(phase v1alpha1.SequentialJobPhase) *v1alpha1.SequentialJob {
	return sequenceOf(threeSteps, phase, stepCompleted)
}

// hasFailed returns a sequence whose second of three steps has failed.
func hasFailed() *v1alpha1.SequentialJob {
	sj := sequenceOf(threeSteps, v1alpha1.SequentialJobFailed, stepCompleted, stepFailed)
	sj.Status.Conditions[0] = metav1.Condition{
		Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionFalse, Reason: "BackoffLimitExceeded", Message: "Job 1 (transform) failed: why",
	}
	return sj
}

func isComplete() *v1alpha1.SequentialJob {
	return sequenceOf(threeSteps[:1], v1alpha1.SequentialJobCompleted, stepCompleted)
}

func with(sj *v1alpha1.SequentialJob, change func(*v1alpha1.SequentialJob)) *v1alpha1.SequentialJob {
	change(sj)
	return sj
}

func andFinally(sj *v1alpha1.SequentialJob) { sj.Spec.Finally = []corev1.Container{{Name: "notify"}} }

func isSuspended(sj *v1alpha1.SequentialJob) { sj.Spec.Suspend = new(true) }

func isCancelled(sj *v1alpha1.SequentialJob) { sj.Spec.Cancel = new(true) }

func secondJob(change func(*batchv1.Job)) *batchv1.Job {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "etl-1", UID: "uid-etl-1"}}
	change(job)
	return job
}

func TestAChangeIsOnlyForWhatWasSeen(t *testing.T) {
	s := steer(t, runs())
	if err := s.tool.suspend(t.Context(), s.clients, "etl"); err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal([]byte(s.patches()[0]), &got); err != nil {
		t.Fatal(err)
	}
	want := []any{
		map[string]any{"op": "add", "path": "/metadata/uid", "value": "uid-etl"},
		map[string]any{"op": "add", "path": "/metadata/resourceVersion", "value": "1"},
		map[string]any{"op": "add", "path": "/spec/suspend", "value": true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("patch (-want +got):\n%s", diff)
	}
}

var (
	conflict = apierrors.NewConflict(v1alpha1.Resource("sequentialjobs"), "etl", errors.New("the object has been modified"))
	invalid  = apierrors.NewInvalid(schema.GroupKind{Group: v1alpha1.GroupName, Kind: v1alpha1.SequentialJobKind}, "etl", nil)
)

func TestWhatOthersChangeMeanwhileIsSeen(t *testing.T) {
	for name, tc := range map[string]struct {
		// answer is that to the n-th patch.
		answer  func(s *steering, n int) error
		want    string
		patches int
	}{
		"nobody": {func(*steering, int) error { return nil }, "", 1},
		"the controller stores a status": {func(s *steering, n int) error {
			if n > 1 {
				return nil
			}
			s.store(func(sj *v1alpha1.SequentialJob) { sj.ResourceVersion = "2" })
			return conflict
		}, "", 2},
		"somebody retries it as well": {func(s *steering, _ int) error {
			s.store(func(sj *v1alpha1.SequentialJob) {
				sj.ResourceVersion, sj.Generation, sj.Spec.Retries = "2", 2, new(int32(1))
			})
			return conflict
		}, "1: cannot retry etl: that was asked for already: retries were raised, and it goes on by itself", 1},
		"somebody deletes it and creates it again": {func(s *steering, _ int) error {
			s.store(func(sj *v1alpha1.SequentialJob) { sj.ResourceVersion, sj.UID = "2", "uid-other" })
			return conflict
		}, "2: etl was deleted meanwhile, and created again: nothing was changed", 1},
		"somebody changes it all the time": {func(s *steering, n int) error {
			s.store(func(sj *v1alpha1.SequentialJob) { sj.ResourceVersion = fmt.Sprint(n + 1) })
			return conflict
		}, "2: etl is changed by somebody else again and again; try again (" + conflict.Error() + ")", maxConflicts},
		"nobody, and it is refused": {func(*steering, int) error { return invalid }, "2: " + invalid.Error(), 1},
		"somebody makes the path lead nowhere": {func(s *steering, n int) error {
			if n > 1 {
				return nil
			}
			s.store(func(sj *v1alpha1.SequentialJob) { sj.ResourceVersion = "2" })
			return invalid
		}, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := steer(t, hasFailed())
			s.onPatch(func(n int) (*v1alpha1.SequentialJob, error) { return nil, tc.answer(s, n) })
			err := s.tool.retry(t.Context(), s.clients, "etl", false)
			out := ""
			if tc.want == "" {
				out = "etl goes on with step transform (retry 1 of 1)\n"
			}
			s.want(err, tc.want, out, "")
			if got := len(s.patches()); got != tc.patches {
				t.Errorf("%d patches, want %d", got, tc.patches)
			}
		})
	}
}

// An older CRD makes the API server drop a field without an error.
func TestAFieldThatIsDroppedIsNoticed(t *testing.T) {
	approval := func(sj *v1alpha1.SequentialJob) {
		sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "load", Suspend: new(true)}}
	}
	for field, run := range map[string]func(*steering) error{
		"spec.cancel":                      func(s *steering) error { return s.tool.cancel(s.Context(), s.clients, "etl", true) },
		"spec.suspend":                     func(s *steering) error { return s.tool.suspend(s.Context(), s.clients, "etl") },
		"spec.stepOverrides[load].suspend": func(s *steering) error { return s.tool.approve(s.Context(), s.clients, "etl", "load") },
	} {
		t.Run(field, func(t *testing.T) {
			s := steer(t, with(runs(), approval))
			s.onPatch(func(int) (*v1alpha1.SequentialJob, error) { return s.stored(), nil })
			s.want(run(s), "2: the API server dropped "+field+": its CRD is older than this plugin; upgrade it (`kubectl sj version` tells which is which)", "", "")
		})
	}
}

func TestArgumentsThatNameASequence(t *testing.T) {
	for argument, want := range map[string]string{
		"etl": "etl", "sj/etl": "etl", "SJ/etl": "etl", "sequentialjob/etl": "etl", "sequentialjobs/etl": "etl",
		"sequentialjob.batch.example.com/etl": "etl", "sequentialjobs.batch.example.com/etl": "etl",
		"": "", "sj/": "", "/etl": "", "job/etl": "", "sj/etl/x": "", "sj/sj/etl": "",
	} {
		name, err := sequenceName(argument)
		if isRefused := ExitCode(err) == ExitError; name != want || isRefused != (want == "") {
			t.Errorf("%q means %q, error %v", argument, name, err)
		}
	}
}

func TestCommandsThatChangeSomethingNeedOneName(t *testing.T) {
	for _, command := range []string{"retry", "suspend", "resume", "cancel --yes"} {
		for _, names := range []string{"", "a b", "job/a"} {
			root := NewCommand("kubectl sj", genericiooptions.NewTestIOStreamsDiscard())
			root.SetArgs(strings.Fields(command + " " + names))
			err := root.ExecuteContext(t.Context())
			if ExitCode(err) != ExitError || !regexp.MustCompile(`needs the NAME|takes one NAME|is not the name`).MatchString(err.Error()) {
				t.Errorf("%s %s: %v", command, names, err)
			}
		}
	}
}
