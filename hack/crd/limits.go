package main

import (
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// overrides is the path of what is different for single steps.
const overrides = "spec.stepOverrides"

var (
	// steps are the paths of the lists of containers that run as steps.
	steps = []string{"spec.containers", "spec.finally"}
	// templates are the paths of the pod templates.
	templates = []string{"spec.template", overrides + "[].template"}
)

const (
	dnsLabel       = `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	maxLabelLength = 63
	maxVolumes     = 50
	// maxMounts applies to each container. With maxVolumes and the length of names it bounds what the volume rules cost.
	maxMounts         = 50
	maxInitContainers = 50
	// maxResources bounds what it costs to compare the resources of steps by value.
	maxResources = 50
)

// clearEmbedded makes the schemas of Kubernetes' own types cheap and neutral.
//
// Defaults go: written into the stored object they would show up as a difference to the user's file. Lists merged by key
// become atomic: each makes the API server build and compare a set per list and write, 100 steps have several hundred of
// them, and a Pod may lawfully repeat the key (two env entries of one name). Only the templates' volumes and
// initContainers, short lists of which there is one each, stay mergeable and unique. That a list is atomic is not said, because it is
// what lists are if nothing is said.
func clearEmbedded(e *editor) {
	const byName = "name"
	clean := func(s *schema) {
		s.Default = nil
		if s.XListType != nil && (*s.XListType == "map" || *s.XListType == "atomic") {
			s.XListType, s.XListMapKeys = nil, nil
		}
	}
	for _, path := range slices.Concat(steps, templates, []string{"spec.podFailurePolicy"}) {
		e.at(path, func(s *schema) { walk(s, clean) })
	}
	for _, template := range templates {
		for _, path := range []string{template + ".spec.volumes", template + ".spec.initContainers"} {
			e.at(path, func(s *schema) {
				byKey := "map"
				s.XListType, s.XListMapKeys = &byKey, []string{byName}
			})
		}
	}
}

// forSteps limits the steps.
func forSteps(e *editor) {
	for _, list := range steps {
		step := list + "[]"
		forContainers(e, step)
		e.at(step+".name", func(s *schema) {
			s.Description = "Name of the step: a DNS label, unique in the sequence."
		})
		e.at(step+".restartPolicy", func(s *schema) {
			// A container that is always restarted never completes.
			s.Enum = enum("Never", "OnFailure")
		})
	}
}

// forMissingSteps leaves it to a rule, needsSteps, to refuse a spec without steps. An API server that misses a required field evaluates
// no rule, and its whole answer would be "Required value", also to a user who put the steps where a Job has them. With an empty list as
// the default nothing is missing, and yet clients and `kubectl explain` still know the field as required. A default has to fit the schema
// of its field, so there is no minItems.
func forMissingSteps(e *editor) {
	e.at("spec.containers", func(s *schema) {
		s.MinItems, s.Default = nil, &apiextensionsv1.JSON{Raw: []byte("[]")}
	})
}

// forContainers limits what is common to steps and init containers.
func forContainers(e *editor, container string) {
	e.at(container, func(s *schema) { s.Required = []string{"name", "image"} })
	e.at(container+".name", isName)
	e.at(container+".image", func(s *schema) { s.MinLength = ptr(1) })
	for _, field := range []string{".volumeMounts", ".volumeDevices"} {
		e.at(container+field, func(s *schema) { s.MaxItems = ptr(maxMounts) })
		e.at(container+field+"[].name", func(s *schema) { s.MaxLength = ptr(maxLabelLength) })
	}
	for _, field := range []string{".resources.limits", ".resources.requests"} {
		e.at(container+field, func(s *schema) { s.MaxProperties = ptr(maxResources) })
	}
}

func isName(s *schema) {
	s.Pattern, s.MinLength, s.MaxLength = dnsLabel, ptr(1), ptr(maxLabelLength)
}

// forTemplates limits the pod templates.
func forTemplates(e *editor) {
	for _, template := range templates {
		spec := template + ".spec"
		e.notRequired(spec, "containers")
		e.at(spec+".containers", func(s *schema) {
			refuse(s, "Must be empty: steps go in spec.containers; helpers that run beside every step go in "+
				"spec.template.spec.initContainers with restartPolicy: Always.",
				"must be empty: put steps into spec.containers, and helpers that run beside every "+
					"step into spec.template.spec.initContainers with restartPolicy: Always")
		})
		e.at(spec+".ephemeralContainers", func(s *schema) {
			refuse(s, "Must be empty: ephemeral containers can only be added to a running Pod, with kubectl debug.",
				"must be empty: add ephemeral containers to a running Pod, with kubectl debug")
		})
		forContainers(e, spec+".initContainers[]")
		e.at(spec+".initContainers", func(s *schema) { s.MaxItems = ptr(maxInitContainers) })
		e.at(spec+".volumes", func(s *schema) { s.MaxItems = ptr(maxVolumes) })
		e.at(spec+".volumes[].name", isName)
		e.at(spec+".restartPolicy", func(s *schema) {
			s.Description = "Whether a failed container is restarted in its pod (OnFailure) or a new pod is made (Never, the default). " +
				"Either counts against backoffLimit. Always is not allowed: a step must end."
			s.Enum = enum("Never", "OnFailure")
		})
	}
	for _, field := range []string{".resources.limits", ".resources.requests"} {
		e.at(overrides+"[].template.spec"+field, func(s *schema) { s.MaxProperties = ptr(maxResources) })
	}
	// It may be merged over one of spec.template, which has the image.
	e.at(overrides+"[].template.spec.initContainers[]", func(s *schema) { s.Required = []string{"name"} })
	e.at(overrides+"[].template.spec.initContainers[].image", func(s *schema) { s.MinLength = nil })
	e.at(overrides+"[].template.spec.containers", func(s *schema) {
		s.XValidations[0].Message = "must be empty: spec.containers says what a step runs; put helpers that run beside this step into " +
			"template.spec.initContainers with restartPolicy: Always"
	})
}

// refuse makes a list that has no place here accept nothing, with a message of its own. Its items are not described:
// whatever they hold, the message about the list is the one to be seen.
func refuse(s *schema, description, message string) {
	anything := true
	*s = schema{
		Type:        "array",
		Description: description,
		Nullable:    true,
		Items: &apiextensionsv1.JSONSchemaPropsOrArray{
			Schema: &schema{Type: "object", XPreserveUnknownFields: &anything},
		},
		XValidations: apiextensionsv1.ValidationRules{{Rule: "size(self) == 0", Message: message}},
	}
}

// forPodFailurePolicy says early what the Job would be refused for.
func forPodFailurePolicy(e *editor) {
	const rules = "spec.podFailurePolicy.rules"
	e.at(rules, func(s *schema) { s.MaxItems = ptr(20) })
	e.at(rules+"[]", func(s *schema) {
		s.XValidations = apiextensionsv1.ValidationRules{{
			Rule:    "has(self.onExitCodes) != (has(self.onPodConditions) && size(self.onPodConditions) > 0)",
			Message: "needs either onExitCodes or onPodConditions: give one of them and remove the other",
		}}
	})
	e.at(rules+"[].action", func(s *schema) {
		// FailIndex is for indexed Jobs.
		s.Enum = enum("FailJob", "Ignore", "Count")
		s.Description = "What happens to the step when the rule matches: FailJob fails it at once, Ignore starts a new pod " +
			"without counting against backoffLimit, Count starts a new pod and counts."
	})
	e.at(rules+"[].onPodConditions", func(s *schema) { s.MaxItems = ptr(20) })
	// A Go client writes "" for none. The Job's own default is True.
	e.at(rules+"[].onPodConditions[].status", func(s *schema) { s.Enum = enum("True", "False", "Unknown", "") })
	e.at(rules+"[].onExitCodes", func(s *schema) {
		s.XValidations = apiextensionsv1.ValidationRules{
			{
				Rule:      "self.operator != 'In' || !(0 in self.values)",
				FieldPath: ".values",
				Message:   "must not hold 0 with the operator In, because 0 is no failure: remove it",
			},
			{
				Rule:      "self.values.isSorted()",
				FieldPath: ".values",
				Message:   "must be in ascending order: sort them",
			},
		}
	})
	e.at(rules+"[].onExitCodes.containerName", func(s *schema) { s.MaxLength = ptr(maxLabelLength) })
	e.at(rules+"[].onExitCodes.operator", func(s *schema) { s.Enum = enum("In", "NotIn") })
	e.at(rules+"[].onExitCodes.values", func(s *schema) { s.MinItems, s.MaxItems = ptr(1), ptr(255) })
}
