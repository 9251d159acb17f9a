package main

import (
	"strings"
	"testing"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

func isMap(s *schema) bool {
	return s.AdditionalProperties != nil && s.AdditionalProperties.Schema.Type == "string"
}

// A Go client that reads and updates is never refused: whatever a template of a started step holds, the way in which Go writes it
// is taken for the same.
func TestAGoClientCanWriteBackTheTemplateOfAStartedStep(t *testing.T) {
	crd := readInstalled(t)
	written, seen := 0, map[string]bool{}
	for _, p := range crd.places("spec", "stepOverrides", "[]", "template") {
		kind := string(encoded(t, withoutDescriptions(p.schema)))
		values := p.mayAccept(t)
		if seen[kind] && len(values) > 8 {
			// All values were tried at another place of the kind.
			values = values[:8]
		}
		seen[kind] = true
		for _, text := range values {
			var value any
			if err := utiljson.Unmarshal([]byte(text), &value); err != nil {
				t.Fatal(err)
			}
			object := running(stored(t, encoded(t, crd.with(p, value))))
			if len(crd.refusal(t, object, nil)) > 0 {
				continue
			}
			written++
			if isMap(p.schema) && strings.Contains(text, "null") || p.path[len(p.path)-1] == "{}" && text == "null" {
				// Go makes "" of null in a map of texts. There is no cheap way to see that this is the same.
				continue
			}
			if errs := crd.refusal(t, running(stored(t, encoded(t, roundTrip(t, object)))), object); len(errs) > 0 {
				t.Errorf("%s: %s: %v", p, text, strings.SplitN(errs.ToAggregate().Error(), ":", 2)[0])
			}
		}
	}
	t.Logf("%d objects were written back", written)
	if written < 1000 {
		t.Error("these are too few to prove anything")
	}
}

// What can be seen of a change of the template of a started step is refused.
func TestAChangeOfTheTemplateOfAStartedStepIsRefused(t *testing.T) {
	crd := readInstalled(t)
	object := func(template string) map[string]any {
		text := `{"apiVersion": "batch.example.com/v1alpha1", "kind": "SequentialJob", "metadata": {"name": "a"}, "spec": {` +
			`"containers": [{"name": "a", "image": "a"}], "stepOverrides": [{"name": "a", "template": ` + template + `}]}}`
		return running(stored(t, []byte(text)))
	}
	for _, change := range [][2]string{
		{`{}`, `null`},
		{`{"metadata": {"labels": {"a": "b"}}}`, `{"metadata": {"labels": {"a": "c"}}}`},
		{`{"metadata": {"annotations": {"a": "b"}}}`, `{"metadata": {}}`},
		{`{"spec": {"nodeSelector": {"disk": "ssd"}}}`, `{"spec": {"nodeSelector": {"disk": "hdd"}}}`},
		{`{"spec": {"tolerations": [{"key": "a"}]}}`, `{"spec": {"tolerations": [{"key": "b"}]}}`},
		{`{"spec": {"tolerations": [{"key": "a"}]}}`, `{"spec": {"tolerations": []}}`},
		{`{"spec": {"resources": {"limits": {"cpu": "1"}}}}`, `{"spec": {"resources": {"limits": {"cpu": "1001m"}}}}`},
		{`{"spec": {"securityContext": {"runAsUser": 0}}}`, `{"spec": {"securityContext": {}}}`},
		{`{"spec": {"initContainers": [{"name": "a-init", "image": "i"}]}}`, `{"spec": {"initContainers": [{"name": "a-init", "image": "j"}]}}`},
		{`{"spec": {"initContainers": [{"name": "a-init"}]}}`, `{"spec": {}}`},
		{`{"spec": {"volumes": [{"name": "v"}]}}`, `{"spec": {"volumes": [{"name": "w"}]}}`},
		{`{"spec": {"priorityClassName": "high"}}`, `{}`},
	} {
		for _, edit := range [][2]string{change, {change[1], change[0]}} {
			old, changed := object(edit[0]), object(edit[1])
			if errs := crd.refusal(t, old, nil); len(errs) > 0 {
				t.Fatalf("%s: %v", edit[0], errs)
			}
			if errs := crd.refusal(t, changed, old); len(errs) != 1 || errs[0].Field != "spec.stepOverrides" {
				t.Errorf("%s to %s: %v", edit[0], edit[1], errs)
			}
		}
	}
}
