package sequence

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

var containerPath = regexp.MustCompile(`^spec\.template\.spec\.containers\[(\d+)\]`)

// SuspectSteps returns those of the indices of a refused NewCheckJob that the causes name, in order; all of them if some cause names
// none, because any step's Job may then be at fault.
func SuspectSteps(indices []int, causes []metav1.StatusCause) []int {
	var suspects []int
	for _, cause := range causes {
		place, ok := containerIndex(cause.Field)
		if !ok || place >= len(indices) {
			return indices
		}
		suspects = append(suspects, indices[place])
	}
	if len(suspects) == 0 {
		return indices
	}
	slices.Sort(suspects)
	return slices.Compact(suspects)
}

// DescribeInvalid says what is wrong with the step at index in terms of the fields of the SequentialJob, given the
// causes for which the API server refused that step's Job. It returns one text a cause.
func DescribeInvalid(sj *v1alpha1.SequentialJob, index int, causes []metav1.StatusCause) []string {
	var out []string
	for _, cause := range causes {
		if text := joinNonEmpty(": ", ownField(sj, index, cause.Field), cause.Message); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// ownField translates a field of a step's Job into the field of the SequentialJob that it came from.
func ownField(sj *v1alpha1.SequentialJob, index int, field string) string {
	if rest := containerPath.ReplaceAllString(field, ""); rest != field {
		return fieldAt(index) + rest
	}
	for _, to := range []struct{ job, own string }{
		{"spec.template.labels", "spec.template.metadata.labels"},
		{"spec.template.annotations", "spec.template.metadata.annotations"},
		{"metadata.labels", "spec.template.metadata.labels"},
		{"metadata.annotations", "spec.template.metadata.annotations"},
	} {
		if rest, ok := strings.CutPrefix(field, to.job); ok {
			field = to.own + rest
			break
		}
	}
	if override := overrideOf(&sj.Spec, nameAt(&sj.Spec, index)); override != nil {
		return overriddenField(sj, index, override, field)
	}
	return field
}

func containerIndex(field string) (int, bool) {
	match := containerPath.FindStringSubmatch(field)
	if match == nil {
		return 0, false
	}
	index, err := strconv.Atoi(match[1])
	return index, err == nil
}
