package sequence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// node is a template that differs from others by a node selector.
func node(name string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{NodeSelector: map[string]string{"node": name}}}
}

// withFinally returns a sequence of the steps a, b and c, and the finally containers x and y, whose templates are those of these nodes.
func withOverrides(nodes map[string]string) *v1alpha1.SequentialJob {
	sj := newSequence("a", "b", "c")
	sj.Spec.Finally = []corev1.Container{{Name: "x", Image: "x"}, {Name: "y", Image: "y"}}
	for step, name := range nodes {
		ownTemplate(sj, step, node(name))
	}
	return sj
}

func TestOneDryRunCoversAllThatHaveTheSameTemplate(t *testing.T) {
	for name, tc := range map[string]struct {
		nodes map[string]string
		want  []string // of each dry run the key, the containers and the node
	}{
		"no override":                    {nil, []string{"-1 a,b,c,x,y "}},
		"overrides without a template":   {map[string]string{}, []string{"-1 a,b,c,x,y "}},
		"a step of its own":              {map[string]string{"b": "gpu"}, []string{"-1 a,c,x,y ", "-2 b gpu"}},
		"the first one":                  {map[string]string{"a": "gpu"}, []string{"-1 a gpu", "-2 b,c,x,y "}},
		"two that are the same":          {map[string]string{"b": "gpu", "x": "gpu"}, []string{"-1 a,c,y ", "-2 b,x gpu"}},
		"each one of its own":            {map[string]string{"a": "1", "b": "2", "c": "3", "x": "4"}, []string{"-1 a 1", "-2 b 2", "-3 c 3", "-4 x 4", "-5 y "}},
		"a container of finally alone":   {map[string]string{"y": "gpu"}, []string{"-1 a,b,c,x ", "-2 y gpu"}},
		"all the same, by each override": {map[string]string{"a": "1", "b": "1", "c": "1", "x": "1", "y": "1"}, []string{"-1 a,b,c,x,y 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			sj := withOverrides(tc.nodes)
			if tc.nodes != nil && len(tc.nodes) == 0 {
				sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "a", Template: &corev1.PodTemplateSpec{}}, {Name: "b", BackoffLimit: new(int32(1)), Suspend: new(true)}}
			}
			var got []string
			(&server{refuse: func(a sequence.Action) sequence.Refusal {
				if a.Request == sequence.CheckSteps {
					pod := a.Job.Spec.Template.Spec
					var names []string
					for i := range pod.Containers {
						names = append(names, pod.Containers[i].Name)
					}
					got = append(got, fmt.Sprintf("%d %s %s", a.Step, strings.Join(names, ","), pod.NodeSelector["node"]))
				}
				return sequence.Refusal{}
			}}).play(sequence.Facts{Now: now, SequentialJob: sj})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("unexpected dry runs (-want +got):\n%s", diff)
			}
		})
	}
}

// A turn has to be over in time, however many templates there are.
func TestACheckSendsABoundedNumberOfDryRuns(t *testing.T) {
	const most, steps = 20, 30
	sj := newSequence()
	for i := range steps {
		name := fmt.Sprintf("step-%d", i)
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: name, Image: "x"})
		ownTemplate(sj, name, node(name))
	}
	turn, _ := (&server{}).play(sequence.Facts{Now: now, SequentialJob: sj})
	sent := slices.DeleteFunc(turn.Requests, func(request string) bool { return !strings.HasPrefix(request, string(sequence.CheckSteps)) })
	if len(sent) != most {
		t.Errorf("%d dry runs: %q", len(sent), sent)
	}
	want := &v1alpha1.SpecCheck{Generation: 1, Result: v1alpha1.SpecCheckUnknown, Message: "only the steps with the first 20 different templates were checked"}
	if diff := cmp.Diff(want, turn.Status.SpecCheck); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if turn.Create == nil {
		t.Error("the first step does not start")
	}
}

func TestTheOutcomesOfACheckOfSeveralTemplates(t *testing.T) {
	const x = sequence.FirstFinally
	denied, unavailable := sequence.Refusal{Class: sequence.Denied, Message: "quota"}, sequence.Refusal{Class: sequence.Unavailable, Message: "busy"}
	freeze := sequence.Refusal{Class: sequence.Rejected, Message: "freeze", Causes: []metav1.StatusCause{{Message: "freeze"}}}
	second := "spec.template.spec.containers[1].image"
	for name, tc := range map[string]struct {
		answers map[int]sequence.Refusal
		asked   []int
		result  v1alpha1.SpecCheckResult
		message string
		failed  int // -1 if no step is at fault
	}{
		"all accepted": {nil, []int{-1, -2}, "Accepted", "", -1},
		"the second of a group": {map[int]sequence.Refusal{-2: invalidAt(second), x: invalidAt(firstField)}, []int{-1, -2, x},
			"Refused", "spec.finally[0].image: wrong", -1},
		"one of each": {map[int]sequence.Refusal{-1: invalidAt(second), 2: invalidAt(firstField), -2: invalidAt(firstField), 1: invalidAt(firstField)},
			[]int{-1, 2, -2, 1}, "Refused", "spec.containers[2].image: wrong; spec.containers[1].image: wrong", 1},
		"what an override set": {map[int]sequence.Refusal{-2: invalidAt("spec.template.spec.nodeSelector"), 1: invalidAt("spec.template.spec.nodeSelector")},
			[]int{-1, -2, 1, x}, "Refused", "spec.stepOverrides[b].template.spec.nodeSelector: wrong", 1},
		"not together, but each alone": {map[int]sequence.Refusal{-1: invalidAt(firstField)}, []int{-1, 0, -2}, "Accepted", "", -1},
		"no answer to the second":      {map[int]sequence.Refusal{-2: unavailable}, []int{-1, -2}, "", "", -1},
		"the first is not let pass":    {map[int]sequence.Refusal{-1: denied}, []int{-1}, "Unknown", "quota", -1},
		"the second is not let pass":   {map[int]sequence.Refusal{-2: denied}, []int{-1, -2}, "Unknown", "quota", -1},
		"what is invalid is so, though another is not let pass": {map[int]sequence.Refusal{-1: invalidAt(firstField), 0: invalidAt(firstField), -2: denied},
			[]int{-1, 0, -2}, "Refused", "spec.containers[0].image: wrong", 0},
		"a change freeze": {map[int]sequence.Refusal{-1: freeze, 0: freeze, 2: freeze, -2: freeze}, []int{-1, 0}, "Unknown", "freeze", -1},
		"a policy about one template": {map[int]sequence.Refusal{-2: freeze, 1: freeze, x: freeze}, []int{-1, -2, 1, x}, "Refused",
			"freeze", 1},
	} {
		t.Run(name, func(t *testing.T) {
			sj := withOverrides(map[string]string{"b": "gpu", "x": "gpu"})
			sj.Spec.Suspend = new(true)
			check := &checker{all: tc.answers[all], steps: tc.answers}
			turn, after := (&server{refuse: check.answer}).play(sequence.Facts{Now: now, SequentialJob: sj})
			check.wantAsked(t, tc.asked...)
			var want *v1alpha1.SpecCheck
			if tc.result != "" {
				want = &v1alpha1.SpecCheck{Generation: 1, Result: tc.result, Message: tc.message}
			}
			if diff := cmp.Diff(want, turn.Status.SpecCheck); diff != "" {
				t.Errorf("unexpected specCheck (-want +got):\n%s", diff)
			}
			wantCheckedAlone(t, sj, tc.answers, tc.result, tc.message)
			if tc.result != "Refused" {
				return
			}
			// Resumed as it is, it fails with it before any step has started.
			after.Spec.Suspend, after.Generation = nil, 2
			turn, _ = (&server{refuse: check.answer}).play(sequence.Facts{Now: now, SequentialJob: after})
			if got := conditions(&turn.Status)["Failed"]; got != "True "+invalidSpec+invalidSpec+tc.message || turn.Create != nil {
				t.Errorf("Failed is %q, created %v", got, turn.Create)
			}
			if got := turn.Status.Progress.FailedIndex; (got == nil) != (tc.failed < 0) || got != nil && int(*got) != tc.failed {
				t.Errorf("failedIndex is %v, want %d", got, tc.failed)
			}
		})
	}
}

// wantCheckedAlone checks that the check without a turn comes to the same.
func wantCheckedAlone(t *testing.T, sj *v1alpha1.SequentialJob, answers map[int]sequence.Refusal, result v1alpha1.SpecCheckResult, message string) {
	t.Helper()
	facts := sequence.Facts{SequentialJob: sj, Whole: true}
	action, got := sequence.CheckSpec(facts)
	for action.Request != sequence.EndTurn {
		facts = facts.With(action, sequence.Answer{Refusal: answers[action.Step]})
		action, got = sequence.CheckSpec(facts)
	}
	if result == "" {
		result, message = v1alpha1.SpecCheckUnknown, "busy"
	}
	if got.Result != result || got.Message != message {
		t.Errorf("the check alone says %s: %q", got.Result, got.Message)
	}
	if problems := strings.Join(got.Problems, "; "); result == v1alpha1.SpecCheckRefused && problems != message {
		t.Errorf("the problems are %q", problems)
	}
}

func TestFinallyIsCheckedAsLongAsItMayStart(t *testing.T) {
	check := &checker{}
	s := checked(t, check, "a")
	s.sj.Spec.Finally = []corev1.Container{{Name: "x", Image: "x"}}
	s.work().wantJobs("etl-0")
	check.wantAsked(t, all)
	check.all, check.steps = invalidAt(firstField), map[int]sequence.Refusal{sequence.FirstFinally: invalidAt(firstField)}
	s.edit(func(spec *v1alpha1.SequentialJobSpec) { spec.Finally[0].Image = "bad" }).
		want("Running", "True JobStarted: Started job 0; InvalidSpec: spec.finally[0].image: wrong")
	check.wantAsked(t, all, sequence.FirstFinally)
}

// What has started is not asked about again, and each template keeps its key.
func TestTemplatesOfStepsThatHaveStartedAreNotChecked(t *testing.T) {
	check := &checker{}
	s := checked(t, check, "a", "b", "c")
	ownTemplate(s.sj, "a", node("1"))
	ownTemplate(s.sj, "c", node("3"))
	s.work()
	check.wantAsked(t, -1, -2, -3)
	s.edit(image(2, "new"))
	check.wantAsked(t, -2, -3)
	s.end("etl-0", complete).edit(image(2, "newer"))
	check.wantAsked(t, -3)
}

func TestAnInvalidFieldIsNamedWhereItWasSet(t *testing.T) {
	sj := newSequence("a", "b")
	sj.Spec.Template.Spec = corev1.PodSpec{
		ServiceAccountName: "etl",
		Volumes:            []corev1.Volume{{Name: "one"}, {Name: "two"}},
		InitContainers:     []corev1.Container{{Name: "proxy"}},
	}
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "b", BackoffLimit: new(int32(-1)), Template: &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"x": "y"}},
		Spec: corev1.PodSpec{
			NodeSelector:   map[string]string{"x": "y"},
			Volumes:        []corev1.Volume{{Name: "two", VolumeSource: emptyDir}, {Name: "three"}},
			InitContainers: []corev1.Container{{Name: "wait"}},
			ResourceClaims: []corev1.PodResourceClaim{{Name: "unused"}},
		},
	}}}
	var merged []string
	for _, volume := range sequence.NewJob(sj, 1, 0).Spec.Template.Spec.Volumes {
		merged = append(merged, volume.Name)
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, merged); diff != "" {
		t.Fatalf("unexpected volumes (-want +got):\n%s", diff)
	}
	const own, pod = "spec.stepOverrides[b].", "spec.template.spec."
	for field, want := range map[string]string{
		pod + "containers[0].image":             "spec.containers[1].image",
		pod + "nodeSelector[x]":                 own + "template.spec.nodeSelector[x]",
		pod + "serviceAccountName":              "spec.template.spec.serviceAccountName",
		pod + "volumes[0].name":                 "spec.template.spec.volumes[0].name",
		pod + "volumes[1].emptyDir":             own + "template.spec.volumes[0].emptyDir",
		pod + "volumes[2]":                      own + "template.spec.volumes[1]",
		pod + "volumes[3]":                      pod + "volumes[3]",
		pod + "volumes[99999999999999999999].x": pod + "volumes[99999999999999999999].x",
		pod + "initContainers[0].image":         own + "template.spec.initContainers[0].image",
		pod + "initContainers[1].image":         "spec.template.spec.initContainers[0].image",
		pod + "resourceClaims[0]":               pod + "resourceClaims[0]", // of a pod that uses none it is not there
		"spec.template.labels":                  own + "template.metadata.labels",
		"metadata.labels":                       own + "template.metadata.labels",
		"spec.template.annotations":             "spec.template.metadata.annotations",
		"spec.backoffLimit":                     own + "backoffLimit",
		"spec.podFailurePolicy.rules[0]":        "spec.podFailurePolicy.rules[0]",
		"":                                      "",
	} {
		got := sequence.DescribeInvalid(sj, 1, []metav1.StatusCause{{Field: field, Message: "wrong"}})
		if want := strings.TrimPrefix(want+": wrong", ": "); len(got) != 1 || got[0] != want {
			t.Errorf("%q is told as %q, want %q", field, got, want)
		}
		// Another step has nothing of it.
		if got := sequence.DescribeInvalid(sj, 0, []metav1.StatusCause{{Field: field}}); strings.Contains(strings.Join(got, ""), "stepOverrides") {
			t.Errorf("%q of another step is told as %q", field, got)
		}
	}
}
