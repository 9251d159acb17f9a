//go:build integration

package api_test

import (
	"math/rand"
	"slices"
	"strings"
	"testing"
)

// generator makes up containers from the schema, in all the ways in which the same can be written: zero, empty, null or absent,
// and quantities as they come.
type generator struct{ *rand.Rand }

var quantities = []any{"1000m", "1", "1024Mi", "1Gi", "0.5", ".5", "5.", "1e3", "1E3", "+2", "0", "00", "1500m", "2000k", int64(2), int64(0)}

// newGenerator returns a generator, and the schema of a step.
func newGenerator(t *testing.T, seed int64) (*generator, map[string]any) {
	t.Helper()
	versions := readCRD(t).Object["spec"].(map[string]any)["versions"].([]any)
	schema := versions[0].(map[string]any)["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
	for _, name := range []string{"spec", "containers"} {
		schema = schema["properties"].(map[string]any)[name].(map[string]any)
	}
	return &generator{rand.New(rand.NewSource(seed))}, schema["items"].(map[string]any)
}

func (g *generator) value(schema map[string]any, name string) any {
	kind, _ := schema["type"].(string)
	pattern, _ := schema["pattern"].(string)
	switch {
	case schema["nullable"] == true && g.Intn(6) == 0:
		return nil
	case schema["x-kubernetes-int-or-string"] == true && pattern != "":
		return g.pick(quantities...)
	case schema["x-kubernetes-int-or-string"] == true:
		return g.pick(int64(80), "http")
	case kind == "object":
		return g.object(schema)
	case kind == "array":
		return g.list(schema, name)
	case kind == "integer":
		return g.pick(int64(1), int64(7))
	case kind == "boolean":
		return g.pick(true, false)
	case pattern != "" && strings.Contains(pattern, "|"):
		return g.pick(toAny(strings.Split(strings.Trim(pattern, "^()$"), "|"))...)
	case schema["enum"] != nil:
		return g.pick(schema["enum"].([]any)...)
	case pattern != "" || schema["minLength"] != nil || slices.Contains([]string{"name", "image"}, name):
		return "a"
	default:
		return g.pick("", "a", "b")
	}
}

func (g *generator) object(schema map[string]any) any {
	out := map[string]any{}
	if values, isMap := schema["additionalProperties"].(map[string]any); isMap {
		for _, key := range []string{"cpu", "memory"}[:g.Intn(3)] {
			out[key] = g.value(values, key)
		}
		return out
	}
	required, _ := schema["required"].([]any)
	for name, property := range schema["properties"].(map[string]any) {
		if slices.Contains(required, any(name)) || g.Intn(4) == 0 {
			out[name] = g.value(property.(map[string]any), name)
		}
	}
	return out
}

func (g *generator) list(schema map[string]any, name string) any {
	out := []any{}
	most := 3
	if schema["x-kubernetes-list-type"] == "set" {
		// Its items differ.
		most = 2
	}
	for range g.Intn(most) {
		out = append(out, g.value(schema["items"].(map[string]any), name+"[]"))
	}
	return out
}

func (g *generator) pick(from ...any) any { return from[g.Intn(len(from))] }

func toAny(texts []string) (out []any) {
	for _, text := range texts {
		out = append(out, text)
	}
	return out
}
