package main

import (
	"regexp"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// describeMetadata replaces what controller-gen knows of metadata, which is nothing, by what a template's may hold, with texts that
// fit for `kubectl explain`.
func describeMetadata(e *editor) {
	for _, template := range templates {
		e.at(template+".metadata", func(s *schema) {
			s.Description = "Labels and annotations of every step's Job and Pod. Keys under batch.example.com/ and the Job " +
				"controller's own are set by the controllers, whatever is given here."
			s.Properties = map[string]schema{
				"labels":      stringMap("Labels of every step's Job and Pod, for example a queue's name or what a Service or NetworkPolicy selects."),
				"annotations": stringMap("Annotations of every step's Job and Pod."),
				// What generators and Go clients put into any metadata. Accepted so that strict clients are not refused.
				"name":              {Type: "string", Description: "Has no effect: the controller names Jobs and Pods."},
				"generateName":      {Type: "string", Description: "Has no effect: the controller names Jobs and Pods."},
				"namespace":         {Type: "string", Description: "Has no effect: Jobs and Pods are created in the namespace of the SequentialJob."},
				"creationTimestamp": {Type: "string", Format: "date-time", Nullable: true, Description: "Has no effect. Some clients send null."},
			}
		})
		// A claim template carries metadata too, which the API server would otherwise drop.
		e.at(template+".spec.volumes[].ephemeral.volumeClaimTemplate.metadata", func(s *schema) {
			s.Properties = map[string]schema{
				"labels":            stringMap(""),
				"annotations":       stringMap(""),
				"name":              {Type: "string"},
				"creationTimestamp": {Type: "string", Format: "date-time", Nullable: true},
			}
		})
	}
}

func stringMap(description string) schema {
	return schema{
		Type:                 "object",
		Description:          description,
		AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &schema{Type: "string"}},
	}
}

// describeOnce keeps the texts of what Kubernetes' own types hold to what can be afforded: the CRD has to fit into an annotation. They
// are whole for the fields of a step, first sentences below these and for the fields of the template's pod. Of what the schema has
// more than once, one is described and the others refer to it: of the probes, livenessProbe.
func describeOnce(e *editor) {
	e.at("spec.containers[]", func(s *schema) {
		for name, field := range s.Properties {
			shortenBelow(&field, firstSentence)
			s.Properties[name] = field
		}
	})
	for again, first := range map[string]string{
		"readinessProbe": "livenessProbe", "startupProbe": "livenessProbe", "lifecycle.preStop": "lifecycle.postStart",
	} {
		e.at("spec.containers[]."+again, func(s *schema) {
			shortenBelow(s, func(string) string { return "As in " + first + "." })
		})
	}
	e.at("spec.template.spec", func(s *schema) {
		for name, field := range s.Properties {
			shortenBelow(&field, noDescription)
			field.Description = firstSentence(field.Description)
			s.Properties[name] = field
		}
	})
	e.at("spec.finally[]", func(s *schema) {
		shortenBelow(s, noDescription)
		s.Description = "As in spec.containers."
	})
	e.at("spec.stepOverrides[].template", func(s *schema) { shortenBelow(s, noDescription) })
	for _, part := range []string{"metadata", "spec"} {
		e.at("spec.stepOverrides[].template."+part, func(s *schema) {
			s.Description = "As in spec.template." + part + "; merged over it."
		})
	}
}

// shortenBelow changes the descriptions of all that is below a field, and not its own.
func shortenBelow(s *schema, shorten func(string) string) {
	keep := s.Description
	walk(s, func(s *schema) { s.Description = shorten(s.Description) })
	s.Description = keep
}

func noDescription(string) string { return "" }

// sentence ends with a point before a space, which is not the one of "e.g." or "i.e.".
var sentence = regexp.MustCompile(`(?s)^.*?[^.].[^.][.](\s|$)`)

func firstSentence(text string) string {
	if first := sentence.FindString(text); first != "" {
		return strings.TrimSpace(first)
	}
	return text
}
