package sequence

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// FirstFinally is the index of the first container of spec.finally wherever an index may be of spec.containers or spec.finally. It is
// larger than any that a step, or what would come after the last one, can have.
const FirstFinally = 10 * v1alpha1.MaxSteps

// IsFinally says whether an index is one of spec.finally.
func IsFinally(index int) bool { return index >= FirstFinally }

// ContainerAt returns the container at an index, or nil if there is none.
func ContainerAt(spec *v1alpha1.SequentialJobSpec, index int) *corev1.Container {
	list := spec.Containers
	if IsFinally(index) {
		list, index = spec.Finally, index-FirstFinally
	}
	if index < 0 || index >= len(list) {
		return nil
	}
	return &list[index]
}

// nameAt returns the name of the container at an index, or "" if there is none.
func nameAt(spec *v1alpha1.SequentialJobSpec, index int) string {
	if container := ContainerAt(spec, index); container != nil {
		return container.Name
	}
	return ""
}

// startedIn returns the entries of a status for the list that an index is in, and the place of the index in it.
func startedIn(status *v1alpha1.SequentialJobStatus, index int) (list *[]v1alpha1.StepStatus, at int) {
	if IsFinally(index) {
		return &status.Finally, index - FirstFinally
	}
	return &status.Steps, index
}

// entryAt returns the entry of a status for the container at an index, or nil if it has not started.
func entryAt(status *v1alpha1.SequentialJobStatus, index int) *v1alpha1.StepStatus {
	list, at := startedIn(status, index)
	if at < 0 || at >= len(*list) {
		return nil
	}
	return &(*list)[at]
}

// LastStarted returns the index of what was started last and its entry; nil if nothing was.
func LastStarted(status *v1alpha1.SequentialJobStatus) (int, *v1alpha1.StepStatus) {
	if n := len(status.Finally); status.Result != nil && n > 0 {
		return FirstFinally + n - 1, &status.Finally[n-1]
	}
	if n := len(status.Steps); n > 0 {
		return n - 1, &status.Steps[n-1]
	}
	return 0, nil
}

// EntryOf returns the entry of a status whose Job has that UID, or nil if there is none.
func EntryOf(status *v1alpha1.SequentialJobStatus, job types.UID) *v1alpha1.StepStatus {
	for _, list := range [][]v1alpha1.StepStatus{status.Steps, status.Finally} {
		for i := range list {
			if list[i].JobUID == job {
				return &list[i]
			}
		}
	}
	return nil
}

// EntryBefore returns the entry of a status for what ran before the container at an index; nil if nothing did.
func EntryBefore(status *v1alpha1.SequentialJobStatus, index int) *v1alpha1.StepStatus {
	if index == FirstFinally {
		index = len(status.Steps)
	}
	return entryAt(status, index-1)
}

// noun names the container at an index within a sentence.
func noun(index int) string {
	if IsFinally(index) {
		return fmt.Sprintf("finally job %d", index-FirstFinally)
	}
	return fmt.Sprintf("job %d", index)
}

// title is noun at the beginning of a sentence.
func title(index int) string {
	if IsFinally(index) {
		return fmt.Sprintf("Finally job %d", index-FirstFinally)
	}
	return fmt.Sprintf("Job %d", index)
}

// subject names the container at an index, called name, at the beginning of a sentence.
func subject(index int, name string) string { return fmt.Sprintf("%s (%s)", title(index), name) }

// fieldAt is the path of the container at an index in a SequentialJob.
func fieldAt(index int) string {
	if IsFinally(index) {
		return fmt.Sprintf("spec.finally[%d]", index-FirstFinally)
	}
	return fmt.Sprintf("spec.containers[%d]", index)
}

// indexLabel returns the label that tells the index of a container, and its value.
func indexLabel(index int) (key, value string) {
	if IsFinally(index) {
		return v1alpha1.FinallyIndexLabel, strconv.Itoa(index - FirstFinally)
	}
	return v1alpha1.StepIndexLabel, strconv.Itoa(index)
}

// stepNoun is noun where a Job is told from the step that it is for.
func stepNoun(index int) string {
	if IsFinally(index) {
		return fmt.Sprintf("finally step %d", index-FirstFinally)
	}
	return fmt.Sprintf("step %d", index)
}
