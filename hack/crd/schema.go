package main

import (
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

type schema = apiextensionsv1.JSONSchemaProps

// editor changes a schema in place and remembers what it did not find.
type editor struct {
	root    *schema
	missing []string
}

// at changes the schema of a field, for example `spec.containers[].name`.
func (e *editor) at(path string, change func(*schema)) {
	if !edit(e.root, strings.Split(strings.ReplaceAll(path, "[]", ".[]"), "."), change) {
		e.missing = append(e.missing, path)
	}
}

// edit reports whether the path exists. Properties are values in a map, hence the writing back.
func edit(s *schema, path []string, change func(*schema)) bool {
	if len(path) == 0 {
		change(s)
		return true
	}
	if path[0] == "[]" {
		return s.Items != nil && s.Items.Schema != nil && edit(s.Items.Schema, path[1:], change)
	}
	child, found := s.Properties[path[0]]
	if !found || !edit(&child, path[1:], change) {
		return false
	}
	s.Properties[path[0]] = child
	return true
}

// notRequired removes an entry from the list of required fields.
func (e *editor) notRequired(path, field string) {
	e.at(path, func(s *schema) {
		kept := s.Required[:0]
		for _, name := range s.Required {
			if name != field {
				kept = append(kept, name)
			}
		}
		if len(kept) == len(s.Required) {
			e.missing = append(e.missing, fmt.Sprintf("%s: required: %s", path, field))
		}
		s.Required = kept
	})
}

func (e *editor) err() error {
	if len(e.missing) == 0 {
		return nil
	}
	return fmt.Errorf("these parts of the schema are no longer where they were, so no rule can be put on them; "+
		"adapt hack/crd to the new Kubernetes types:\n  %s", strings.Join(e.missing, "\n  "))
}

// walk calls visit on a schema and on everything below it.
func walk(s *schema, visit func(*schema)) {
	visit(s)
	for name, child := range s.Properties {
		walk(&child, visit)
		s.Properties[name] = child
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk(s.Items.Schema, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walk(s.AdditionalProperties.Schema, visit)
	}
}
