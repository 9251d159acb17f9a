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

func TestIntegrationPermittedEdits(t *testing.T) {
	const before = `extract, transform, load`
	none, running := map[string]any{}, started("Running", "Completed", "Running")
	failed, completed := started("Failed", "Completed", "Failed"), started("Completed", "Completed", "Completed", "Completed")
	for name, test := range map[string]struct {
		status any
		edit   string
	}{
		"anything-before-the-start":       {none, sequence("check, load, extract", "")},
		"step-to-come-changed":            {running, sequence("extract, transform, load=loader:v2", "")},
		"step-to-come-renamed":            {running, sequence("extract, transform, publish", "")},
		"step-to-come-removed":            {running, sequence("extract, transform", "")},
		"steps-added":                     {running, sequence("extract, transform, check, load, report", "")},
		"steps-to-come-reordered":         {started("Running", "Running"), sequence("extract, load, transform", "")},
		"template-and-limits":             {running, sequence(before, "backoffLimit: 3, template: {metadata: {labels: {a: b}}, spec: {nodeSelector: {disk: ssd}}}")},
		"failed-step-changed":             {failed, sequence("extract, transform=transformer:v2, load", "")},
		"failed-step-renamed":             {failed, sequence("extract, convert, load", "")},
		"step-put-before-the-failed-step": {failed, sequence("extract, check, transform, load", "")},
		"invalid-before-the-start":        {map[string]any{"phase": "Failed"}, sequence("check, load", "")},
		"template-of-completed-sequence":  {completed, sequence(before, "template: {metadata: {labels: {a: b}}}")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			o := object(t, sequence(before, ""))
			o.SetName(name)
			s.create(t, o)
			s.writeStatus(t, name, test.status)
			o = object(t, test.edit)
			o.SetName(name)
			if err := s.edit(t, o); err != nil {
				t.Error(err)
			}
		})
	}
}

// sequence makes an object of steps, each a name or `name=image`.
func sequence(steps, more string) string {
	var out []string
	for step := range strings.SplitSeq(steps, ", ") {
		name, image, found := strings.Cut(step, "=")
		if !found {
			image = name + ":v1"
		}
		out = append(out, fmt.Sprintf("{name: %s, image: %s}", name, image))
	}
	return fmt.Sprintf("spec: {containers: [%s], %s}", strings.Join(out, ", "), more)
}

// started is a status whose first steps have these states.
func started(phase string, states ...string) any {
	var steps []any
	for i, state := range states {
		steps = append(steps, map[string]any{
			"name": fmt.Sprintf("step-%d", i), "jobName": fmt.Sprintf("job-%d", i), "jobUID": fmt.Sprintf("uid-%d", i), "state": state,
		})
	}
	return map[string]any{"phase": phase, "steps": steps}
}

// The controller removes its finalizer from objects whatever their status says; else they could not be deleted.
func TestIntegrationFinalizerCanAlwaysBeRemoved(t *testing.T) {
	for name, status := range map[string]any{
		"running":                     started("Running", "Completed", "Running"),
		"completed":                   started("Completed", "Completed", "Completed", "Completed"),
		"more-started-than-there-are": started("Completed", "Completed", "Completed", "Completed", "Completed", "Completed"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			o := object(t, sequence("extract, transform, load", ""))
			o.SetName(name)
			o.SetFinalizers([]string{v1alpha1.CleanupFinalizer})
			s.create(t, o)
			s.writeStatus(t, name, status)
			if err := s.sj.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.sj.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}
