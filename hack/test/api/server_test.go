//go:build integration

// Package api_test tests what an API server makes of manifests/crd.yaml: what it takes, what it refuses and what it says then.
package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
	clients "github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/typed/batch/v1alpha1"
)

var (
	crds           = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	namespaces     = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	sequentialJobs = schema.GroupVersionResource{Group: v1alpha1.GroupName, Version: v1alpha1.GroupVersion.Version, Resource: "sequentialjobs"}
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
	o.SetAPIVersion(v1alpha1.GroupVersion.String())
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

// typed is the client of Go programs.
func (s *server) typed(t *testing.T) clients.SequentialJobInterface {
	t.Helper()
	clientset, err := versioned.NewForConfig(s.config)
	if err != nil {
		t.Fatal(err)
	}
	return clientset.BatchV1alpha1().SequentialJobs(s.ns)
}

const root = "../../.."

// readCRD returns manifests/crd.yaml.
func readCRD(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	crds := decode(t, read(t, filepath.Join(root, "manifests", "crd.yaml")))
	if len(crds) != 1 {
		t.Fatalf("%d objects instead of one", len(crds))
	}
	return crds[0]
}
