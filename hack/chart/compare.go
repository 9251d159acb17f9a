package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/diff"
)

// keep is the annotation by which Helm leaves an object where it is when the release is uninstalled.
const keep = "helm.sh/resource-policy"

// compareFiles compares the objects of two files. The namespace is Helm's to create, and the annotation for Helm is the chart's own.
func compareFiles(manifests, rendered string) error {
	want, err := read(manifests)
	if err != nil {
		return err
	}
	got, err := read(rendered)
	if err != nil {
		return err
	}
	return compare(want, got)
}

func read(file string) (map[string]*unstructured.Unstructured, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	objects, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	byName := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		if byName[name(object)] != nil {
			return nil, fmt.Errorf("%s: %s is there twice", file, name(object))
		}
		if object.GetKind() != "Namespace" {
			byName[name(object)] = withoutKeep(object)
		}
	}
	return byName, nil
}

func compare(want, got map[string]*unstructured.Unstructured) error {
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(want)) {
		switch {
		case got[key] == nil:
			problems = append(problems, fmt.Errorf("%s: the chart does not have it", key))
		case !equality.Semantic.DeepEqual(want[key].Object, got[key].Object):
			problems = append(problems, fmt.Errorf("%s: the chart has another one:\n%s", key, diff.Diff(want[key].Object, got[key].Object)))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if want[key] == nil {
			problems = append(problems, fmt.Errorf("%s: only the chart has it", key))
		}
	}
	return errors.Join(problems...)
}

// withoutKeep takes off what only the chart adds.
func withoutKeep(object *unstructured.Unstructured) *unstructured.Unstructured {
	annotations := object.GetAnnotations()
	if delete(annotations, keep); len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
	return object
}
