//go:build integration

package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

// What a Go client reads it can write back, with another label or suspended, wherever the sequence stands.
func TestIntegrationGoClientUpdatesInEveryPhase(t *testing.T) {
	const objects = 8
	s := newServer(t)
	clientset, err := versioned.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	client := clientset.BatchV1alpha1().SequentialJobs(s.ns)
	g, step := newGenerator(t, 1)
	suspend, resume := true, false
	for i := range objects {
		for phase, status := range phases() {
			name := fmt.Sprintf("%s-%d", strings.ToLower(phase), i)
			o := g.sequentialJob(step)
			o.SetName(name)
			s.create(t, o)
			s.writeStatus(t, name, status)
			for change, apply := range map[string]func(*v1alpha1.SequentialJob){
				"nothing": func(*v1alpha1.SequentialJob) {},
				"label":   func(sj *v1alpha1.SequentialJob) { sj.Labels = map[string]string{"touched": "yes"} },
				"suspend": func(sj *v1alpha1.SequentialJob) { sj.Spec.Suspend = &suspend },
				"resume":  func(sj *v1alpha1.SequentialJob) { sj.Spec.Suspend = &resume },
			} {
				// As it was made, not as the update before left it.
				if err := s.edit(t, o.DeepCopy()); err != nil {
					t.Fatalf("%s: written back as it was made: %v", name, err)
				}
				sj, err := client.Get(t.Context(), name, metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				apply(sj)
				if _, err := client.Update(t.Context(), sj, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
					t.Fatalf("%s, %s: %v\nof %v", name, change, err, o.Object["spec"])
				}
			}
			sj, err := client.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.UpdateStatus(t.Context(), sj, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
				t.Fatalf("%s, status: %v", name, err)
			}
		}
	}
}

// The API server stops rules that cost too much: the more steps have started, and the more of them a client writes in other words.
func TestIntegrationGoClientUpdatesALongSequence(t *testing.T) {
	s := newServer(t)
	clientset, err := versioned.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	client := clientset.BatchV1alpha1().SequentialJobs(s.ns)
	var env []string
	for i := range 30 {
		env = append(env, fmt.Sprintf(`{name: V%d, value: ""}`, i))
	}
	for name, text := range map[string]string{
		"usual": `spec: {containers: [` + steps(100, `, env: [`+strings.Join(env, ", ")+`], resources: {limits: {cpu: 1000m}}, `+
			`livenessProbe: {httpGet: {port: 80, path: ""}, periodSeconds: 0}, securityContext: {capabilities: {drop: [ALL], add: []}}`) + `]}`,
		"largest": largest(),
	} {
		o := object(t, text)
		o.SetName(name)
		s.create(t, o)
		states := slices.Repeat([]string{"Completed"}, 100)
		s.writeStatus(t, name, started("Completed", states...))
		sj, err := client.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Update(t.Context(), sj, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func phases() map[string]any {
	withFinally := func(status any, phase, state string) any {
		out := status.(map[string]any)
		out["result"] = map[string]any{"type": phase, "time": "2026-01-01T00:00:00Z"}
		out["finally"] = []any{map[string]any{"name": "finally-0", "jobName": "job-f0", "jobUID": "uid-f0", "state": state}}
		return out
	}
	return map[string]any{
		"Ending":    withFinally(started("Running", "Completed", "Completed", "Completed"), "Completed", "Running"),
		"Pending":   map[string]any{"phase": "Pending"},
		"Running":   started("Running", "Completed", "Running"),
		"Suspended": started("Suspended", "Completed", "Running"),
		"Completed": withFinally(started("Completed", "Completed", "Completed", "Completed"), "Completed", "Completed"),
		"Failed":    withFinally(started("Failed", "Completed", "Failed"), "Failed", "Failed"),
	}
}

func (g *generator) sequentialJob(step map[string]any) *unstructured.Unstructured {
	var containers []any
	for i := range 3 {
		container := g.object(step).(map[string]any)
		container["name"] = fmt.Sprintf("step-%d", i)
		containers = append(containers, container)
	}
	atTheEnd := g.object(step).(map[string]any)
	atTheEnd["name"] = "finally-0"
	var overrides []any
	for _, name := range []string{"step-0", "step-1", "step-2", "finally-0"} {
		overrides = append(overrides, map[string]any{
			"name": name, "template": g.template(), "backoffLimit": g.pick(nil, int64(0), int64(2)), "suspend": g.pick(nil, true, false),
		})
	}
	o := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"containers":    containers,
		"finally":       []any{atTheEnd},
		"stepOverrides": overrides,
		"template": map[string]any{
			"metadata": map[string]any{"creationTimestamp": nil, "labels": g.pick(nil, map[string]any{}, map[string]any{"a": "b"})},
			"spec": map[string]any{
				"nodeSelector": g.pick(nil, map[string]any{}, map[string]any{"disk": nil}),
				"volumes": []any{
					map[string]any{"name": "a", "emptyDir": map[string]any{"sizeLimit": g.pick(quantities...)}},
					map[string]any{"name": "b", "ephemeral": map[string]any{"volumeClaimTemplate": map[string]any{
						"metadata": map[string]any{"creationTimestamp": g.pick(nil, "2024-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z")},
						"spec":     map[string]any{"resources": map[string]any{"requests": map[string]any{"storage": g.pick(quantities...)}}},
					}}},
				},
			},
		},
		"podFailurePolicy": g.pick(nil, map[string]any{"rules": []any{map[string]any{
			"action": "Ignore", "onPodConditions": []any{map[string]any{"type": "DisruptionTarget"}},
		}}}),
	}}}
	o.SetAPIVersion(v1alpha1.GroupVersion.String())
	o.SetKind("SequentialJob")
	return o
}

// template makes up what an override has.
func (g *generator) template() any {
	return g.pick(nil, map[string]any{}, map[string]any{"spec": nil}, map[string]any{
		"metadata": map[string]any{"creationTimestamp": nil, "annotations": g.pick(nil, map[string]any{}, map[string]any{"a": "b"})},
		"spec": map[string]any{
			"containers":      g.pick(nil, []any{}),
			"hostNetwork":     g.pick(nil, false, true),
			"nodeSelector":    g.pick(nil, map[string]any{}, map[string]any{"disk": "ssd"}),
			"resources":       map[string]any{"requests": map[string]any{"memory": g.pick(quantities...)}},
			"securityContext": g.pick(nil, map[string]any{}, map[string]any{"runAsUser": int64(0), "sysctls": []any{}}),
			"tolerations":     g.pick(nil, []any{}, []any{map[string]any{"key": "a", "value": ""}}),
			"initContainers":  []any{map[string]any{"name": "init", "image": g.pick("", "i"), "env": g.pick(nil, []any{})}},
			"volumes":         []any{map[string]any{"name": "a"}, map[string]any{"name": "c", "emptyDir": map[string]any{"sizeLimit": g.pick(quantities...)}}},
		},
	})
}

// A formatter, a reviewer or another tool writes the same in other words; while the sequence runs, and after its end.
func TestIntegrationTheSameManifestInOtherWords(t *testing.T) {
	s := newServer(t)
	for phase, status := range phases() {
		for name, words := range map[string][2]string{
			"cpu":      {`resources: {requests: {cpu: 1000m, memory: 1024Mi}}`, `resources: {requests: {cpu: 1, memory: 1Gi}, limits: {}}`},
			"defaults": {`env: [{name: A, value: ""}]`, `env: [{name: A}], args: [], stdin: false, workingDir: "", resources: {}, securityContext: null`},
			"divisor": {`env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]`,
				`env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: "0"}}}]`},
			"mounts": {`volumeMounts: [{name: a, mountPath: /a}]`, `volumeMounts: [{name: a, mountPath: /a, readOnly: false, subPath: ""}]`},
		} {
			var err error
			for i, word := range words {
				o := object(t, `spec: {containers: [`+steps(3, ", "+word)+`], template: {spec: {volumes: [{name: a, emptyDir: {}}]}}}`)
				o.SetName(strings.ToLower(phase) + "-" + name)
				if _, err = s.sj.Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager}); err != nil {
					t.Errorf("%s: %v", o.GetName(), err)
				}
				if i == 0 {
					s.writeStatus(t, o.GetName(), status)
				}
			}
		}
	}
}

// What changes the meaning of a step that has started is still refused.
func TestIntegrationAChangeOfAStartedStepIsRefused(t *testing.T) {
	const step = `{name: a, image: i, command: [x], args: [w], env: [{name: A, value: v}, {name: B, valueFrom: {resourceFieldRef: ` +
		`{resource: limits.cpu, divisor: 1m}}}], resources: {limits: {cpu: 1000m}}, securityContext: {runAsUser: 0, capabilities: {drop: [ALL]}}, ` +
		`ports: [{containerPort: 80}], volumeMounts: [{name: a, mountPath: /a}], livenessProbe: {httpGet: {port: 80}}}`
	s := newServer(t)
	status := started("Running", "Running")
	o := object(t, `metadata: {name: started}`+"\n"+`spec: {containers: [`+step+`], template: {spec: {volumes: [{name: a, emptyDir: {}}]}}}`)
	s.create(t, o)
	s.writeStatus(t, o.GetName(), status)
	for from, to := range map[string]string{
		"name: a, image": "name: b, image", "image: i": "image: j", "[x]": "[x, z]", "[w]": "[]", "value: v": `value: ""`, "name: A": "name: C",
		"divisor: 1m": `divisor: "1"`, "cpu: 1000m": "cpu: 1001m", "limits: {cpu": "requests: {cpu", "runAsUser: 0, ": "", "[ALL]": "[SETUID]",
		"containerPort: 80": "containerPort: 81", "mountPath: /a": "mountPath: /a, readOnly: true", "{port: 80}": "{port: http}",
		"securityContext": "stdin: true, securityContext", "[{name: A, value: v}, ": "[",
	} {
		changed := strings.Replace(step, from, to, 1)
		if changed == step {
			t.Fatalf("nothing is changed by %q", from)
		}
		edit := object(t, `metadata: {name: started}`+"\n"+`spec: {containers: [`+changed+`], template: {spec: {volumes: [{name: a, emptyDir: {}}]}}}`)
		if err := s.edit(t, edit); err == nil || !strings.Contains(err.Error(), "a step that has started cannot be changed") {
			t.Errorf("%s to %s: %v", from, to, err)
		}
	}
}
