package main

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const oldPhase = `oldSelf.?status.?phase.orValue('')`

// transitionRules keep what has happened from being rewritten.
func transitionRules(e *editor) (out apiextensionsv1.ValidationRules, err error) {
	sameContainers := func(list string) (env, others string) {
		e.at(list+"[]", func(s *schema) {
			if err == nil {
				env, others, err = sameContainer("self."+list+"[i]", "oldSelf."+list+"[i]", s)
			}
		})
		return env, others
	}
	env, others := sameContainers("spec.containers")
	out = append(out, startedSteps(env), startedSteps(others))
	// There are fewer of these, so one rule can compare all of them.
	env, others = sameContainers("spec.finally")
	out = append(out, startedFinally(env+" && "+others))
	e.at(overrides+"[].template", func(s *schema) {
		same, failed := sameTemplate(`self.spec.stepOverrides[j].template`, `oldSelf.spec.stepOverrides[k].template`, s)
		if err == nil {
			err = failed
		}
		out = append(out, startedOverrides(same))
	})
	return out, err
}

// startedSteps is the rule for steps. An entry of status.steps means that the step of that index has started. It is given a condition
// that the step i means what it meant.
func startedSteps(same string) apiextensionsv1.ValidationRule {
	const (
		isThere = `i < is`
		mayEdit = `(s.state == 'Failed' && has(oldSelf.status.phase) && oldSelf.status.phase == 'Failed')`
		// Whatever a status claims, an object that had no such step can be written.
		neverWas = `i >= was`
		// While spec.finally runs after a success, and then, all steps are complete. One could only be added, and would never run.
		areComplete = `(has(oldSelf.status.phase) && (oldSelf.status.phase == 'Completed' || ` +
			`oldSelf.status.phase != 'Failed' && oldSelf.?status.?result.?type.orValue('') == 'Completed'))`
		noneIsAdded = `(!` + areComplete + ` || is <= was)`

		started = "a step that has started cannot be changed, moved or removed, nor can a step be put before it " +
			"(status.steps lists the started ones; only the failed step of a failed sequence can be changed)"
		instead   = "restore it, or delete the SequentialJob and create it again"
		completed = "the steps of a completed sequence cannot be changed: " +
			"delete the SequentialJob and create it again"

		// The step that runs is the last one that has started. The way out of the most common mistake, a wrong image, comes first.
		last      = `[size(oldSelf.status.steps) - 1]`
		isRunning = `oldSelf.status.steps` + last + `.state == 'Running' && size(self.spec.containers) == size(oldSelf.spec.containers) && ` +
			`self.spec.containers` + last + ` != oldSelf.spec.containers` + last
		running = `oldSelf.status.steps` + last + `.name + ' runs. To correct it, set retries to status.progress.retries, delete its Job (kubectl delete job ' + ` +
			`oldSelf.status.steps` + last + `.jobName + '), and once the sequence has failed, edit the step and raise retries. Otherwise `
	)
	return apiextensionsv1.ValidationRule{
		Rule: unlessStatusChangesToo + `[size(self.spec.containers)].all(is, [size(oldSelf.spec.containers)].all(was, ` +
			`oldSelf.status.steps.all(i, s, ` + neverWas + ` || (` + isThere + ` && ((` + same + `) || ` + mayEdit + `))) && ` +
			noneIsAdded + `))`,
		FieldPath:         ".spec.containers",
		Message:           started + ": " + instead,
		MessageExpression: areComplete + ` ? '` + completed + `' : '` + started + `: ' + (` + isRunning + ` ? ` + running + `' : '') + '` + instead + `'`,
	}
}

// startedFinally is the rule for spec.finally. An entry of status.finally means that the container of that index has started since the
// steps ended. After a failure all of them may be changed, because they run again, in new Jobs, at the next end.
func startedFinally(same string) apiextensionsv1.ValidationRule {
	const (
		runs   = `oldSelf.?status.?result.hasValue()`
		begun  = `size(oldSelf.?status.?finally.orValue([]))`
		length = `.spec.?finally.orValue([])`

		started = "a container that has started cannot be changed, moved or removed, nor can one be put before it (status.finally lists the " +
			"started ones): restore it, or wait until the sequence has failed, or delete the SequentialJob and create it again"
		completed = "cannot be changed once the sequence is complete: " +
			"restore it, or delete the SequentialJob and create it again"
	)
	return apiextensionsv1.ValidationRule{
		Rule: unlessStatusChangesToo + `[` + oldPhase + `].all(phase, phase == 'Failed' || (phase != 'Completed' && (!` + runs + ` || ` + begun + ` == 0)) || ` +
			`[self.spec.?finally] == [oldSelf.spec.?finally] || ` +
			`[size(self` + length + `)].all(is, [size(oldSelf` + length + `)].all(was, (phase != 'Completed' || is == was) && ` +
			`(was == 0 || oldSelf.spec.finally.all(i, f, (phase != 'Completed' && i >= ` + begun + `) || (i < is && ` + same + `))))))`,
		FieldPath:         ".spec.finally",
		Message:           started,
		MessageExpression: oldPhase + ` == 'Completed' ? '` + completed + `' : '` + started + `'`,
	}
}

// startedOverrides is the rule for what is different for a step that has started: its template stays, and all but suspend once it
// is complete. It is given a condition that the template of the entry j means what that of k meant.
func startedOverrides(same string) apiextensionsv1.ValidationRule {
	const (
		// What may be edited after a failure is left out: the failed step, and all of spec.finally, which runs again.
		startedSteps   = `oldSelf.status.steps.filter(s, s.state != 'Failed' || ` + oldPhase + ` != 'Failed')`
		startedFinally = `(` + oldPhase + ` != 'Failed' && oldSelf.?status.?result.hasValue() && has(oldSelf.status.finally) ? ` +
			`oldSelf.status.finally`
		// Names of steps whose template stays, and of those of which nothing but suspend can matter any more.
		fixed = startedSteps + `.map(s, s.name) + ` + startedFinally + `.map(s, s.name) : [])`
		ended = `oldSelf.status.steps.filter(s, s.state == 'Completed').map(s, s.name) + ` +
			startedFinally + `.filter(s, s.state == 'Completed').map(s, s.name) : [])`

		nothing = `(!has(o.template) && (!(o.name in ended) || (!has(o.backoffLimit) && !has(o.activeDeadlineSeconds))))`
		limits  = `(!(o.name in ended) || [p.?backoffLimit, p.?activeDeadlineSeconds] == [o.?backoffLimit, o.?activeDeadlineSeconds])`

		message = "the template of a step that has started cannot be changed, nor can backoffLimit and activeDeadlineSeconds of one that is " +
			"complete (status.steps and status.finally list them; those of a failed step can be changed once the sequence has failed): " +
			"restore them, or delete the SequentialJob and create it again"
	)
	was, is := `oldSelf.spec.stepOverrides`, `self.spec.stepOverrides`
	names := func(list string) string { return `(has(` + list + `) ? ` + list + `.map(o, o.name) : [])` }
	return apiextensionsv1.ValidationRule{
		Rule: unlessStatusChangesToo + `[self.spec.?stepOverrides] == [oldSelf.spec.?stepOverrides] || ` +
			`[` + fixed + `].all(fixed, [` + ended + `].all(ended, [` + names(is) + `].all(is, [` + names(was) + `].all(was, ` +
			`(!has(` + was + `) || ` + was + `.all(k, o, !(o.name in fixed) || [is.indexOf(o.name)].all(j, j < 0 ? ` + nothing + ` : ` +
			`[` + is + `[j]].all(p, ` + limits + ` && ([p.?template] == [o.?template] || ` +
			`(has(p.template) && has(o.template) && ` + same + `)))))) && ` +
			`(!has(` + is + `) || ` + is + `.all(o, o.name in was || !(o.name in fixed) || ` + nothing + `))))))`,
		FieldPath: ".spec.stepOverrides",
		Message:   message,
	}
}

// sameTemplate returns the condition that the pod templates at the paths a and b mean the same, as far as the API server can afford to
// look: lists are compared as they are written, init containers by their names, images, commands and arguments, and volumes by
// their names. What is overlooked does no harm: a step that has started has its Job already. What has no effect, or is for the
// cluster to say (overhead), is left out.
func sameTemplate(a, b string, s *schema) (string, error) {
	t := reflect.TypeFor[corev1.PodTemplateSpec]()
	kept := s.DeepCopy()
	metadata, spec := kept.Properties["metadata"], kept.Properties["spec"]
	for _, name := range []string{"name", "generateName", "namespace", "creationTimestamp"} {
		delete(metadata.Properties, name)
	}
	for _, name := range []string{"containers", "ephemeralContainers", "initContainers", "volumes", "overhead"} {
		delete(spec.Properties, name)
	}
	same, err := (&scope{a: a, b: b, rough: true}).sameMeaning(kept, t)
	list := func(path, field, item string) string {
		path += ".spec"
		return `[(has(` + path + `) && has(` + path + `.` + field + `) ? ` + path + `.` + field + `.map(x, ` + item + `) : [])]`
	}
	const (
		inits, init     = "initContainers", `[dyn(x.name), dyn(x.?image.orValue('')), dyn(x.?command.orValue([])), dyn(x.?args.orValue([]))]`
		volumes, volume = "volumes", `x.name`
	)
	return `(` + same + ` && ` + list(a, inits, init) + ` == ` + list(b, inits, init) + ` && ` +
		list(a, volumes, volume) + ` == ` + list(b, volumes, volume) + `)`, err
}
