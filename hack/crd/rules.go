package main

import (
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// The rules below sit on the root of the object because they compare steps with the template or with the status.
//
// The API server evaluates root rules on every write, and most writes are the controller's to status: a rule that loops
// over 100 steps would make each of those many times as expensive. But a write to /status cannot change the spec, and a
// write to the object cannot change the status, so wherever anything in the status differs there is nothing to check.
//
// To ask that has a price, too: for every field that a rule names, the API server copies the schema of all fields beside it. So
// the rules look at the things of which one differs after nearly every status write, the most frequent one first, and never at the
// whole status: whoever compares that spends more time on it than on all the rest. docs/crd-cost.md has the figures.
const (
	statusChanges = `size(self.?status.?steps.orValue([])) != size(oldSelf.?status.?steps.orValue([])) || ` +
		`self.?status.?completionTime.hasValue() != oldSelf.?status.?completionTime.hasValue() || ` +
		`size(self.?status.?finally.orValue([])) != size(oldSelf.?status.?finally.orValue([])) || ` +
		`self.?status.?result.hasValue() != oldSelf.?status.?result.hasValue()`

	unlessStatusChanges = `(oldSelf.hasValue() && (` + statusChanges + `)) || `

	// The same for a rule that reads the old status, and is about started steps. oldSelf, unlike oldSelf.value(), has a type whose size
	// the API server can estimate; through oldSelf.value() it takes such a rule for a hundred times too expensive. Without a step,
	// nothing of spec.finally can have started either.
	unlessStatusChangesToo = `size(oldSelf.?status.?steps.orValue([])) == 0 || ` + statusChanges + ` || `

	// An object that an older, looser version of a rule let in must still lose its finalizer, or it could never be
	// deleted. It stands last, because comparing whole specs is by far the slowest of all this.
	orSpecIsTheSame = ` || (oldSelf.hasValue() && self.spec == oldSelf.value().spec)`
)

const (
	templateSpec   = `self.spec.template.spec`
	initContainers = templateSpec + `.initContainers`
	nameTooLong    = "must be at most 52 characters long, because the names of the Jobs are made of it: "
	stepNames      = `self.spec.containers.map(c, c.name)`
	overrideList   = `self.spec.stepOverrides`
	hasOverrides   = `has(self.spec.stepOverrides)`
	finallyNames   = `(has(self.spec.finally) ? self.spec.finally.map(c, c.name) : [])`
	// What a step mounts can be in a volume of its own: then the controller asks the API server whether it is there.
	withOwnVolumes = `(` + hasOverrides + ` ? ` + overrideList + `.filter(o, o.?template.?spec.?volumes.hasValue()).map(o, o.name) : [])`
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
			uniqueNames(), noInitContainerName(stepNames),
			volumesExist("self.spec.containers", "step", "volumeMounts"),
			volumesExist("self.spec.containers", "step", "volumeDevices")),
		createRule(".spec.finally", "names must be unique in spec.containers and spec.finally, and what is mounted must be in spec.template.spec.volumes",
			ifPresent("has(self.spec.finally)", uniqueFinallyNames()),
			ifPresent("has(self.spec.finally)", noInitContainerName(finallyNames)),
			ifPresent("has(self.spec.finally)", volumesExist("self.spec.finally", "step", "volumeMounts")),
			ifPresent("has(self.spec.finally)", volumesExist("self.spec.finally", "step", "volumeDevices"))),
		createRule(".spec.stepOverrides", "each name must be one of a step in spec.containers or spec.finally",
			ifPresent(hasOverrides, stepsExist())),
		createRule(".spec.template.spec.initContainers", "what the containers mount must be in spec.template.spec.volumes",
			ifPresent(hasField("initContainers"), volumesExist(initContainers, "container", "volumeMounts")),
			ifPresent(hasField("initContainers"), volumesExist(initContainers, "container", "volumeDevices"))),
		createRule(".spec.podFailurePolicy", "needs spec.template.spec.restartPolicy Never and names of containers that exist",
			ifPresent("has(self.spec.podFailurePolicy)", policyNeedsNever()),
			ifPresent("has(self.spec.podFailurePolicy) && "+hasOverrides, policyNeedsNeverInOverrides()),
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

func uniqueFinallyNames() check {
	return check{
		condition: `(!sets.intersects(` + stepNames + `, ` + finallyNames + `) && [` + finallyNames + `].all(names, ` +
			`names.all(n, names.indexOf(n) == names.lastIndexOf(n))))`,
		message: `'more than one step is named "' + ` + finallyNames + `.filter(n, n in ` + stepNames + ` || ` +
			`!self.spec.finally.exists_one(c, c.name == n))[0] + ` +
			`'": names must be unique in spec.containers and spec.finally together, rename one of them'`,
	}
}

// stepsExist names the first ten steps and the first three of spec.finally, because a message has its limits. One by one: the API server
// takes a joined list for endless.
func stepsExist() check {
	const names = stepNames + ` + ` + finallyNames
	var list strings.Builder
	for i := 1; i <= 10; i++ {
		list.WriteString(nameAt("self.spec.containers", i, i == 10))
	}
	list.WriteString(` + (has(self.spec.finally) ? ''`)
	for i := range 4 {
		list.WriteString(nameAt("self.spec.finally", i, i == 3))
	}
	return check{
		condition: `[` + names + `].all(names, ` + overrideList + `.all(o, o.name in names))`,
		message: `'there is no step "' + ` + overrideList + `.map(o, o.name).filter(n, !(n in ` + names + `))[0] + ` +
			`'" in spec.containers or spec.finally: correct the name, or remove the entry. The steps are ' + self.spec.containers[0].name` + list.String() + ` : '')`,
	}
}

// nameAt adds the name of an item to a text, or dots for it and what comes after it.
func nameAt(list string, i int, dots bool) string {
	name := fmt.Sprintf(`', ' + %s[%d].name`, list, i)
	if dots {
		name = `', ...'`
	}
	return fmt.Sprintf(` + (size(%s) > %d ? %s : '')`, list, i, name)
}

func noInitContainerName(names string) check {
	return check{
		condition: `!sets.intersects(` + names + `, ` + initContainerNames + `)`,
		message: `'step "' + ` + names + `.filter(n, n in ` + initContainerNames + `)[0] + ` +
			`'" has the name of a container in spec.template.spec.initContainers, which runs in the same pod: rename one of them'`,
	}
}

// volumesExist says that what the containers of a list mount, or use as a device, is there.
func volumesExist(list, noun, field string) check {
	orOwn := ``
	if noun == "step" {
		orOwn = ` || c.name in ` + withOwnVolumes
	}
	used := `c.` + field + `.map(m, m.name)`
	return check{
		condition: `[` + volumeNames + `].all(volumes, ` + list + `.all(c, ` +
			`!has(c.` + field + `) || c.` + field + `.all(m, m.name in volumes)` + orOwn + `))`,
		message: `'` + noun + ` "' + ` + list +
			`.map(c, has(c.` + field + `) && !(sets.contains(` + volumeNames + `, ` + used + `)` + orOwn + `), ` +
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

func policyNeedsNeverInOverrides() check {
	const onFailure = `o.?template.?spec.?restartPolicy.orValue('') == 'OnFailure'`
	return check{
		condition: `!` + overrideList + `.exists(o, ` + onFailure + `)`,
		message: `'needs restartPolicy Never, and spec.stepOverrides has OnFailure for the step "' + ` + overrideList +
			`.map(o, ` + onFailure + `, o.name)[0] + '": remove it there, or remove the policy'`,
	}
}

func policyContainersExist() check {
	const named = `self.spec.podFailurePolicy.rules.filter(r, has(r.onExitCodes) && has(r.onExitCodes.containerName))` +
		`.map(r, r.onExitCodes.containerName)`
	containers := stepNames + ` + ` + finallyNames + ` + ` + initContainerNames
	inOverride := `(` + hasOverrides + ` && ` + overrideList + `.exists(o, o.?template.?spec.?initContainers.hasValue() && ` +
		`o.template.spec.initContainers.exists(c, c.name == n)))`
	return check{
		condition: `[` + containers + `].all(names, ` + named + `.all(n, n in names || ` + inOverride + `))`,
		message: `'onExitCodes.containerName "' + ` + named + `.filter(n, !(n in ` + containers + `) && !` + inOverride + `)[0] + ` +
			`'" is neither a step nor an init container of spec.template or spec.stepOverrides: ` +
			`correct it, or remove it to mean every container'`,
	}
}

// cancelIsOneWay belongs to the schema of the spec, where it costs least.
func cancelIsOneWay() apiextensionsv1.ValidationRule {
	return apiextensionsv1.ValidationRule{
		Rule:      `!oldSelf.?cancel.orValue(false) || self.?cancel.orValue(false)`,
		FieldPath: ".cancel",
		Message:   "cannot be taken back: delete the SequentialJob and create it again",
	}
}

// needsSteps stands in the schema of the spec because the default of the list, which is empty, must not break a rule of the list.
func needsSteps() apiextensionsv1.ValidationRule {
	required := apiextensionsv1.FieldValueRequired
	return apiextensionsv1.ValidationRule{
		Rule:      `size(self.containers) > 0`,
		FieldPath: ".containers",
		Reason:    &required,
		Message:   "list the steps here, at least one, not in spec.template.spec.containers",
	}
}
