package main

import (
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// The rules below sit on the root of the object because they compare steps with the template or with the status.
//
// The API server evaluates root rules on every write, and most writes are the controller's to status: a rule that loops
// over 100 steps would make each of those many times as expensive. But a write to /status cannot change the spec, and a
// write to the object cannot change the status, so wherever the status differs there is nothing to check. The second
// half of the guard lets a write that leaves the spec alone (labels, finalizers) pass: an object that was accepted by
// an older, looser version of these rules can still be deleted.
const (
	unlessSpecChanges = `(oldSelf.hasValue() && has(self.status) && ` +
		`(!has(oldSelf.value().status) || self.status != oldSelf.value().status)) || ` +
		`(oldSelf.hasValue() && self.spec == oldSelf.value().spec) || `

	// The same for rules that read the old status. oldSelf, unlike oldSelf.value(), has a type whose size the API server
	// can estimate; through oldSelf.value() it takes these rules for a hundred times too expensive.
	unlessStartedStepsMayChange = `!has(oldSelf.status) || !has(self.status) || self.status != oldSelf.status || ` +
		`self.spec.containers == oldSelf.spec.containers || `
)

const (
	templateSpec   = `self.spec.template.spec`
	initContainers = templateSpec + `.initContainers`
	stepNames      = `self.spec.containers.map(c, c.name)`
)

var (
	hasInitContainers  = hasField("initContainers")
	initContainerNames = `(` + hasInitContainers + ` ? ` + initContainers + `.map(c, c.name) : [])`
	volumeNames        = `(` + hasField("volumes") + ` ? ` + templateSpec + `.volumes.map(v, v.name) : [])`
	// The containers that a rule of the pod failure policy names.
	policyContainers = `self.spec.podFailurePolicy.rules.filter(r, has(r.onExitCodes) && has(r.onExitCodes.containerName))` +
		`.map(r, r.onExitCodes.containerName)`
)

// hasField is true if the template's pod spec has the field.
func hasField(field string) string {
	return `has(self.spec.template) && has(` + templateSpec + `) && has(` + templateSpec + `.` + field + `)`
}

// rootRules are the rules that need more than one field to decide. The API server puts FieldPath before the message.
func rootRules() apiextensionsv1.ValidationRules {
	rules := apiextensionsv1.ValidationRules{
		{
			Rule:      `size(self.metadata.name) <= 52`,
			FieldPath: ".metadata.name",
			Message:   "must be at most 52 characters long, because the names of the Jobs are made of it: choose a shorter name",
		},
		{
			Rule: `!has(self.spec.podFailurePolicy) || !(` + hasField("restartPolicy") + `) || ` +
				templateSpec + `.restartPolicy == 'Never'`,
			FieldPath: ".spec.podFailurePolicy",
			Message: "needs spec.template.spec.restartPolicy Never: with OnFailure a failed container is " +
				"restarted in place and its pod does not fail. Remove restartPolicy or the policy",
		},
		onSpec(apiextensionsv1.ValidationRule{
			// The list of one list binds a name to the names, which are then compared in native code.
			Rule:      `[` + stepNames + `].all(names, names.all(n, names.indexOf(n) == names.lastIndexOf(n)))`,
			FieldPath: ".spec.containers",
			Message:   "step names must be unique: rename one of the steps that have the same name",
			MessageExpression: `'more than one step is named "' + ` +
				stepNames + `.filter(n, !self.spec.containers.exists_one(c, c.name == n))[0]` +
				` + '": step names must be unique, rename one of them'`,
		}),
		onSpec(apiextensionsv1.ValidationRule{
			Rule:      `!sets.intersects(` + stepNames + `, ` + initContainerNames + `)`,
			FieldPath: ".spec.containers",
			Message:   "a step has the name of a container in spec.template.spec.initContainers: rename one of them",
			MessageExpression: `'step "' + ` + stepNames + `.filter(n, n in ` + initContainerNames + `)[0]` +
				` + '" has the name of a container in spec.template.spec.initContainers, which runs in the same pod: rename one of them'`,
		}),
		onSpec(apiextensionsv1.ValidationRule{
			Rule: `!has(self.spec.podFailurePolicy) || ` +
				`sets.contains(` + stepNames + ` + ` + initContainerNames + `, ` + policyContainers + `)`,
			FieldPath: ".spec.podFailurePolicy",
			Message: "onExitCodes.containerName must be the name of a step or of a container in " +
				"spec.template.spec.initContainers: correct it, or remove it to mean every container",
			MessageExpression: `'onExitCodes.containerName "' + ` +
				policyContainers + `.filter(n, !(n in ` + stepNames + ` + ` + initContainerNames + `))[0]` +
				` + '" is neither a step nor in spec.template.spec.initContainers: correct it, or remove it to mean every container'`,
		}),
	}
	for _, field := range []string{"volumeMounts", "volumeDevices"} {
		rules = append(rules,
			onSpec(volumesExist("spec.containers", "step", field, "")),
			onSpec(volumesExist("spec.template.spec.initContainers", "container", field, hasInitContainers)),
		)
	}
	return append(rules, transitionRules()...)
}

// volumesExist says that what the containers of a list mount is there. If the list may be absent, present says how to
// know.
func volumesExist(list, noun, field, present string) apiextensionsv1.ValidationRule {
	used := `c.` + field + `.map(m, m.name)`
	rule := `self.` + list + `.all(c, !has(c.` + field + `) || sets.contains(` + volumeNames + `, ` + used + `))`
	if present != "" {
		rule = `!(` + present + `) || ` + rule
	}
	return apiextensionsv1.ValidationRule{
		Rule:      rule,
		FieldPath: "." + list,
		Message: field + "[].name must be the name of a volume in spec.template.spec.volumes: " +
			"add the volume there or correct the name",
		MessageExpression: `'` + noun + ` "' + self.` + list +
			`.map(c, has(c.` + field + `) && !sets.contains(` + volumeNames + `, ` + used + `), ` +
			`c.name + '": ` + field + ` "' + ` + used + `.filter(n, !(n in ` + volumeNames + `))[0])[0]` +
			` + '" is not a volume in spec.template.spec.volumes: add it there or correct the name'`,
	}
}

// transitionRules keep what has happened from being rewritten. An entry of status.steps means that the step of that
// index has started.
func transitionRules() apiextensionsv1.ValidationRules {
	const mayEdit = `(has(oldSelf.status.phase) && oldSelf.status.phase == 'Failed' && s.state == 'Failed')`
	return apiextensionsv1.ValidationRules{
		{
			Rule: unlessStartedStepsMayChange + `!has(oldSelf.status.steps) || ` +
				`(size(self.spec.containers) >= size(oldSelf.status.steps) && oldSelf.status.steps.all(i, s, ` +
				mayEdit + ` || self.spec.containers[i] == oldSelf.spec.containers[i]))`,
			FieldPath: ".spec.containers",
			Message:   "a step that has started cannot be changed, moved or removed, nor can a step be put before it " +
				"(status.steps lists the started ones; only the failed step of a failed sequence can be changed): " +
				"restore it, or delete the SequentialJob and create it anew",
		},
		{
			Rule:      unlessStartedStepsMayChange + `!has(oldSelf.status.phase) || oldSelf.status.phase != 'Completed'`,
			FieldPath: ".spec.containers",
			Message: "the steps of a completed sequence cannot be changed: " +
				"delete the SequentialJob and create it anew to run it again",
		},
	}
}

// onSpec limits a rule to the writes that create the object or change its spec.
func onSpec(rule apiextensionsv1.ValidationRule) apiextensionsv1.ValidationRule {
	optional := true
	rule.OptionalOldSelf = &optional
	rule.Rule = unlessSpecChanges + parenthesized(rule.Rule)
	return rule
}

func parenthesized(rule string) string {
	if strings.Contains(rule, "||") {
		return "(" + rule + ")"
	}
	return rule
}
