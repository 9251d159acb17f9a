package kubectl

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// document is what an API server publishes that knows these fields of a SequentialJob.
func document(t *testing.T, fields []string) []byte {
	t.Helper()
	root := map[string]any{}
	for _, path := range fields {
		at := root
		for name := range strings.SplitSeq(path, ".") {
			properties, ok := at["properties"].(map[string]any)
			if !ok {
				properties = map[string]any{}
				at["properties"] = properties
			}
			if properties[name] == nil {
				properties[name] = map[string]any{}
			}
			at = properties[name].(map[string]any)
		}
	}
	root["x-kubernetes-group-version-kind"] = []any{map[string]any{"group": "batch.example.com", "kind": "SequentialJob"}}
	raw, err := json.Marshal(map[string]any{"components": map[string]any{"schemas": map[string]any{
		"SequentialJob": root,
		"List":          map[string]any{"x-kubernetes-group-version-kind": []any{map[string]any{"kind": "SequentialJobList"}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestFieldsOfTheCRDAreCompared(t *testing.T) {
	known := knownFields()
	drop := func(prefixes ...string) []string {
		return slices.DeleteFunc(slices.Clone(known), func(field string) bool {
			return slices.ContainsFunc(prefixes, func(prefix string) bool { return field == prefix || strings.HasPrefix(field, prefix+".") })
		})
	}
	for name, tc := range map[string]struct {
		served []string
		want   string
		fits   fit
	}{
		"the same":       {known, "batch.example.com/v1alpha1, with the fields that this plugin knows", fitYes},
		"older":          {drop("spec.cancel", "spec.stepOverrides"), "older: lacks spec.cancel, spec.stepOverrides: update the CRD and the controller", fitNo},
		"older, within":  {drop("status.steps.message"), "older: lacks status.steps.message: update the CRD and the controller", fitNo},
		"newer":          {append(slices.Clone(known), "spec.parallel"), "newer: has spec.parallel, which this plugin does not know: update the plugin", fitNo},
		"newer, within":  {append(slices.Clone(known), "spec.stepOverrides.image"), "newer: has spec.stepOverrides.image, which this plugin does not know: update the plugin", fitNo},
		"another branch": {append(drop("spec.cancel"), "spec.stop"), "another one: lacks spec.cancel; has spec.stop, which this plugin does not know", fitNo},
		// What is in a container differs from Kubernetes to Kubernetes.
		"in Kubernetes' own types": {append(slices.Clone(known), "spec.containers.image", "spec.template.spec", "status.conditions.type"),
			"batch.example.com/v1alpha1, with the fields that this plugin knows", fitYes},
		"not installed": {nil, "not installed: install it, for example with `make deploy`", fitNo},
	} {
		t.Run(name, func(t *testing.T) {
			served, err := servedFields(document(t, tc.served))
			if err != nil {
				t.Fatal(err)
			}
			report := &crdReport{Installed: len(served) > 0, Lacks: without(known, served), Adds: without(served, known)}
			if report.String() != tc.want || report.fits() != tc.fits {
				t.Errorf("%s: %q", report.fits(), report)
			}
		})
	}
}

func TestKnownFieldsGoAsDeepAsTheTypesOfThisAPI(t *testing.T) {
	known := knownFields()
	for _, field := range []string{"spec.containers", "spec.cancel", "spec.stepOverrides.suspend", "status.steps.jobUID", "status.progress.currentStep"} {
		if !slices.Contains(known, field) {
			t.Errorf("%s is missing", field)
		}
	}
	for _, field := range known {
		if strings.HasPrefix(field, "spec.containers.") || strings.HasPrefix(field, "spec.template.") {
			t.Errorf("%s is Kubernetes' own", field)
		}
	}
}

func deployment() *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "batch-system", Name: "controller", Labels: map[string]string{"app.kubernetes.io/name": "sequential-job-operator"}},
		Spec: appsv1.DeploymentSpec{Replicas: new(int32(2)), Template: corev1.PodTemplateSpec{
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: "registry/controller:v1"}}}}},
		Status: appsv1.DeploymentStatus{ReadyReplicas: 1},
	}
}

func lease(holder string, renewed time.Time) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "batch-system", Name: "sequentialjob-controller"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: new(metav1.NewMicroTime(renewed))},
	}
}

func TestWhetherAControllerWorks(t *testing.T) {
	const found = "batch-system/controller, image registry/controller:v1, 1 of 2 ready; "
	const hour = time.Hour
	for name, tc := range map[string]struct {
		holder  string
		renewed time.Duration // before now; 0 if there is no lease
		renews  bool
		isThere bool
		want    string
		fits    fit
	}{
		"it does":                         {"pod-a_1234", time.Second, false, true, found + "pod-a works", fitYes},
		"its clock is an hour behind":     {"pod-a_1234", hour, true, true, found + "pod-a works", fitYes},
		"it has ended":                    {"pod-a_1234", hour, false, true, found + "none works; the lease batch-system/sequentialjob-controller is not renewed: see `kubectl get pods -n batch-system`", fitNo},
		"it gave its lease back":          {"", time.Second, false, true, found + "none works; the lease batch-system/sequentialjob-controller is not renewed: see `kubectl get pods -n batch-system`", fitNo},
		"it has never begun":              {"", 0, false, true, found + "none works; no replica has ever begun to work: see `kubectl describe pods -n batch-system`", fitNo},
		"it is not there, or not visible": {"", 0, false, false, "no Deployment has the label app.kubernetes.io/name=sequential-job-operator: install it with `make deploy`, unless it runs elsewhere", fitUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kube := fake.NewClientset()
				if tc.isThere {
					kube = fake.NewClientset(deployment())
				}
				begun := time.Now()
				kube.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
					at := begun.Add(-tc.renewed)
					if tc.renews {
						at = at.Add(time.Since(begun))
					}
					return tc.renewed > 0, lease(tc.holder, at), nil
				})
				tool := &Tool{Name: "kubectl sj"}
				report := tool.inspectController(t.Context(), Clients{Kube: kube})
				if diff := cmp.Diff(tc.want, report.String()); diff != "" || report.fits() != tc.fits {
					t.Errorf("%s (-want +got):\n%s", report.fits(), diff)
				}
			})
		})
	}
}

func TestWhoMayNotSeeTheControllerLearnsWhomToAsk(t *testing.T) {
	kube := fake.NewClientset()
	kube.PrependReactor("*", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	})
	report := (&Tool{Name: "kubectl sj"}).inspectController(t.Context(), Clients{Kube: kube})
	for _, want := range []string{
		`you may not list deployments.apps in namespace "sequential-operator-system": ask for that, or have somebody who may run ` + "`kubectl sj version`",
		`you may not get leases.coordination.k8s.io in namespace "sequential-operator-system"`,
	} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("%q is missing: %s", want, report)
		}
	}
	if report.fits() != fitUnknown {
		t.Errorf("fits: %s", report.fits())
	}
}

func TestAVersionReport(t *testing.T) {
	report := versionReport{
		Client:     clientVersion{Version: "v1.2.3", Commit: "0123456789abcdef0123", GoVersion: "go1.26", Platform: "linux/amd64"},
		CRD:        &crdReport{Installed: true, Lacks: []string{"spec.cancel"}},
		Controller: &controllerReport{Deployment: "a/b", Image: "i", Ready: 2, Replicas: 2, Leader: "b-1", Works: fitYes},
	}
	report.Fits = report.fits()
	for output, want := range map[string]string{
		"": `SequentialJob plugin v1.2.3 (0123456789ab, go1.26, linux/amd64)
CRD: older: lacks spec.cancel: update the CRD and the controller
Controller: a/b, image i, 2 of 2 ready; b-1 works
They do not fit
`,
		"yaml": `client:
  commit: 0123456789abcdef0123
  goVersion: go1.26
  platform: linux/amd64
  version: v1.2.3
controller:
  deployment: a/b
  image: i
  leader: b-1
  readyReplicas: 2
  replicas: 2
  works: "yes"
crd:
  installed: true
  lacks:
  - spec.cancel
fits: "no"
`,
	} {
		var out bytes.Buffer
		if err := writeVersion(&out, report, output); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", output, diff)
		}
	}
}

func TestPartsFitOnlyIfAllDo(t *testing.T) {
	yes, no, unknown := &controllerReport{Works: fitYes}, &controllerReport{Works: fitNo}, &controllerReport{}
	same, older, hidden := &crdReport{Installed: true}, &crdReport{Installed: true, Lacks: []string{"a"}}, &crdReport{Problem: "a"}
	for _, tc := range []struct {
		crd        *crdReport
		controller *controllerReport
		want       fit
	}{
		{same, yes, fitYes}, {same, no, fitNo}, {same, unknown, fitUnknown}, {older, yes, fitNo}, {older, unknown, fitNo},
		{hidden, yes, fitUnknown}, {hidden, no, fitNo},
	} {
		if got := (versionReport{CRD: tc.crd, Controller: tc.controller}).fits(); got != tc.want {
			t.Errorf("%s and %s: %s, want %s", tc.crd, tc.controller, got, tc.want)
		}
	}
}
