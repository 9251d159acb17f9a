package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
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

// allowNull says the values that are listed as a pattern, because a list of values never has null among them.
func allowNull(s *schema) {
	s.Nullable = true
	if len(s.Enum) == 0 {
		return
	}
	var values []string
	for _, value := range s.Enum {
		values = append(values, regexp.QuoteMeta(strings.Trim(string(value.Raw), `"`)))
	}
	s.Enum, s.Pattern = nil, "^("+strings.Join(values, "|")+")$"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
