package kubectl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func fromYAML(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

// wantYAML compares an object with a manifest, as a user sees both.
func wantYAML(t *testing.T, got *unstructured.Unstructured, want string) {
	t.Helper()
	if diff := cmp.Diff(fromYAML(t, want).Object, got.Object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommandsBecomeSteps(t *testing.T) {
	made, err := newSequence("etl", "busybox", []string{"extract=echo a=b", "load=echo done"})
	if err != nil {
		t.Fatal(err)
	}
	wantYAML(t, made, `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata: {name: etl}
spec:
  containers:
  - {name: extract, image: busybox, command: [sh, -c, echo a=b]}
  - {name: load, image: busybox, command: [sh, -c, echo done]}
`)
}

func TestStepsThatMakeNoSense(t *testing.T) {
	for name, tc := range map[string]struct {
		steps []string
		want  string
	}{
		"no command":      {[]string{"extract"}, "write NAME=COMMAND"},
		"empty command":   {[]string{"extract="}, "write NAME=COMMAND"},
		"no name":         {[]string{"=echo"}, `the name "" is not valid`},
		"not a label":     {[]string{"Extract_1=echo"}, `the name "Extract_1" is not valid`},
		"twice the same":  {[]string{"a=echo", "a=echo"}, `there are two steps "a"`},
		"only the second": {[]string{"a=echo", "b"}, `--step="b"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newSequence("etl", "busybox", tc.steps)
			if ExitCode(err) != ExitError || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

const oldSequence = `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata:
  name: etl
  namespace: default
  uid: 1234
  resourceVersion: "12"
  generation: 3
  creationTimestamp: "2026-11-26T00:00:00Z"
  finalizers: [batch.example.com/cleanup]
  ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: nightly, uid: 5678}]
  managedFields: [{manager: kubectl}]
  labels: {team: data}
  annotations: {note: keep, kubectl.kubernetes.io/last-applied-configuration: "{}"}
spec:
  cancel: true
  suspend: true
  retries: 2
  fieldOfTomorrow: 1
  containers: [{name: extract, image: a}, {name: transform, image: b}, {name: load, image: c}]
  finally: [{name: notify, image: d}]
  podFailurePolicy:
    rules:
    - {action: Ignore, onExitCodes: {containerName: extract, operator: In, values: [1]}}
    - {action: FailJob, onExitCodes: {containerName: load, operator: In, values: [2]}}
    - {action: Ignore, onPodConditions: [{type: DisruptionTarget}]}
  stepOverrides:
  - {name: extract, backoffLimit: 1}
  - {name: load, suspend: true}
  - {name: notify, activeDeadlineSeconds: 60}
status: {phase: Failed}
`

func TestARerunHasWhatItWasMadeOf(t *testing.T) {
	made, err := rerunOf(fromYAML(t, oldSequence), "etl-2", "")
	if err != nil {
		t.Fatal(err)
	}
	wantYAML(t, made, `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata: {name: etl-2, labels: {team: data}, annotations: {note: keep}}
spec:
  retries: 2
  fieldOfTomorrow: 1
  containers: [{name: extract, image: a}, {name: transform, image: b}, {name: load, image: c}]
  finally: [{name: notify, image: d}]
  podFailurePolicy:
    rules:
    - {action: Ignore, onExitCodes: {containerName: extract, operator: In, values: [1]}}
    - {action: FailJob, onExitCodes: {containerName: load, operator: In, values: [2]}}
    - {action: Ignore, onPodConditions: [{type: DisruptionTarget}]}
  stepOverrides:
  - {name: extract, backoffLimit: 1}
  - {name: load, suspend: true}
  - {name: notify, activeDeadlineSeconds: 60}
`)
}

func TestARerunFromAStepLeavesOutWhatIsOfTheStepsBefore(t *testing.T) {
	made, err := rerunOf(fromYAML(t, oldSequence), "etl-2", "load")
	if err != nil {
		t.Fatal(err)
	}
	wantYAML(t, made, `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata: {name: etl-2, labels: {team: data}, annotations: {note: keep}}
spec:
  retries: 2
  fieldOfTomorrow: 1
  containers: [{name: load, image: c}]
  finally: [{name: notify, image: d}]
  podFailurePolicy:
    rules:
    - {action: FailJob, onExitCodes: {containerName: load, operator: In, values: [2]}}
    - {action: Ignore, onPodConditions: [{type: DisruptionTarget}]}
  stepOverrides:
  - {name: load, suspend: true}
  - {name: notify, activeDeadlineSeconds: 60}
`)
}

// An empty list is not the same as none to everybody who reads it.
func TestARerunFromAStepLeavesNoEmptyLists(t *testing.T) {
	old := fromYAML(t, `
metadata: {name: etl}
spec:
  containers: [{name: a, image: a}, {name: b, image: b}]
  stepOverrides: [{name: a, backoffLimit: 1}]
  podFailurePolicy: {rules: [{action: Ignore, onExitCodes: {containerName: a, operator: In, values: [1]}}]}
`)
	made, err := rerunOf(old, "etl-2", "b")
	if err != nil {
		t.Fatal(err)
	}
	wantYAML(t, made, `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata: {name: etl-2}
spec: {containers: [{name: b, image: b}]}
`)
}

func TestARerunFromAStepThatIsNoneOfThem(t *testing.T) {
	for step, want := range map[string]string{
		"publish": "etl has no such step: name one of extract, transform, load",
		"notify":  "it is one of spec.finally, which runs in any case: name one of extract, transform, load",
	} {
		_, err := rerunOf(fromYAML(t, oldSequence), "etl-2", step)
		if ExitCode(err) != ExitError || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", step, err, want)
		}
	}
}

func TestWhatFromMayName(t *testing.T) {
	for from, want := range map[string]string{
		"sj/etl": "etl", "sequentialjob/etl": "etl", "SequentialJobs/etl": "etl", "sequentialjob.batch.example.com/etl": "etl", "etl": "etl",
		"job/etl": "", "sj/": "", "": "",
	} {
		name, err := parseSource(from)
		if name != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", from, name, err)
		}
	}
}

func TestApprovalsOfARerun(t *testing.T) {
	made := fromYAML(t, `{spec: {stepOverrides: [{name: a, suspend: true}, {name: b, suspend: false}, {name: c, backoffLimit: 1}]}}`)
	if diff := cmp.Diff([]approval{{"a", true}, {"b", false}}, approvalsOf(made), cmp.AllowUnexported(approval{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFieldsThatAnOlderServerDropsAreNamed(t *testing.T) {
	sent := fromYAML(t, `{spec: {containers: [], cancel: false, finally: []}}`)
	got := fromYAML(t, `{spec: {containers: [], retries: 0}}`)
	if diff := cmp.Diff([]string{"spec.cancel", "spec.finally"}, lostFields(sent, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A tool that finds its mark on what its sources do not have deletes it.
func TestACopyIsNotTakenForWhatATeamsToolsMade(t *testing.T) {
	old := fromYAML(t, `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata:
  name: etl
  labels:
    app: etl
    app.kubernetes.io/name: etl
    app.kubernetes.io/instance: etl-prod
    app.kubernetes.io/managed-by: Helm
    helm.sh/chart: etl-1.0.0
    kustomize.toolkit.fluxcd.io/name: etl
  annotations:
    team: data
    argocd.argoproj.io/tracking-id: "etl:batch.example.com/SequentialJob:data/etl"
    meta.helm.sh/release-name: etl
    kubectl.kubernetes.io/last-applied-configuration: "{}"
spec:
  containers: [{name: a, image: i}]
`)
	made, err := rerunOf(old, "etl-2", "")
	if err != nil {
		t.Fatal(err)
	}
	wantYAML(t, made, `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata:
  name: etl-2
  labels: {app: etl, app.kubernetes.io/name: etl}
  annotations: {team: data}
spec:
  containers: [{name: a, image: i}]
`)
}
