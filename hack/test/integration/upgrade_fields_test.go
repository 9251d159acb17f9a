//go:build integration

package integration_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// An upgrade replaces the CRD and the controller, one after the other, and maybe only one of them.

// newerFields are the fields that yesterday's version did not have, below spec and status.
var newerFields = map[string][]string{"spec": {"stepOverrides", "finally", "cancel"}, "status": {"result", "finally", "progress.finallyRuns"}}

// crdOfYesterday makes of the CRD one without these fields and the rules that speak of them.
func crdOfYesterday(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(framework.Root, "manifests/crd.yaml"))
	framework.Must(t, err)
	crd := map[string]any{}
	framework.Must(t, yaml.Unmarshal(raw, &crd))
	versions, _, err := unstructured.NestedSlice(crd, "spec", "versions")
	framework.Must(t, err)
	schema := versions[0].(map[string]any)["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
	dropRules(schema)
	for top, fields := range newerFields {
		for _, field := range fields {
			path := []string{"properties", top}
			for part := range strings.SplitSeq(field, ".") {
				path = append(path, "properties", part)
			}
			if _, found, _ := unstructured.NestedFieldNoCopy(schema, path...); !found {
				t.Errorf("the CRD has no field %s.%s", top, field)
			}
			unstructured.RemoveNestedField(schema, path...)
		}
	}
	framework.Must(t, unstructured.SetNestedSlice(crd, versions, "spec", "versions"))
	out, err := yaml.Marshal(crd)
	framework.Must(t, err)
	return out
}

// dropRules takes off those of the whole object, of spec and of status that speak of newer fields.
func dropRules(schema map[string]any) {
	const key = "x-kubernetes-validations"
	properties, _ := schema["properties"].(map[string]any)
	for _, of := range []any{schema, properties["spec"], properties["status"]} {
		of, _ := of.(map[string]any)
		rules, _ := of[key].([]any)
		of[key] = slices.DeleteFunc(rules, func(rule any) bool {
			raw, _ := json.Marshal(rule) // it came from YAML
			return slices.ContainsFunc(newerFields["spec"], func(field string) bool { return strings.Contains(string(raw), field) })
		})
	}
}

// applyCRD replaces the CRD, and waits until the API server keeps newer fields, or does not.
func (c *cluster) applyCRD(file string, keeps bool) {
	c.T.Helper()
	out, err := framework.RunKubectl("apply", "--server-side", "--force-conflicts", "-f", file)
	if err != nil {
		c.T.Fatalf("apply %s: %v\n%s", file, err, out)
	}
	probe := framework.NewSequence("probe", "extract")
	probe.Spec.Cancel = new(true)
	c.EventuallyWithin(framework.Patience, "the CRD to be in force", func(context.Context) (bool, error) {
		// Not the context of the test, which is over when the CRD is put back; and a CRD that is replaced is not served for a moment.
		stored, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Create(context.Background(), probe, onlyTry)
		return err == nil && (stored.Spec.Cancel != nil) == keeps, nil
	})
}

// What the API server does not keep is as if it had not been asked for, and the controller does not write again and again what is lost.
func TestTodaysControllerWorksUnderYesterdaysCRD(t *testing.T) {
	c := &cluster{framework.NewClusterAlone(t, framework.ByHand)}
	file := filepath.Join(t.TempDir(), "crd.yaml")
	framework.Must(t, os.WriteFile(file, crdOfYesterday(t), 0o600))
	defer c.applyCRD(filepath.Join(framework.Root, "manifests/crd.yaml"), true)
	c.applyCRD(file, false)

	writes := map[string][]string{}
	for _, name := range []string{"plain", "newer"} {
		counter := &framework.RequestCounter{}
		stop := c.StartControllerVia(counter)
		sj := framework.NewSequence(name, "extract", "load")
		if name == "newer" {
			framework.WithFinally(sj, "notify")
			sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "load", Suspend: new(true), BackoffLimit: new(int32(0))}}
			sj.Spec.Cancel = new(true)
		}
		if stored := c.Create(sj).Spec; stored.Finally != nil || stored.StepOverrides != nil || stored.Cancel != nil {
			t.Fatalf("yesterday's CRD keeps %+v", stored)
		}
		c.EndJob(c.WaitForJob(name, name+"-0").Name, batchv1.JobComplete, "")
		c.EndJob(c.WaitForJob(name, name+"-1").Name, batchv1.JobComplete, "")
		c.WaitFor(name, "the end", func(sj *v1alpha1.SequentialJob) bool {
			return sj.Status.Phase == v1alpha1.SequentialJobCompleted && len(sj.Finalizers) == 0
		})
		stop()
		for _, write := range counter.Writes() {
			writes[name] = append(writes[name], strings.ReplaceAll(write, name, "NAME"))
		}
	}
	if diff := cmp.Diff(writes["plain"], writes["newer"]); diff != "" {
		t.Errorf("writes of a sequence with newer fields (-without +with):\n%s", diff)
	}
	c.Jobs.Want("plain-0", "plain-1", "newer-0", "newer-1")
}

// writeAsYesterday stores a status as yesterday's controller does, which knows nothing of the newer fields.
func (c *cluster) writeAsYesterday(change func(*v1alpha1.SequentialJobStatus)) {
	c.T.Helper()
	sj := c.Get("etl")
	sj.Status.Result, sj.Status.Finally, sj.Status.Progress.FinallyRuns = nil, nil, 0
	change(&sj.Status)
	_, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).UpdateStatus(c.T.Context(), sj, metav1.UpdateOptions{})
	framework.Must(c.T, err)
}

// Yesterday's controller takes over while spec.finally runs, ends the sequence or writes something else, and today's comes back: no step
// and nothing of spec.finally runs twice, and the sequence ends as its steps did.
func TestYesterdaysControllerInTheMiddleOfFinally(t *testing.T) {
	t.Parallel()
	endAs := func(phase v1alpha1.SequentialJobPhase) func(*v1alpha1.SequentialJobStatus) {
		return func(status *v1alpha1.SequentialJobStatus) {
			status.Phase, status.CompletionTime = phase, new(metav1.Now())
		}
	}
	for name, tc := range map[string]struct {
		step  batchv1.JobConditionType
		write func(*v1alpha1.SequentialJobStatus)
		more  []string // Jobs that today's controller creates afterwards
		phase v1alpha1.SequentialJobPhase
	}{
		"it ends a success": {step: batchv1.JobComplete, write: endAs(v1alpha1.SequentialJobCompleted), phase: v1alpha1.SequentialJobCompleted},
		"it ends a failure": {step: batchv1.JobFailed, write: endAs(v1alpha1.SequentialJobFailed), phase: v1alpha1.SequentialJobFailed},
		"it writes something else after a success": {
			step: batchv1.JobComplete, write: func(*v1alpha1.SequentialJobStatus) {}, more: []string{"etl-f1"}, phase: v1alpha1.SequentialJobCompleted,
		},
		"it writes something else after a failure": {
			step: batchv1.JobFailed, write: func(*v1alpha1.SequentialJobStatus) {}, more: []string{"etl-f1"}, phase: v1alpha1.SequentialJobFailed,
		},
	} {
		for _, running := range []bool{true, false} {
			title := name + ", while one runs"
			if !running {
				title = name + ", as one ends"
			}
			t.Run(title, func(t *testing.T) {
				c := newByHandCluster(t)
				stop := c.StartController()
				c.Create(framework.WithFinally(framework.NewSequence("etl", "extract"), "notify", "unlock"))
				c.WaitForJob("etl", "etl-0")
				c.EndJob("etl-0", tc.step, "")
				c.WaitForJob("etl", "etl-f0")
				stop()
				c.writeAsYesterday(tc.write)
				if !running {
					c.EndJob("etl-f0", batchv1.JobComplete, "")
				}
				c.StartController()
				if running {
					c.EndJob("etl-f0", batchv1.JobComplete, "")
				}
				for _, job := range tc.more {
					c.EndJob(c.WaitForJob("etl", job).Name, batchv1.JobComplete, "")
				}
				c.WaitForPhase("etl", tc.phase)
				// One that comes after it shows that the controller had time to do something wrong.
				c.Create(framework.NewSequence("barrier", "only"))
				c.EndJob(c.WaitForJob("barrier", "barrier-0").Name, batchv1.JobComplete, "")
				c.WaitForPhase("barrier", v1alpha1.SequentialJobCompleted)
				if phase := c.Get("etl").Status.Phase; phase != tc.phase {
					t.Errorf("phase %s, want %s", phase, tc.phase)
				}
				c.Jobs.Want(slices.Concat([]string{"etl-0", "etl-f0"}, tc.more, []string{"barrier-0"})...)
			})
		}
	}
}

// Afterwards a failed sequence is resumed: the completed step does not run again, and the sequence ends.
func TestASequenceThatYesterdaysControllerFailedGoesOn(t *testing.T) {
	c := newByHandCluster(t)
	stop := c.StartController()
	c.Create(framework.WithFinally(framework.NewSequence("etl", "extract", "load"), "notify"))
	c.EndJob(c.WaitForJob("etl", "etl-0").Name, batchv1.JobComplete, "")
	c.EndJob(c.WaitForJob("etl", "etl-1").Name, batchv1.JobFailed, "")
	c.EndJob(c.WaitForJob("etl", "etl-f0").Name, batchv1.JobComplete, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	stop()
	c.writeAsYesterday(func(*v1alpha1.SequentialJobStatus) {})
	c.Patch("etl", `{"spec":{"retries":1}}`)
	c.StartController()
	c.EndJob(c.WaitForJob("etl", "etl-1-r1").Name, batchv1.JobComplete, "")
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
	c.Jobs.Want("etl-0", "etl-1", "etl-f0", "etl-1-r1")
}
