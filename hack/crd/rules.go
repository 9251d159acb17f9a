package main

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// The rules below sit on the root of the object because they compare steps with the template or with the status.
//
// The API server evaluates root rules on every write, and most writes are the controller's to status: a rule that loops
// over 100 steps would make each of those many times as expensive. But a write to /status cannot change the spec, and a
// write to the object cannot change the status, so wherever anything in the status differs there is nothing to check.
//
// To ask that has a price, too: for every field that a rule names, the API server copies the schema of all fields beside it. So
// the rules look at the two things of which one differs after nearly every status write, and never at the whole status: whoever
// compares that spends more time on it than on all the rest. docs/crd-cost.md has the figures.
const (
	unlessStatusChanges = `(oldSelf.hasValue() && (` +
		`size(self.?status.?steps.orValue([])) != size(oldSelf.?status.?steps.orValue([])) || ` +
		`self.?status.?completionTime.hasValue() != oldSelf.?status.?completionTime.hasValue())) || `

	// The same for a rule that reads the old status, and is about started steps. oldSelf, unlike oldSelf.value(), has a type whose size
	// the API server can estimate; through oldSelf.value() it takes such a rule for a hundred times too expensive.
	unlessStatusChangesToo = `[size(oldSelf.?status.?steps.orValue([]))].all(started, started == 0 || ` +
		`started != size(self.?status.?steps.orValue([])) || ` +
		`self.?status.?completionTime.hasValue() != oldSelf.?status.?completionTime.hasValue() || `

	// An object that an older, looser version of a rule let in must still lose its finalizer, or it could never be
	// deleted. It stands last, because comparing whole specs is by far the slowest of all this.
	orSpecIsTheSame = ` || (oldSelf.hasValue() && self.spec == oldSelf.value().spec)`
)

const (
	templateSpec   = `self.spec.template.spec`
	initContainers = templateSpec + `.initContainers`
	nameTooLong    = "must be at most 52 characters long, because the names of the Jobs are made of it: "
	stepNames      = `self.spec.containers.map(c, c.name)`
)

var (
	initContainerNames = `(` + hasField("initContainers") + ` ? ` + initContainers + `.map(c, c.name) : [])`
	volumeNames        = `(` + hasField("volumes") + ` ? ` + templateSpec + `.volumes.map(v, v.name) : [])`
)

// hasField is true if the template's pod spec has the field.
func hasField(field string) string {
	return `has(self.spec.template) && has(` + templateSpec + `) && has(` + templateSpec + `.` + field + `)`
}

// rootRules are the rules that need more than one field to decide. The API server puts FieldPath before the message.
func rootRules() apiextensionsv1.ValidationRules {
	return apiextensionsv1.ValidationRules{
		{
			Rule:      `size(self.metadata.name) <= 52`,
			FieldPath: ".metadata.name",
			Message:   nameTooLong + "choose a shorter name",
			// generateName is cut to 58 characters before 5 are added to it.
			MessageExpression: `has(self.metadata.generateName) && size(self.metadata.generateName) > 47 && ` +
				`self.metadata.name.startsWith(self.metadata.generateName.substring(0, 48)) ? '` + nameTooLong +
				`5 are added to generateName, so choose a prefix of at most 47' : '` + nameTooLong + `choose a shorter name'`,
		},
		createRule(".spec.containers", "step names must be unique, and what the steps mount must be in spec.template.spec.volumes",
			uniqueNames(), noInitContainerName(),
			volumesExist("self.spec.containers", "step", "volumeMounts"),
			volumesExist("self.spec.containers", "step", "volumeDevices")),
		createRule(".spec.template.spec.initContainers", "what the containers mount must be in spec.template.spec.volumes",
			ifPresent(hasField("initContainers"), volumesExist(initContainers, "container", "volumeMounts")),
			ifPresent(hasField("initContainers"), volumesExist(initContainers, "container", "volumeDevices"))),
		createRule(".spec.podFailurePolicy", "needs spec.template.spec.restartPolicy Never and names of containers that exist",
			ifPresent("has(self.spec.podFailurePolicy)", policyNeedsNever()),
			ifPresent("has(self.spec.podFailurePolicy)", policyContainersExist())),
	}
}

// check is one condition and a CEL expression for the message if it does not hold.
type check struct{ condition, message string }

// createRule makes one rule of several checks of a field, to be evaluated when the object is created or its spec is
// changed. The message is the one of the first check that fails; summary stands in for it should that be too expensive.
func createRule(fieldPath, summary string, checks ...check) apiextensionsv1.ValidationRule {
	optional := true
	last := checks[len(checks)-1]
	all, message := last.condition, last.message
	for i := len(checks) - 2; i >= 0; i-- {
		all = checks[i].condition + ` && ` + all
		message = `!` + checks[i].condition + ` ? ` + checks[i].message + ` : ` + message
	}
	return apiextensionsv1.ValidationRule{
		Rule:              unlessStatusChanges + `(` + all + `)` + orSpecIsTheSame,
		OptionalOldSelf:   &optional,
		FieldPath:         fieldPath,
		Message:           summary,
		MessageExpression: message,
	}
}

func ifPresent(present string, c check) check {
	return check{condition: `(!(` + present + `) || ` + c.condition + `)`, message: c.message}
}

func uniqueNames() check {
	return check{
		// The list of one list gives the list of names a name of its own: it is made once, and searched in native code.
		condition: `[` + stepNames + `].all(names, names.all(n, names.indexOf(n) == names.lastIndexOf(n)))`,
		message: `'more than one step is named "' + ` +
			stepNames + `.filter(n, !self.spec.containers.exists_one(c, c.name == n))[0] + ` +
			`'": step names must be unique, rename one of them'`,
	}
}

func noInitContainerName() check {
	return check{
		condition: `!sets.intersects(` + stepNames + `, ` + initContainerNames + `)`,
		message: `'step "' + ` + stepNames + `.filter(n, n in ` + initContainerNames + `)[0] + ` +
			`'" has the name of a container in spec.template.spec.initContainers, which runs in the same pod: rename one of them'`,
	}
}

// volumesExist says that what the containers of a list mount, or use as a device, is there.
func volumesExist(list, noun, field string) check {
	used := `c.` + field + `.map(m, m.name)`
	return check{
		condition: `[` + volumeNames + `].all(volumes, ` + list + `.all(c, ` +
			`!has(c.` + field + `) || c.` + field + `.all(m, m.name in volumes)))`,
		message: `'` + noun + ` "' + ` + list +
			`.map(c, has(c.` + field + `) && !sets.contains(` + volumeNames + `, ` + used + `), ` +
			`c.name + '": ` + field + ` "' + ` + used + `.filter(n, !(n in ` + volumeNames + `))[0])[0] + ` +
			`'" is not a volume in spec.template.spec.volumes: add it there or correct the name'`,
	}
}

func policyNeedsNever() check {
	return check{
		condition: `(!(` + hasField("restartPolicy") + `) || ` + templateSpec + `.restartPolicy == 'Never')`,
		message: `'needs spec.template.spec.restartPolicy Never: with OnFailure a failed container is restarted in place ` +
			`and its pod does not fail. Remove restartPolicy or the policy'`,
	}
}

func policyContainersExist() check {
	const named = `self.spec.podFailurePolicy.rules.filter(r, has(r.onExitCodes) && has(r.onExitCodes.containerName))` +
		`.map(r, r.onExitCodes.containerName)`
	containers := stepNames + ` + ` + initContainerNames
	return check{
		condition: `sets.contains(` + containers + `, ` + named + `)`,
		message: `'onExitCodes.containerName "' + ` + named + `.filter(n, !(n in ` + containers + `))[0] + ` +
			`'" is neither a step nor in spec.template.spec.initContainers: correct it, or remove it to mean every container'`,
	}
}

// The step i of transitionRules, as it is to be and as it was.
const newStep, oldStep = `self.spec.containers[i]`, `oldSelf.spec.containers[i]`

// transitionRules keep what has happened from being rewritten. An entry of status.steps means that the step of that
// index has started. Conditions that the step i means what it meant are given, each makes a rule.
func transitionRules(sameStep ...string) apiextensionsv1.ValidationRules {
	const (
		isThere = `i < is`
		mayEdit = `(s.state == 'Failed' && has(oldSelf.status.phase) && oldSelf.status.phase == 'Failed')`
		// Whatever a status claims, an object that had no such step can be written.
		neverWas = `i >= was`
		// All steps of a completed sequence have started, so what the first condition leaves open is adding one.
		noneIsAdded = `(!has(oldSelf.status.phase) || oldSelf.status.phase != 'Completed' || ` +
			`is <= was)`

		started = "a step that has started cannot be changed, moved or removed, nor can a step be put before it " +
			"(status.steps lists the started ones; only the failed step of a failed sequence can be changed): " +
			"restore it, or delete the SequentialJob and create it anew"
		completed = "the steps of a completed sequence cannot be changed: " +
			"delete the SequentialJob and create it anew to run it again"
	)
	var out apiextensionsv1.ValidationRules
	for _, same := range sameStep {
		out = append(out, apiextensionsv1.ValidationRule{
			Rule: unlessStatusChangesToo + `[size(self.spec.containers)].all(is, [size(oldSelf.spec.containers)].all(was, ` +
				`oldSelf.status.steps.all(i, s, ` + neverWas + ` || (` + isThere + ` && ((` + same + `) || ` + mayEdit + `))) && ` +
				noneIsAdded + `)))`,
			FieldPath:         ".spec.containers",
			Message:           started,
			MessageExpression: `has(oldSelf.status.phase) && oldSelf.status.phase == 'Completed' ? '` + completed + `' : '` + started + `'`,
		})
	}
	return out
}
