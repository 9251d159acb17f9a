package sequence

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Containers whose pods have the same template but for them are checked by one dry run: all of a spec without overrides.

// maxCheckedTemplates bounds how many dry runs of groups one check sends: a turn has to be over in time. What is left out the create tells.
const maxCheckedTemplates = 20

// maxInvalidSteps bounds how many invalid steps one refusal lists.
const maxInvalidSteps = 5

// checkGroup are containers whose pods have the same template but for them.
type checkGroup struct {
	// key is the Action.Step of the dry run of all of them. It is the same as long as the spec is.
	key int
	// indices are those of them that are asked for, in order.
	indices []int
}

// checkGroups returns the groups of the containers at the indices that are asked for, in the order of the first of each in the spec.
func checkGroups(spec *v1alpha1.SequentialJobSpec, isAskedFor func(index int) bool) []checkGroup {
	var groups []checkGroup
	places := map[string]int{}
	for _, index := range allIndices(spec) {
		template := templateKey(overrideOf(spec, nameAt(spec, index)))
		place, isKnown := places[template]
		if !isKnown {
			place = len(groups)
			places[template] = place
			groups = append(groups, checkGroup{key: AllSteps - place})
		}
		if isAskedFor(index) {
			groups[place].indices = append(groups[place].indices, index)
		}
	}
	return slices.DeleteFunc(groups, func(group checkGroup) bool { return len(group.indices) == 0 })
}

// allIndices returns the indices of all containers of a spec, in the order in which they run.
func allIndices(spec *v1alpha1.SequentialJobSpec) []int {
	indices := make([]int, 0, len(spec.Containers)+len(spec.Finally))
	for i := range spec.Containers {
		indices = append(indices, i)
	}
	for i := range spec.Finally {
		indices = append(indices, FirstFinally+i)
	}
	return indices
}

// templateKey is the same text for overrides that make the same of spec.template.
func templateKey(override *v1alpha1.StepOverride) string {
	if !hasTemplate(override) {
		return ""
	}
	raw, err := json.Marshal(override.Template)
	if err != nil {
		return override.Name // what came from JSON goes back to JSON
	}
	return string(raw)
}

// mayStart says whether there is a container at an index which may still start.
func (d *decider) mayStart(index int) bool {
	stored := &d.sj.Status
	switch {
	case ContainerAt(&d.sj.Spec, index) == nil:
		return false
	case IsFinally(index):
		return index-FirstFinally >= len(stored.Finally) && (len(stored.Steps) > 0 || !d.isCancelled(0))
	}
	return index >= d.firstToCheck() && stored.Result == nil && !d.isCancelled(index)
}

// findings are what the dry runs of one check have shown so far.
type findings struct {
	indices  []int    // of the containers that are invalid
	problems []string // what is wrong with them
	// isOpen says that somebody did not let a dry run pass that could have told, and why is in his words.
	isOpen bool
	why    string
}

// add notes that the container at index is invalid.
func (f *findings) add(index int, problems []string) {
	f.indices = append(f.indices, index)
	for _, problem := range problems {
		if problem = clean(problem); !slices.Contains(f.problems, problem) {
			f.problems = append(f.problems, problem)
		}
	}
}

// leaveOpen notes that not everything could be found out.
func (f *findings) leaveOpen(why string) {
	f.isOpen, f.why = true, why
}

// isEnough says whether nothing is to be gained by more dry runs.
func (f *findings) isEnough() bool {
	return f.isOpen || len(f.indices) >= maxInvalidSteps
}

// verdict is what they come to. What is invalid is so whatever could not be found out.
func (f *findings) verdict() *verdict {
	switch {
	case len(f.indices) > 0:
		message := cut(strings.Join(f.problems, "; "), maxDetail)
		return &verdict{v1alpha1.SpecCheckRefused, slices.Min(f.indices), message, f.problems}
	case f.isOpen:
		return &verdict{result: v1alpha1.SpecCheckUnknown, message: cut(clean(f.why), maxDetail)}
	}
	return &verdict{result: v1alpha1.SpecCheckAccepted}
}
