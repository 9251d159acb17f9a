//go:build integration

package v1alpha1_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
)

var (
	crds           = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	namespaces     = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	sequentialJobs = v1alpha1.SchemeGroupVersion.WithResource("sequentialjobs")
)

const fieldManager = "crd-test"

// What kubectl sends: unknown fields are errors.
var strict = metav1.CreateOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict}

// server is the API server that KUBECONFIG names, with a namespace of the test's own.
type server struct {
	config *rest.Config
	client dynamic.Interface
	sj     dynamic.ResourceInterface
	ns     string
}

var install sync.Once

func newServer(t *testing.T) *server {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatalf("KUBECONFIG has to name a cluster to test against: %v", err)
	}
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	install.Do(func() { installCRD(t, client) })
	ns := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"generateName": "crd-test-"},
	}}
	ns, err = client.Resource(namespaces).Create(t.Context(), ns, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{config: config, client: client, sj: client.Resource(sequentialJobs).Namespace(ns.GetName()), ns: ns.GetName()}
	t.Cleanup(s.cleanUp)
	return s
}

func (s *server) cleanUp() {
	ctx := context.Background()
	_ = s.sj.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
	_ = s.client.Resource(namespaces).Delete(ctx, s.ns, metav1.DeleteOptions{})
}

func installCRD(t *testing.T, client dynamic.Interface) {
	t.Helper()
	crd := readCRD(t)
	if _, err := client.Resource(crds).Apply(t.Context(), crd.GetName(), crd, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
		t.Fatalf("install the CRD: %v", err)
	}
	// A changed schema is served a moment after it is stored: until a rule that was always there answers, and for as long
	// as the API server may take to swap the handler.
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		got, err := client.Resource(crds).Get(ctx, crd.GetName(), metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions")
		established := slices.ContainsFunc(conditions, func(c any) bool {
			condition := c.(map[string]any)
			return condition["type"] == "Established" && condition["status"] == "True"
		})
		if !established {
			return false, nil
		}
		_, err = client.Resource(sequentialJobs).Namespace("default").Create(ctx, object(t, `
metadata: {name: `+strings.Repeat("a", 53)+`}
spec: {containers: [{name: a, image: a}]}`), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsInvalid(err) && strings.Contains(err.Error(), "metadata.name"), nil
	})
	if err != nil {
		t.Fatalf("the CRD is not served: %v", err)
	}
}

// object reads one SequentialJob from YAML; apiVersion and kind may be left out.
func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	objects := decode(t, []byte(text))
	if len(objects) != 1 {
		t.Fatalf("%d objects instead of one", len(objects))
	}
	o := objects[0]
	o.SetAPIVersion(v1alpha1.SchemeGroupVersion.String())
	o.SetKind("SequentialJob")
	return o
}

func decode(t *testing.T, raw []byte) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		var o map[string]any
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		if o != nil {
			out = append(out, &unstructured.Unstructured{Object: o})
		}
	}
}

func files(t *testing.T, elements ...string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(append([]string{root}, elements...)...))
	if err != nil || len(found) == 0 {
		t.Fatalf("%v: %d files, error %v", elements, len(found), err)
	}
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s *server) create(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	created, err := s.sj.Create(t.Context(), o, strict)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// writeStatus writes a status in the controller's place.
func (s *server) writeStatus(t *testing.T, name string, status any) *unstructured.Unstructured {
	t.Helper()
	got, err := s.sj.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got.Object["status"] = status
	got, err = s.sj.UpdateStatus(t.Context(), got, metav1.UpdateOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		t.Fatalf("write status: %v", err)
	}
	return got
}

func (s *server) edit(t *testing.T, o *unstructured.Unstructured) error {
	t.Helper()
	got, err := s.sj.Get(t.Context(), o.GetName(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got.Object["spec"] = o.Object["spec"]
	_, err = s.sj.Update(t.Context(), got, metav1.UpdateOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict})
	return err
}

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

// A Go program fills in the types; what it leaves out reaches the API server as null, {} or not at all.
func TestIntegrationGoClient(t *testing.T) {
	s := newServer(t)
	clientset, err := versioned.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	client := clientset.BatchV1alpha1().SequentialJobs(s.ns)
	sj := &v1alpha1.SequentialJob{
		ObjectMeta: metav1.ObjectMeta{Name: "from-go"},
		Spec: v1alpha1.SequentialJobSpec{
			Containers: []corev1.Container{{
				Name: "extract", Image: "data-tools/extractor:v1",
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
			}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "pipeline"}},
				Spec: corev1.PodSpec{Volumes: []corev1.Volume{{
					Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
				}}},
			},
		},
	}
	got, err := client.Create(t.Context(), sj, strict)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sj.Spec, got.Spec); diff != "" {
		t.Errorf("the spec changed on the way: %s", diff)
	}
	again := got
	// The first write stores what the CRD has as the status of one that nobody has worked on.
	for range 2 {
		got = again
		if again, err = client.Update(t.Context(), got, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
			t.Fatal(err)
		}
	}
	if again.ResourceVersion != got.ResourceVersion {
		t.Errorf("an update without a change made resourceVersion %s of %s", again.ResourceVersion, got.ResourceVersion)
	}
}

// normal gives numbers the type that JSON gives them.
func normal(t *testing.T, value any) (out any) {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Nothing is dropped (a plain CRD drops embedded metadata) and nothing is added (a default would be).
func TestIntegrationSpecSurvives(t *testing.T) {
	s := newServer(t)
	sent := object(t, string(read(t, "testdata/full.yaml")))
	s.create(t, sent.DeepCopy())
	got, err := s.sj.Get(t.Context(), sent.GetName(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(normal(t, sent.Object["spec"]), normal(t, got.Object["spec"])); diff != "" {
		t.Errorf("the spec changed on the way: %s", diff)
	}
}

// GitOps tools apply again and again.
func TestIntegrationApplyTwice(t *testing.T) {
	s := newServer(t)
	for _, text := range []string{string(read(t, "testdata/full.yaml")), string(read(t, files(t, "artifacts", "examples", "data-processing-pipeline.yaml")[0]))} {
		o := object(t, text)
		var versions []string
		for range 4 {
			got, err := s.sj.Apply(t.Context(), o.GetName(), o.DeepCopy(), metav1.ApplyOptions{FieldManager: fieldManager})
			if err != nil {
				t.Fatalf("%s: %v", o.GetName(), err)
			}
			versions = append(versions, fmt.Sprintf("generation %d, resourceVersion %s", got.GetGeneration(), got.GetResourceVersion()))
		}
		// The first write after the creation stores what the CRD has as the status of one that nobody has worked on.
		if len(slices.Compact(versions[1:])) != 1 {
			t.Errorf("%s changes each time it is applied: %v", o.GetName(), versions)
		}
	}
}

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
