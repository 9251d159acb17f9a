package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A node is a part of the schema together with the Go type that its values are decoded into.
type node struct {
	// path tells where, for example `spec.containers[].env[].name`.
	path   string
	schema *schema
	// goType is the type of the value itself, without pointers.
	goType reflect.Type
	// vanishes is true if the field is required, and yet Go leaves it out where it is empty.
	vanishes bool
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// decodesItself is true for types with an UnmarshalJSON of their own, such as a quantity: what is in them is not described.
func decodesItself(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(unmarshaler)
}

// walkTyped calls visit on a part of the schema and on all that is below it, each with its Go type. It is the schema that is
// walked and not the type, so that whatever a user can write is visited. What the schema describes and Go does not have is an error.
func walkTyped(n node, visit func(node) error) error {
	for n.goType.Kind() == reflect.Pointer {
		n.goType = n.goType.Elem()
	}
	if err := visit(n); err != nil {
		return err
	}
	if decodesItself(n.goType) {
		return nil
	}
	switch n.goType.Kind() {
	case reflect.Struct:
		return walkFields(n, visit)
	case reflect.Slice:
		if n.schema.Items == nil || n.schema.Items.Schema == nil {
			return fmt.Errorf("%s: the items are not described", n.path)
		}
		return walkTyped(node{path: n.path + "[]", schema: n.schema.Items.Schema, goType: n.goType.Elem()}, visit)
	case reflect.Map:
		if n.schema.AdditionalProperties == nil || n.schema.AdditionalProperties.Schema == nil {
			return fmt.Errorf("%s: the values are not described", n.path)
		}
		return walkTyped(node{path: n.path + "{}", schema: n.schema.AdditionalProperties.Schema, goType: n.goType.Elem()}, visit)
	default:
		return nil
	}
}

func walkFields(n node, visit func(node) error) error {
	fields := jsonFields(n.goType)
	var all []error
	for _, name := range sortedKeys(n.schema.Properties) {
		property := n.schema.Properties[name]
		field, found := fields[name]
		if !found {
			all = append(all, fmt.Errorf("%s.%s: %s has no such field", n.path, name, n.goType))
			continue
		}
		vanishes := slices.Contains(n.schema.Required, name) && strings.Contains(field.Tag.Get("json"), ",omitempty")
		all = append(all, walkTyped(node{path: n.path + "." + name, schema: &property, goType: field.Type, vanishes: vanishes}, visit))
		n.schema.Properties[name] = property
	}
	return errors.Join(all...)
}

// jsonFields returns a struct's fields by their names in JSON.
func jsonFields(t reflect.Type) map[string]reflect.StructField {
	out := map[string]reflect.StructField{}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out[name] = field
		}
	}
	return out
}
