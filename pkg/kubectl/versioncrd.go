package kubectl

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/yaml"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// crdReport is what the cluster knows of SequentialJobs.
type crdReport struct {
	Installed bool `json:"installed"`
	// Lacks are fields that this plugin knows, and the cluster does not.
	Lacks []string `json:"lacks,omitempty"`
	// Adds are fields that the cluster knows, and this plugin does not.
	Adds []string `json:"adds,omitempty"`
	// Problem says why nobody can tell.
	Problem string `json:"problem,omitempty"`
}

func (r *crdReport) fits() fit {
	switch {
	case r.Problem != "":
		return fitUnknown
	case !r.Installed, len(r.Lacks) > 0, len(r.Adds) > 0:
		return fitNo
	}
	return fitYes
}

func (r *crdReport) String() string {
	switch {
	case r.Problem != "":
		return "unknown: " + r.Problem
	case !r.Installed:
		return "not installed: install it, for example with `make deploy`"
	case len(r.Lacks) > 0 && len(r.Adds) > 0:
		return fmt.Sprintf("another one: lacks %s; has %s, which this plugin does not know", list(r.Lacks), list(r.Adds))
	case len(r.Lacks) > 0:
		return fmt.Sprintf("older: lacks %s: update the CRD and the controller", list(r.Lacks))
	case len(r.Adds) > 0:
		return fmt.Sprintf("newer: has %s, which this plugin does not know: update the plugin", list(r.Adds))
	}
	return v1alpha1.GroupVersion.String() + ", with the fields that this plugin knows"
}

func list(fields []string) string { return strings.Join(fields, ", ") }

// inspectCRD compares the fields that the API server publishes for every user with those that this plugin was built with.
func (t *Tool) inspectCRD(c Clients) (*crdReport, error) {
	paths, err := c.Kube.Discovery().OpenAPIV3().Paths()
	if err != nil {
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
			return &crdReport{Problem: fmt.Sprintf("the API server does not tell which fields it knows: %v", err)}, nil
		}
		return nil, t.explain(err, access{verb: "get", resource: "openapi"})
	}
	group, isServed := paths["apis/"+v1alpha1.GroupVersion.String()]
	if !isServed {
		return &crdReport{}, nil
	}
	raw, err := group.Schema("application/json")
	if err != nil {
		return &crdReport{Installed: true, Problem: fmt.Sprintf("its fields cannot be read: %v", err)}, nil
	}
	served, err := servedFields(raw)
	switch {
	case err != nil:
		return &crdReport{Installed: true, Problem: err.Error()}, nil
	case len(served) == 0:
		return &crdReport{}, nil
	}
	known := knownFields()
	return &crdReport{Installed: true, Lacks: without(known, served), Adds: without(served, known)}, nil
}

// without returns what the first has and the second has not. A field of one that is missing altogether is left out.
func without(all, others []string) []string {
	var missing []string
	for _, field := range all {
		parent := field[:max(0, strings.LastIndex(field, "."))]
		if !slices.Contains(others, field) && !slices.Contains(missing, parent) {
			missing = append(missing, field)
		}
	}
	return missing
}

// schemaNode is as much of an OpenAPI schema as has names of fields.
type schemaNode struct {
	Properties map[string]*schemaNode `json:"properties"`
	Items      *schemaNode            `json:"items"`
	Kinds      []struct {
		Kind string `json:"kind"`
	} `json:"x-kubernetes-group-version-kind"`
}

// fields returns the names of the fields of an object, or of the entries of a list.
func (n *schemaNode) fields() map[string]*schemaNode {
	if n.Items != nil {
		n = n.Items
	}
	return n.Properties
}

// servedFields returns the fields of a SequentialJob that a document has: two levels of spec and status.
func servedFields(document []byte) ([]string, error) {
	var openapi struct {
		Components struct {
			Schemas map[string]*schemaNode `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document, &openapi); err != nil {
		return nil, fmt.Errorf("read what the API server says of its fields: %w", err)
	}
	var fields []string
	foreign := foreignFields()
	for _, schema := range openapi.Components.Schemas {
		if len(schema.Kinds) != 1 || schema.Kinds[0].Kind != v1alpha1.SequentialJobKind {
			continue
		}
		for _, top := range []string{"spec", "status"} {
			part := schema.Properties[top]
			if part == nil {
				continue
			}
			for name, field := range part.fields() {
				path := top + "." + name
				fields = append(fields, path)
				if foreign[path] {
					continue
				}
				for inner := range field.fields() {
					fields = append(fields, path+"."+inner)
				}
			}
		}
	}
	slices.Sort(fields)
	return fields, nil
}

// knownFields returns the fields that this plugin was built with, down to where Kubernetes' own types begin.
func knownFields() []string {
	var fields []string
	own := ownFields()
	for _, path := range slices.Sorted(maps.Keys(own)) {
		fields = append(fields, path)
		for _, inner := range own[path] {
			fields = append(fields, path+"."+inner)
		}
	}
	slices.Sort(fields)
	return fields
}

// foreignFields are those whose type is one of Kubernetes' own, which differs from version to version.
func foreignFields() map[string]bool {
	foreign := map[string]bool{}
	for path, inner := range ownFields() {
		foreign[path] = len(inner) == 0
	}
	return foreign
}

// ownFields returns the fields of spec and status, each with the fields in it if its type is one of this API.
func ownFields() map[string][]string {
	own := map[string][]string{}
	for top, part := range map[string]reflect.Type{
		"spec": reflect.TypeFor[v1alpha1.SequentialJobSpec](), "status": reflect.TypeFor[v1alpha1.SequentialJobStatus](),
	} {
		for field := range part.Fields() {
			own[top+"."+jsonName(field)] = innerFields(field.Type)
		}
	}
	return own
}

func innerFields(of reflect.Type) []string {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || of.PkgPath() != reflect.TypeFor[v1alpha1.SequentialJob]().PkgPath() {
		return nil
	}
	var names []string
	for field := range of.Fields() {
		names = append(names, jsonName(field))
	}
	return names
}

func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

func writeStructured(out io.Writer, report versionReport, output string) error {
	raw, err := json.MarshalIndent(report, "", "    ")
	if err == nil && output == "yaml" {
		raw, err = yaml.Marshal(report)
	}
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	_, err = fmt.Fprintln(out, strings.TrimSuffix(string(raw), "\n"))
	return err
}
