package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"
)

// ticksPerSecond is the unit of /proc/PID/stat. Linux reports it as 100 on every architecture that Go supports.
const ticksPerSecond = 100

// cpu returns the CPU time that the server has used, and when that was.
func (b *bench) cpu() (time.Duration, time.Time, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.pid))
	if err != nil {
		return 0, time.Time{}, err
	}
	now := time.Now()
	// The second field, the name in parentheses, may hold spaces. After it, utime and stime are the 12th and 13th.
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, time.Time{}, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, now, nil
}

// settle waits until the server has published the new types, and measures what it uses when idle.
func (b *bench) settle() error {
	const window, busy = 5 * time.Second, 0.2
	for range 12 {
		before, begin, err := b.cpu()
		if err != nil {
			return err
		}
		time.Sleep(window)
		after, end, err := b.cpu()
		if err != nil {
			return err
		}
		b.idle = float64(after-before) / float64(end.Sub(begin))
		if b.idle < busy {
			return nil
		}
	}
	return fmt.Errorf("the API server does not come to rest: it uses %.2f CPUs though nobody asks it anything", b.idle)
}

// variant is one form of the CRD, served under a group of its own.
type variant struct {
	name string
	crd  *unstructured.Unstructured
}

func (v variant) resource() schema.GroupVersionResource {
	group, _, _ := unstructured.NestedString(v.crd.Object, "spec", "group")
	return schema.GroupVersionResource{Group: group, Version: "v1alpha1", Resource: "sequentialjobs"}
}

// variantsOf returns those of the CRD in a file, and another version of it if there is a file of one.
func variantsOf(file, before string) ([]variant, error) {
	ours, err := readCRD(file)
	if err != nil {
		return nil, err
	}
	withoutCEL := underGroup(ours, "no-cel.example.com")
	removeKey(withoutCEL.Object, "x-kubernetes-validations")
	withoutSchema := underGroup(ours, "no-schema.example.com")
	for _, version := range withoutSchema.Object["spec"].(map[string]any)["versions"].([]any) {
		version.(map[string]any)["schema"] = map[string]any{
			"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
		}
	}
	out := []variant{
		{name: "ours", crd: ours},
		{name: "the same without CEL", crd: withoutCEL},
		{name: "no schema", crd: withoutSchema},
	}
	if before != "" {
		old, err := readCRD(before)
		if err != nil {
			return nil, err
		}
		out = append(out, variant{name: "the version before", crd: underGroup(old, "before.example.com")})
	}
	return out, nil
}

func readCRD(file string) (*unstructured.Unstructured, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out := &unstructured.Unstructured{}
	return out, yaml.Unmarshal(raw, &out.Object)
}

func underGroup(crd *unstructured.Unstructured, group string) *unstructured.Unstructured {
	out := crd.DeepCopy()
	out.SetName("sequentialjobs." + group)
	_ = unstructured.SetNestedField(out.Object, group, "spec", "group")
	return out
}

func removeKey(value any, key string) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, key)
		for _, child := range v {
			removeKey(child, key)
		}
	case []any:
		for _, child := range v {
			removeKey(child, key)
		}
	}
}

func (b *bench) install(ctx context.Context, v variant) error {
	crds := b.client.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	if _, err := crds.Create(ctx, v.crd, metav1.CreateOptions{}); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, time.Second/5, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		_, err := b.client.Resource(v.resource()).Namespace("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
}
