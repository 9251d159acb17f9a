//go:build integration

package api_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Up to Kubernetes 1.36, an API server puts the type of the value into its messages.
var typeOfValue = regexp.MustCompile(`Invalid value: "(object|array)": `)

// artifacts/invalid/README.md describes the files.
func TestIntegrationInvalid(t *testing.T) {
	s := newServer(t)
	for _, file := range files(t, "artifacts", "invalid", "*.yaml") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			raw := read(t, file)
			wanted := expectations(raw)
			if len(wanted) == 0 {
				t.Fatal("the file does not say what to expect")
			}
			err := s.submit(t, decode(t, raw))
			if err == nil {
				t.Fatal("accepted")
			}
			message := typeOfValue.ReplaceAllString(err.Error(), "Invalid value: ")
			for _, want := range wanted {
				if !strings.Contains(message, want) {
					t.Errorf("the message lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func expectations(raw []byte) []string {
	var out []string
	for line := range strings.Lines(string(raw)) {
		if want, found := strings.CutPrefix(line, "# expect: "); found {
			out = append(out, strings.TrimSpace(want))
		}
	}
	return out
}

// submit returns the API server's answer to the last document.
func (s *server) submit(t *testing.T, documents []*unstructured.Unstructured) error {
	t.Helper()
	if len(documents) == 1 {
		_, err := s.sj.Create(t.Context(), documents[0], strict)
		return err
	}
	if len(documents) != 3 {
		t.Fatalf("%d documents instead of 1 or 3", len(documents))
	}
	created := s.create(t, documents[0])
	s.writeStatus(t, created.GetName(), documents[1].Object["status"])
	return s.edit(t, documents[2])
}

func TestIntegrationExamplesAreAccepted(t *testing.T) {
	s := newServer(t)
	seen := 0
	for _, file := range files(t, "artifacts", "examples", "*.yaml") {
		for _, o := range decode(t, read(t, file)) {
			if o.GetKind() != "SequentialJob" {
				continue
			}
			seen++
			options := strict
			options.DryRun = []string{metav1.DryRunAll}
			if _, err := s.sj.Create(t.Context(), o, options); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if seen == 0 {
		t.Error("no SequentialJob among the examples")
	}
}

func TestIntegrationAccepted(t *testing.T) {
	const step = "{name: extract, image: data-tools/extractor:v1}"
	s := newServer(t)
	for name, text := range map[string]string{
		"one-step":                   `spec: {containers: [` + step + `]}`,
		"template-empty":             `spec: {containers: [` + step + `], template: {}}`,
		"template-null":              `spec: {containers: [` + step + `], template: null}`,
		"template-spec-null":         `spec: {containers: [` + step + `], template: {metadata: null, spec: null}}`,
		"template-containers-absent": `spec: {containers: [` + step + `], template: {spec: {serviceAccountName: pipeline}}}`,
		"template-containers-null":   `spec: {containers: [` + step + `], template: {spec: {containers: null}}}`,
		"template-containers-empty":  `spec: {containers: [` + step + `], template: {spec: {containers: []}}}`,
		"metadata-as-generated":      `spec: {containers: [` + step + `], template: {metadata: {creationTimestamp: null, name: etl, namespace: default}}}`,
		"empty-fields":               `spec: {containers: [{name: extract, image: i, env: null, args: null, resources: {}}], template: {metadata: {labels: null}, spec: {volumes: null}}}`,
		"restart-on-failure":         `spec: {containers: [` + step + `], template: {spec: {restartPolicy: OnFailure}}}`,
		"only-args":                  `spec: {containers: [{name: extract, image: i, args: [a]}]}`,
		strings.Repeat("n", 52):      `spec: {containers: [` + step + `]}`,
		"step-name-63-characters":    `spec: {containers: [{name: ` + strings.Repeat("s", 63) + `, image: i}]}`,
		"reserved-labels":            `spec: {containers: [` + step + `], template: {metadata: {labels: {batch.example.com/step-name: mine, job-name: mine}}}}`,
		"hundred-steps":              `spec: {containers: [` + steps(100, "") + `]}`,
		"largest":                    largest(),
		"full":                       string(read(t, "testdata/full.yaml")),
	} {
		t.Run(name, func(t *testing.T) {
			o := object(t, text)
			o.SetName(name)
			s.create(t, o)
		})
	}
}
func steps(n int, more string) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("{name: step-%d, image: busybox%s}", i, more))
	}
	return strings.Join(out, ", ")
}

// largest makes the rules do as much as the schema allows: 100 steps with 50 mounts each, every one of the last of 50
// volumes. The API server stops rules that cost too much.
func largest() string {
	var mounts, volumes, inits []string
	long := func(kind string, i int) string { return fmt.Sprintf("%s-%s-%d", kind, strings.Repeat("x", 50), i) }
	for i := range 50 {
		volumes = append(volumes, fmt.Sprintf("{name: %s, emptyDir: {}}", long("v", i)))
		mounts = append(mounts, fmt.Sprintf("{name: %s, mountPath: /%d}", long("v", 49), i))
	}
	list := strings.Join(mounts, ", ")
	for i := range 50 {
		inits = append(inits, fmt.Sprintf("{name: %s, image: i, volumeMounts: [%s]}", long("i", i), list))
	}
	return `spec: {containers: [` + steps(100, ", volumeMounts: ["+list+"]") + `], template: {spec: {volumes: [` +
		strings.Join(volumes, ", ") + `], initContainers: [` + strings.Join(inits, ", ") + `]}}}`
}
