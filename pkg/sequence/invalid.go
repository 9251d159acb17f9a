package sequence

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

var containerPath = regexp.MustCompile(`^spec\.template\.spec\.containers\[(\d+)\]`)

// SuspectSteps returns the indices of the steps that the causes of a refused NewCheckJob name, in order; all steps from the first
// that it held if some cause names none, because any step's Job may then be at fault.
func SuspectSteps(sj *v1alpha1.SequentialJob, first int, causes []metav1.StatusCause) []int {
	var suspects []int
	for _, cause := range causes {
		index, ok := containerIndex(cause.Field)
		if index += first; !ok || index >= len(sj.Spec.Containers) {
			suspects = nil
			break
		}
		suspects = append(suspects, index)
	}
	if len(suspects) == 0 {
		for i := first; i < len(sj.Spec.Containers); i++ {
			suspects = append(suspects, i)
		}
	}
	slices.Sort(suspects)
	return slices.Compact(suspects)
}

// DescribeInvalid says what is wrong with the step at index in terms of the fields of the SequentialJob, given the
// causes for which the API server refused that step's Job. It returns one text a cause.
func DescribeInvalid(index int, causes []metav1.StatusCause) []string {
	var out []string
	for _, cause := range causes {
		if text := joinNonEmpty(": ", ownField(cause.Field, index), cause.Message); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// ownField translates a field of a step's Job into the field of the SequentialJob that it came from.
func ownField(field string, index int) string {
	if rest := containerPath.ReplaceAllString(field, ""); rest != field {
		return fmt.Sprintf("spec.containers[%d]%s", index, rest)
	}
	for _, to := range []struct{ job, own string }{
		{"spec.template.labels", "spec.template.metadata.labels"},
		{"spec.template.annotations", "spec.template.metadata.annotations"},
		{"metadata.labels", "spec.template.metadata.labels"},
		{"metadata.annotations", "spec.template.metadata.annotations"},
	} {
		if rest, ok := strings.CutPrefix(field, to.job); ok {
			return to.own + rest
		}
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
