package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// A step that has started must not change, but what it means can be written in several ways: `cpu: 1000m` and `cpu: "1"`,
// `resources: {}` and nothing. A Go client that reads and updates writes another form than it read. Here a CEL expression is
// made of the Go types, for each field that the schema has, which is true if two containers mean the same:
//
//   - zero, empty, null and absent are the same, except behind a pointer to a single value, where Go tells them apart;
//   - quantities are compared by value;
//   - lists are compared item by item.
//
// To CEL a field that is null is absent. The API server computes in advance what a rule may cost. It knows the size of what a
// path from self names and takes anything else for endless: hence the whole paths to lists and quantities, and the
// comparisons of [a] and [b] where a and b would do.

// Of a list, so many items are compared by what they mean; a longer one is compared as it is written. They are counted in two
// loops, because a loop over a list that has no limit would be too expensive to the API server.
const (
	maxComparedEnv = 100
	maxCompared    = 40
	stride         = 20
)

// scope collects what has to be compared of two structs.
type scope struct {
	// a and b are the paths of the two, `self.spec.containers[i]` or that of an item of a list below it.
	a, b string
	// values are the paths of those that can be compared as they are, by the field of the struct that they are in.
	values map[string][]string
	// conditions are about the rest.
	conditions []string
	// inList is true for the items of a list, which are compared within two loops already.
	inList bool
	// rough is true if less can be compared: of lists of objects, only how many there are, and of tolerations all of the first 20.
	rough bool
}

// sameContainer returns the conditions that the containers at the paths a and b mean the same: in their environment, and in
// all else. Each alone is half of what the API server lets a rule cost.
func sameContainer(a, b string, s *schema) (env, others string, err error) {
	const name = "env"
	t := reflect.TypeFor[corev1.Container]()
	one, rest := schema{Properties: map[string]schema{}}, schema{Properties: maps.Clone(s.Properties)}
	if property, found := rest.Properties[name]; found {
		one.Properties[name] = property
		delete(rest.Properties, name)
	}
	if env, err = (&scope{a: a, b: b}).sameMeaning(&one, t); err != nil {
		return "", "", err
	}
	others, err = (&scope{a: a, b: b}).sameMeaning(&rest, t)
	// What is written as it was means the same; to find out what else does takes longer.
	return env, `(` + a + ` == ` + b + ` || ` + others + `)`, err
}

// sameMeaning returns the condition that the structs at the paths a and b mean the same.
func (both *scope) sameMeaning(s *schema, t reflect.Type) (string, error) {
	both.values = map[string][]string{}
	if err := both.addFields(s, t, ""); err != nil {
		return "", err
	}
	// A list of one gives a path a short name: to follow the whole path takes the API server far longer.
	return `[` + both.a + `].all(c, [` + both.b + `].all(d, ` + strings.Join(append(both.sameValues(), both.conditions...), " && ") + `))`, nil
}

// sameValues compares the single values of the structs c and d. What is within a field that is written as it was, most often
// not at all, is not looked at. The text for the values is there once: it makes lists of both, to be compared. The items of a list, of
// which there are many, are compared without.
//
// Each path starts at the struct: from an optional value, or from one whose type is not known, Kubernetes 1.34 does not take null for
// absent.
func (both *scope) sameValues() (all []string) {
	for _, field := range sortedKeys(both.values) {
		condition := `[[c, d].map(v, ` + both.valuesOf("v", field) + `)].all(w, [w[0]] == [w[1]])`
		if both.inList {
			condition = both.valuesOf("c", field) + ` == ` + both.valuesOf("d", field)
		}
		if field != "" {
			condition = `([c` + field + `] == [d` + field + `] || ` + condition + `)`
		}
		all = append(all, condition)
	}
	return all
}

// valuesOf returns a list of the values of a struct. The items of a list have to be of one type, hence dyn.
func (both *scope) valuesOf(name, field string) string {
	var values []string
	for _, path := range both.values[field] {
		values = append(values, "dyn("+name+path+")")
	}
	return "[" + strings.Join(values, ", ") + "]"
}

// addFields adds those of a struct at a path such as `.?securityContext`.
func (both *scope) addFields(s *schema, t reflect.Type, path string) error {
	fields := jsonFields(t)
	for _, name := range sortedKeys(s.Properties) {
		property := s.Properties[name]
		field, found := fields[name]
		if !found {
			return fmt.Errorf("%s has no field %s", t, name)
		}
		if slices.Contains(s.Required, name) && zeros[field.Type.Kind()] != "" {
			// It is there whenever its struct is.
			both.addValue(path+".?"+name, "")
		} else if err := both.addField(&property, field.Type, path+".?"+name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (both *scope) addField(s *schema, t reflect.Type, path string) error {
	if t.Kind() == reflect.Pointer && t.Elem().Kind() != reflect.Struct {
		both.addValue(path, "")
		return nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[resource.Quantity]():
		both.addQuantity(path)
	case decodesItself(t):
		both.addValue(path, "")
	case t.Kind() == reflect.Struct:
		return both.addFields(s, t, path)
	case t.Kind() == reflect.Slice && isPlain(s.Items.Schema, t.Elem()):
		both.addValue(path, "[]")
	case t.Kind() == reflect.Slice && both.rough && !strings.HasSuffix(path, ".?tolerations"):
		both.addValue(path, "[]).size(")
	case t.Kind() == reflect.Slice && !both.inList:
		return both.addList(s, t.Elem(), path)
	case t.Kind() == reflect.Map && t.Elem() == reflect.TypeFor[resource.Quantity]() && !both.inList:
		both.addQuantities(path)
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.String:
		both.addValue(path, "{}")
	case zeros[t.Kind()] != "":
		both.addValue(path, zeros[t.Kind()])
	default:
		return fmt.Errorf("it is not known how to compare %s: add it to hack/crd/same.go", t)
	}
	return nil
}

var zeros = map[reflect.Kind]string{reflect.String: "''", reflect.Bool: "false", reflect.Int32: "0", reflect.Int64: "0"}

// isPlain is true for items of which there is one way to write them: single values, and structs that have all their fields.
func isPlain(s *schema, t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return zeros[t.Kind()] != ""
	}
	for name, field := range jsonFields(t) {
		if !slices.Contains(s.Required, name) || zeros[field.Type.Kind()] == "" {
			return false
		}
	}
	return true
}

// addValue adds what can be compared as it is, given what stands for it where it is absent.
func (both *scope) addValue(path, zero string) {
	field := ""
	if steps := strings.SplitAfterN(path, ".?", 3); len(steps) == 3 {
		field = ".?" + strings.TrimSuffix(steps[1], ".?")
	}
	if zero != "" {
		path += ".orValue(" + zero + ")"
	}
	both.values[field] = append(both.values[field], path)
}

func (both *scope) addQuantity(path string) {
	value := func(name, of string) string {
		return `(` + name + path + `.hasValue() ? ` + asQuantity(of+strings.ReplaceAll(path, "?", "")) + ` : quantity('0'))`
	}
	both.conditions = append(both.conditions,
		`([c`+path+`] == [d`+path+`] || `+value("c", both.a)+`.compareTo(`+value("d", both.b)+`) == 0)`)
}

// asQuantity takes what is written as a string or as an integer.
func asQuantity(path string) string {
	return `(type(` + path + `) == int ? quantity('0').add(` + path + `) : quantity(` + path + `))`
}

func (both *scope) addQuantities(path string) {
	plain := strings.ReplaceAll(path, "?", "")
	both.conditions = append(both.conditions, fmt.Sprintf(
		`([c%[1]s] == [d%[1]s] || size(c%[1]s.orValue({})) == size(d%[1]s.orValue({})) && (size(c%[1]s.orValue({})) == 0 || `+
			`%[2]s.all(n, v, n in %[3]s && %[4]s.compareTo(%[5]s) == 0)))`,
		path, both.a+plain, both.b+plain, orNull("v"), orNull(both.b+plain+"[n]")))
}

// orNull takes null for zero, as Go does in a map.
func orNull(path string) string {
	return `(` + path + ` == null ? quantity('0') : ` + asQuantity(path) + `)`
}

func (both *scope) addList(s *schema, item reflect.Type, path string) error {
	most := int64(maxCompared)
	if both.rough {
		most = stride
	}
	if path == ".?env" {
		most = maxComparedEnv
	}
	if s.MaxItems != nil {
		most = min(*s.MaxItems, maxComparedEnv)
	}
	plain := strings.ReplaceAll(path, "?", "")
	items := &scope{a: both.a + plain + "[m+n]", b: both.b + plain + "[m+n]", inList: true}
	condition, err := items.sameMeaning(s.Items.Schema, item)
	if err != nil {
		return err
	}
	both.conditions = append(both.conditions, fmt.Sprintf(
		`([c%[1]s.orValue([])] == [d%[1]s.orValue([])] || [size(c%[1]s.orValue([]))].all(z, z == size(d%[1]s.orValue([])) && `+
			`z <= %[2]d && %[3]s.all(m, m >= z || %[4]s.all(n, m + n >= z || %[5]s))))`,
		path, most, count(most, stride), count(stride, 1), condition))
	return nil
}

// count returns a list of the numbers from 0 to below end, in CEL.
func count(end, step int64) string {
	var out []string
	for i := int64(0); i < end; i += step {
		out = append(out, strconv.FormatInt(i, 10))
	}
	return "[" + strings.Join(out, ", ") + "]"
}
