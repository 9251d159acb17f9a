package main

import (
	"encoding/json"
	"testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// A value of every kind at every place of a step: what Go makes of it is taken for the same, and so is another text of the
// same meaning; any other value is noticed.
func TestAStartedStepIsComparedByWhatItMeans(t *testing.T) {
	crd := readInstalled(t)
	same, other, seen := 0, 0, map[string]bool{}
	for _, p := range crd.places("spec", "containers", "[]") {
		most := 100
		if kind := string(encoded(t, withoutDescriptions(p.schema))); seen[kind] {
			// All values were tried at another place of the kind.
			most = 3
		} else {
			seen[kind] = true
		}
		objects := crd.variants(t, p, most)
		for i, object := range objects {
			if errs := crd.refusal(t, running(stored(t, encoded(t, roundTrip(t, object)))), object); len(errs) > 0 {
				t.Errorf("%s: an update by a Go client that changes nothing is refused: %s: %v", p, encoded(t, object), errs)
			}
			for _, old := range []map[string]any{objects[0], objects[max(i-1, 0)]} {
				means, accepted := equality.Semantic.DeepEqual(meaning(t, object), meaning(t, old)), len(crd.refusal(t, object, old)) == 0
				if means != accepted {
					t.Errorf("%s: the same: %t, accepted: %t: of %s to %s", p, means, accepted, encoded(t, old), encoded(t, object))
				}
				if means {
					same++
				} else {
					other++
				}
			}
		}
	}
	t.Logf("%d changes of the text alone, %d of the meaning", same, other)
	if same < 500 || other < 500 {
		t.Error("these are too few to prove anything")
	}
}

// variants are running sequences with each value that is accepted at that place, and one without.
func (crd *installed) variants(t *testing.T, p place, most int) (out []map[string]any) {
	t.Helper()
	without := running(stored(t, encoded(t, crd.with(place{path: p.path[:len(p.path)-1]}, sampleAt(crd.schema, p.path[:len(p.path)-1])))))
	if len(crd.refusal(t, without, nil)) == 0 {
		out = append(out, without)
	}
	for _, text := range p.mayAccept(t) {
		if len(out) > most {
			break
		}
		var value any
		if err := utiljson.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		object := running(stored(t, encoded(t, crd.with(p, value))))
		if len(crd.refusal(t, object, nil)) == 0 {
			out = append(out, object)
		}
	}
	return out
}

func withoutDescriptions(s *schema) *schema {
	s = s.DeepCopy()
	walk(s, func(s *schema) { s.Description = "" })
	return s
}

func sampleAt(s *schema, path []string) any {
	for _, name := range path {
		s = child(s, name)
	}
	return sample(s)
}

func running(object map[string]any) map[string]any {
	// What the steps mount is there.
	object["spec"].(map[string]any)["template"] = map[string]any{"spec": map[string]any{"volumes": []any{
		map[string]any{"name": "a", "emptyDir": map[string]any{}},
	}}}
	object["status"] = map[string]any{"phase": "Running", "steps": []any{
		map[string]any{"name": "a", "jobName": "a-0", "jobUID": "uid", "state": "Running"},
	}}
	return object
}

func roundTrip(t *testing.T, object map[string]any) *v1alpha1.SequentialJob {
	t.Helper()
	job, err := decode(encoded(t, object))
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// meaning is the step as Go has it, without what is empty.
func meaning(t *testing.T, object map[string]any) (step corev1.Container) {
	t.Helper()
	text := encoded(t, roundTrip(t, object).Spec.Containers[0])
	if err := json.Unmarshal(encoded(t, withoutEmpty(stored(t, text))), &step); err != nil {
		t.Fatal(err)
	}
	return step
}

func withoutEmpty(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			if below = withoutEmpty(below); below == nil {
				delete(v, key)
			} else {
				v[key] = below
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = withoutEmpty(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	}
	return value
}
