package sequence_test

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// edit is one change of the spec that a user may make.
type edit struct {
	label  string
	demand demand
	cost   func(*budget) *int8 // nil if it puts something right
	change func(*v1alpha1.SequentialJobSpec)
}

// specMoves are those of the user who edits the spec.
func specMoves(from place, add addMove) {
	for _, edits := range [][]edit{settingsOf(from), stepEdits(from), finallyEdits(from)} {
		for _, e := range edits {
			var cost *int8
			if e.cost != nil {
				cost = e.cost(&from.budget)
			}
			add("the user "+e.label, e.demand, nil, cost, func(p *place) {
				if e.cost != nil {
					*e.cost(&p.budget)--
				}
				p.changeSpec(e.change)
			})
		}
	}
}

// settingsOf are what can be changed at any time.
func settingsOf(from place) []edit {
	spec := &from.sj.Spec
	retries := ptr.Deref(spec.Retries, 0)
	out := []edit{
		{"switches advanceOn", nothing, func(b *budget) *int8 { return &b.Switches }, switchAdvanceOn},
		{"raises retries", nothing, func(b *budget) *int8 { return &b.Raises },
			func(spec *v1alpha1.SequentialJobSpec) { spec.Retries = new(retries + 1) }},
	}
	if ptr.Deref(spec.Suspend, false) {
		out = append(out, edit{"resumes", nothing, nil, func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = nil }})
	} else {
		out = append(out, edit{"suspends", nothing, func(b *budget) *int8 { return &b.Suspensions },
			func(spec *v1alpha1.SequentialJobSpec) { spec.Suspend = new(true) }})
	}
	if retries > 0 {
		out = append(out, edit{"sets retries to 0", nothing, func(b *budget) *int8 { return &b.Lowerings },
			func(spec *v1alpha1.SequentialJobSpec) { spec.Retries = nil }})
	}
	if !ptr.Deref(spec.Cancel, false) {
		out = append(out, edit{"cancels", nobodyCreates, func(b *budget) *int8 { return &b.Cancels },
			func(spec *v1alpha1.SequentialJobSpec) { spec.Cancel = new(true) }})
	}
	return out
}

// stepEdits are those of the steps that have not started.
func stepEdits(from place) []edit {
	next := len(from.sj.Status.Steps)
	if next >= len(from.sj.Spec.Containers) || sequence.Finished(&from.sj.Status) {
		return nil
	}
	edits := func(b *budget) *int8 { return &b.Edits }
	out := []edit{{"edits the next step", nobodyCreates, edits, func(spec *v1alpha1.SequentialJobSpec) { spec.Containers[next].Name += "'" }}}
	if next > 0 {
		out = append(out, edit{"removes the steps to come", nobodyCreates, edits,
			func(spec *v1alpha1.SequentialJobSpec) { spec.Containers = spec.Containers[:next] }})
	}
	return out
}

// finallyEdits are those of what has not started of spec.finally.
func finallyEdits(from place) []edit {
	next, size := len(from.sj.Status.Finally), len(from.sj.Spec.Finally)
	if sequence.Finished(&from.sj.Status) {
		return nil
	}
	edits := func(b *budget) *int8 { return &b.FinallyEdits }
	out := []edit{{"adds to spec.finally", nothing, edits, func(spec *v1alpha1.SequentialJobSpec) {
		spec.Finally = append(spec.Finally, corev1.Container{Name: "added"})
	}}}
	if next < size {
		out = append(out,
			edit{"edits the next of spec.finally", nobodyCreates, edits, func(spec *v1alpha1.SequentialJobSpec) { spec.Finally[next].Name += "'" }},
			edit{"removes the last of spec.finally", nobodyCreates, edits,
				func(spec *v1alpha1.SequentialJobSpec) { spec.Finally = spec.Finally[:size-1] }})
	}
	return out
}
