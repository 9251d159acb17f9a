package main

import (
	"fmt"
	"math"
	"reflect"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What the CRD accepts and the Go types cannot decode would be a poison: an informer decodes a whole list or nothing, so one
// such object would keep the controller from seeing any. Formats do not help, because API servers before 1.36 ignore
// those of numbers and all of them are laxer than Go about times.
const (
	// quantity is what resource.ParseQuantity takes, with limits on the digits: an exponent such as 1e999999999 is valid to
	// it, and would keep it busy forever.
	quantity = `^[+-]?([0-9]{1,60}([.][0-9]{0,60})?|[.][0-9]{1,60})([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?$`
	// The longest text of that pattern has 127 characters.
	maxQuantityLength = 127

	// rfc3339 is what Go's time takes and writes again in UTC: with an offset, the first and last years would become ones of
	// other than four digits. That the day exists is checked by the format.
	rfc3339 = `^([0-9]{4}` + monthToSeconds + `Z|[1-8][0-9]{3}` + monthToSeconds + `[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	// rfc3339NotZero has no year before 1000.
	rfc3339NotZero = `^([1-9][0-9]{3}` + monthToSeconds + `Z|[1-8][0-9]{3}` + monthToSeconds + `[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`

	monthToSeconds = `-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?`
)

// jsonTypes are the types in a schema that the kinds of Go decode. Kinds that are not here are refused by bound, so that whoever
// adds a field of such a kind has to think about its limits.
var jsonTypes = map[reflect.Kind]string{
	reflect.Bool: "boolean", reflect.String: "string", reflect.Int32: "integer", reflect.Int64: "integer",
	reflect.Slice: "array", reflect.Map: "object", reflect.Struct: "object",
}

// boundLeaves limits every value to what its Go type can hold.
func boundLeaves(e *editor) error {
	for _, part := range []string{"spec", "status"} {
		property, found := e.root.Properties[part]
		if !found {
			continue
		}
		goType := jsonFields(reflect.TypeFor[v1alpha1.SequentialJob]())[part].Type
		if err := walkTyped(node{path: part, schema: &property, goType: goType}, bound); err != nil {
			return fmt.Errorf("not every field can be kept within its Go type: %w", err)
		}
		e.root.Properties[part] = property
	}
	return nil
}

func bound(n node) error {
	switch n.goType {
	case reflect.TypeFor[resource.Quantity]():
		// Without anyOf, a number with a fraction is refused in one line instead of four.
		n.schema.AnyOf, n.schema.Pattern, n.schema.MaxLength = nil, quantity, ptr(maxQuantityLength)
		return require(n, n.schema.XIntOrString, "an integer or a string")
	case reflect.TypeFor[intstr.IntOrString]():
		n.schema.AnyOf = nil
		limit(n.schema, math.MinInt32, math.MaxInt32)
		return require(n, n.schema.XIntOrString, "an integer or a string")
	case reflect.TypeFor[metav1.Time]():
		// Go writes null for the time 0001-01-01T00:00:00Z, or leaves it out.
		n.schema.Pattern, n.schema.Nullable = rfc3339, true
		if n.vanishes {
			n.schema.Pattern, n.schema.Nullable = rfc3339NotZero, false
		}
		// API servers take a list for a string of any format; so none is short and long enough.
		n.schema.MinItems, n.schema.MaxItems = ptr(1), ptr(0)
		return require(n, n.schema.Type == "string" && n.schema.Format == "date-time", "a string of the format date-time")
	}
	want := jsonTypes[n.goType.Kind()]
	if decodesItself(n.goType) || want == "" {
		return fmt.Errorf("%s: nothing is known of what %s decodes: add it to hack/crd/bounds.go", n.path, n.goType)
	}
	if n.goType.Kind() == reflect.Int32 {
		limit(n.schema, math.MinInt32, math.MaxInt32)
	}
	if n.vanishes && n.goType.Kind() == reflect.String && n.schema.MinLength == nil {
		// Or what a Go client reads could not be written back.
		n.schema.MinLength = ptr(1)
	}
	// An int64 needs no limits, which as floating-point numbers could not be exact: the API server takes larger numbers for
	// fractions, and those have no place in an integer.
	return require(n, n.schema.Type == want, want)
}

func require(n node, holds bool, what string) error {
	if holds {
		return nil
	}
	return fmt.Errorf("%s: %s needs %s in the schema, which has type %q and format %q", n.path, n.goType, what, n.schema.Type, n.schema.Format)
}

// limit narrows the range of a number.
func limit(s *schema, lowest, highest float64) {
	if s.Minimum == nil || *s.Minimum < lowest {
		s.Minimum = &lowest
	}
	if s.Maximum == nil || *s.Maximum > highest {
		s.Maximum = &highest
	}
}
