package compat

import (
	"encoding/json"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// healthCheck is the script in docs/integrations.md that goes into argocd-cm.
func healthCheck(t *testing.T) string {
	t.Helper()
	_, rest, _ := strings.Cut(read(t, "../../docs/integrations.md"), "resource.customizations.health.batch.example.com_SequentialJob: |\n")
	script, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/integrations.md has no health check for Argo CD")
	}
	return script
}

func TestArgoCDHealthCheck(t *testing.T) {
	script := healthCheck(t)
	want := map[string]string{
		"just created":           "Progressing",
		"cannot start yet":       "Progressing",
		"first step runs":        "Progressing",
		"second step runs":       "Progressing",
		"waits for a queue":      "Suspended",
		"suspended":              "Suspended",
		"suspended from birth":   "Suspended",
		"failed":                 "Degraded",
		"retry asked for":        "Progressing",
		"retried":                "Progressing",
		"completed after retry":  "Healthy",
		"completed":              "Healthy",
		"completed, then edited": "Progressing",
		"being deleted":          "Progressing",
	}
	for name, sj := range stages() {
		t.Run(name, func(t *testing.T) {
			state := lua.NewState()
			defer state.Close()
			state.SetGlobal("obj", toLua(t, state, toUnstructured(t, sj).Object))
			if err := state.DoString(script); err != nil {
				t.Fatal(err)
			}
			health, ok := state.Get(-1).(*lua.LTable)
			if !ok {
				t.Fatalf("it returned %s", state.Get(-1))
			}
			if got := health.RawGetString("status").String(); got != want[name] {
				t.Errorf("%s (%s), want %s", got, health.RawGetString("message"), want[name])
			}
		})
	}
}

// toLua gives an object to the script as Argo CD does: as tables, from JSON.
func toLua(t *testing.T, state *lua.LState, value any) lua.LValue {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, element := range value {
			table.RawSetString(key, toLua(t, state, element))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, element := range value {
			table.Append(toLua(t, state, element))
		}
		return table
	case nil:
		return lua.LNil
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var number float64
	if err := json.Unmarshal(encoded, &number); err != nil {
		t.Fatal(err)
	}
	return lua.LNumber(number)
}
