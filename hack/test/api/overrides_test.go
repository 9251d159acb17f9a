//go:build integration

package api_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// ended is a status of a sequence whose steps have ended, and whose spec.finally has got so far.
func ended(phase, result string, steps []string, finally ...string) any {
	status := started(phase, steps...).(map[string]any)
	status["result"] = map[string]any{"type": result, "time": "2026-01-01T00:00:00Z"}
	if len(finally) > 0 {
		status["finally"] = started(phase, finally...).(map[string]any)["steps"]
	}
	// The rules for overrides go by the names of the steps.
	for list, names := range map[string][]string{"steps": {"extract", "load"}, "finally": {"report", "clean-up"}} {
		entries, _ := status[list].([]any)
		for i := range entries {
			entries[i].(map[string]any)["name"] = names[i]
		}
	}
	return status
}

func TestIntegrationPermittedEditsOfOverridesFinallyAndCancel(t *testing.T) {
	const (
		finally = `finally: [{name: report, image: "report:v1"}, {name: clean-up, image: "clean-up:v1"}], `
		other   = `finally: [{name: notify, image: "notify:v1"}], `
		ssd     = `template: {metadata: {labels: {a: b}}, spec: {nodeSelector: {disk: ssd}, tolerations: [{key: spot}], ` +
			`initContainers: [{name: proxy, image: i}]}}`
		inOtherWords = `template: {metadata: {labels: {a: b}, annotations: {}, creationTimestamp: null}, spec: {containers: null, hostNetwork: false, ` +
			`nodeSelector: {disk: ssd}, tolerations: [{key: spot, value: ""}], initContainers: [{name: proxy, image: i, resources: {}, args: []}], volumes: []}}`
	)
	both := []string{"Completed", "Completed"}
	running := ended("Running", "Failed", []string{"Completed", "Running"})
	delete(running.(map[string]any), "result")
	failed := ended("Failed", "Failed", []string{"Completed", "Failed"}, both...)
	atTheEnd := ended("Running", "Completed", both, "Running")
	completed := ended("Completed", "Completed", both, both...)
	override := func(name, more string) string { return `stepOverrides: [{name: ` + name + `, ` + more + `}], ` }
	for name, test := range map[string]struct {
		before string
		status any
		after  string
	}{
		"override-of-step-to-come":          {override("load", ssd), ended("Running", "Failed", []string{"Running"}), override("load", "backoffLimit: 1")},
		"override-in-other-words":           {override("load", ssd), running, override("load", inOtherWords)},
		"suspend-of-running-step":           {override("load", ssd), running, override("load", ssd+", suspend: true")},
		"suspend-of-completed-step":         {"", running, override("extract", "suspend: true")},
		"limits-of-running-step":            {override("load", ssd), running, override("load", ssd+", backoffLimit: 2, activeDeadlineSeconds: 60")},
		"order-of-overrides":                {`stepOverrides: [{name: load, ` + ssd + `}, {name: extract, suspend: true}]`, running, `stepOverrides: [{name: extract}, {name: load, ` + ssd + `}]`},
		"override-of-failed-step":           {override("load", ssd), failed, override("load", "template: {spec: {nodeSelector: {disk: hdd}}}")},
		"override-of-failed-step-removed":   {override("load", ssd), failed, ""},
		"override-of-finally-after-failure": {finally + override("report", ssd), failed, finally},
		"override-of-finally-to-come":       {finally, atTheEnd, finally + override("clean-up", ssd)},
		"limits-of-running-finally":         {finally, atTheEnd, finally + override("report", "activeDeadlineSeconds: 60")},
		"finally-before-the-end":            {finally, running, other},
		"finally-after-failure":             {finally, failed, other},
		"finally-removed-after-failure":     {finally, failed, ""},
		"finally-to-come":                   {finally, atTheEnd, strings.Replace(finally, "clean-up:v1", "clean-up:v2", 1)},
		"finally-to-come-removed":           {finally, atTheEnd, `finally: [{name: report, image: "report:v1"}], `},
		"finally-in-other-words":            {finally, completed, strings.ReplaceAll(finally, ":v1\"", ":v1\", resources: {}, env: []")},
		"cancel":                            {"", running, "cancel: true"},
		"cancel-of-completed":               {finally, completed, finally + "cancel: true"},
		"cancelled-suspended":               {"cancel: true", running, "cancel: true, suspend: true"},
		"cancel-false-removed":              {"cancel: false", running, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			o := object(t, sequence("extract, load", test.before))
			o.SetName(name)
			s.create(t, o)
			s.writeStatus(t, name, test.status)
			o = object(t, sequence("extract, load", test.after))
			o.SetName(name)
			if err := s.edit(t, o); err != nil {
				t.Error(err)
			}
		})
	}
}

// What such a step mounts is in a volume that only it has; the API server cannot see both at once for little.
func TestIntegrationAStepCanMountAVolumeOfItsOwn(t *testing.T) {
	s := newServer(t)
	const mounts = `volumeMounts: [{name: data, mountPath: /data}]`
	o := object(t, `metadata: {name: own}`+"\n"+`spec: {containers: [{name: a, image: i, `+mounts+`}], finally: [{name: b, image: i, `+mounts+`}], `+
		`stepOverrides: [{name: a, template: {spec: {volumes: [{name: data, emptyDir: {}}]}}}, {name: b, template: {spec: {volumes: [{name: data, emptyDir: {}}]}}}]}`)
	s.create(t, o)
}

// The API server stops rules that cost too much: here each has as much to do as the schema allows.
func TestIntegrationLargestOverridesAndFinally(t *testing.T) {
	s := newServer(t)
	o := object(t, largestOfAll())
	o.SetName("largest-of-all")
	o.SetFinalizers([]string{v1alpha1.CleanupFinalizer})
	s.create(t, o)
	status := ended("Completed", "Completed", []string{"Completed", "Completed"}, "Completed", "Completed").(map[string]any)
	var entries []any
	for i := range 100 {
		entries = append(entries, map[string]any{"name": fmt.Sprintf("step-%d", i), "jobName": "j", "jobUID": "u", "state": "Completed"})
	}
	status["steps"] = entries
	s.writeStatus(t, o.GetName(), status)
	sj, err := s.typed(t).Get(t.Context(), o.GetName(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.typed(t).Update(t.Context(), sj, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
		t.Error(err)
	}
	if _, err := s.sj.Patch(t.Context(), o.GetName(), types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
}

// largestOfAll adds to largest what spec.finally and spec.stepOverrides can have.
func largestOfAll() string {
	list := func(n int, item string) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(item, i))
		}
		return strings.Join(out, ", ")
	}
	mounts := list(50, "{name: data, mountPath: /%d}")
	own := `template: {metadata: {labels: {a: b}}, spec: {containers: [], tolerations: [` + list(20, `{key: t%d, value: ""}`) + `], ` +
		`initContainers: [` + list(50, "{name: init-%d, image: i}") + `], resources: {limits: {cpu: 1000m}}}}`
	return `spec: {containers: [` + steps(100, ", volumeMounts: ["+mounts+"]") + `], ` +
		`finally: [` + list(20, "{name: finally-%d, image: busybox, volumeMounts: ["+strings.ReplaceAll(mounts, "%", "%%")+"]}") + `], ` +
		`stepOverrides: [` + list(100, "{name: step-%d, "+own+"}") + `, ` + list(20, "{name: finally-%d, "+own+"}") + `], ` +
		`podFailurePolicy: {rules: [` + list(20, "{action: Ignore, onExitCodes: {containerName: init-49, operator: In, values: [1%d]}}") + `]}, ` +
		`template: {spec: {volumes: [` + list(49, "{name: v%d, emptyDir: {}}") + `, {name: data, emptyDir: {}}]}}}`
}
