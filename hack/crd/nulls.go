package main

import (
	"maps"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// allowNulls lets every field below s that may be left out be null, and the values of maps: null is what a template leaves
// where it puts nothing behind `suspend:`. A create drops nulls that the schema does not allow, but a server-side apply
// refuses them. Go decodes null as unset (in a map, as the zero value), and to rules a field that is null is not there.
func allowNulls(s *schema) {
	walk(s, func(s *schema) {
		for name, field := range s.Properties {
			if !slices.Contains(s.Required, name) {
				allowNull(&field)
				s.Properties[name] = field
			}
		}
		if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
			allowNull(s.AdditionalProperties.Schema)
		}
	})
}

func allowNull(s *schema) {
	s.Nullable = true
	if len(s.Enum) > 0 {
		// Where the values are listed, null has to be among them.
		s.Enum = append(s.Enum, apiextensionsv1.JSON{Raw: []byte("null")})
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
