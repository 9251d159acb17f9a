package sequence

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const (
	// maxStored is the largest object, in bytes of JSON, that etcd stores unless it is told otherwise.
	maxStored = 1536 << 10
	// statusRoom is what the status and the record of who wrote which field may need of it, with 100 steps.
	statusRoom = 128 << 10
)

// DescribeTooLarge says what is wrong with a SequentialJob that leaves no room for its status: it could be run, but not recorded. It
// returns "" if there is room.
func DescribeTooLarge(sj *v1alpha1.SequentialJob) string {
	size := sizeOf(sj)
	if size <= maxStored-statusRoom {
		return ""
	}
	return fmt.Sprintf(tooLong+"the object has %d bytes, and at most %d leave room for its status: "+
		"keep large values in ConfigMaps, Secrets or images", size, maxStored-statusRoom)
}

// sizeOf is the size of a SequentialJob without its status, in bytes of JSON.
func sizeOf(sj *v1alpha1.SequentialJob) int {
	bare := *sj
	bare.Status, bare.ManagedFields = v1alpha1.SequentialJobStatus{}, nil
	raw, err := json.Marshal(&bare)
	if err != nil {
		return 0 // what came from JSON goes back to JSON
	}
	return len(raw)
}

const tooLong = "spec: Too long: "

// isCramped says whether the present generation leaves so little room that every word of the status counts.
func (d *decider) isCramped() bool {
	const fewWords = 8 << 10
	isTooLong := d.isSpecRefused() && strings.HasPrefix(d.status.SpecCheck.Message, tooLong)
	return d.f.Cramped || isTooLong && d.isWhole() && sizeOf(d.sj) > maxStored-fewWords
}

// shrink leaves out of a status all that nothing depends on, so that an object near the limit can be stored, and has room for the
// mark of its deletion.
func shrink(status *v1alpha1.SequentialJobStatus) {
	const enough = 64
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c metav1.Condition) bool { return c.Status != metav1.ConditionTrue })
	for i := range status.Conditions {
		status.Conditions[i].Message = cut(status.Conditions[i].Message, enough)
	}
	for i := range status.Steps {
		status.Steps[i].Message = cut(status.Steps[i].Message, enough)
	}
	if status.SpecCheck != nil {
		status.SpecCheck.Message = cut(status.SpecCheck.Message, enough)
	}
	for i := range status.Finally {
		status.Finally[i].Message = cut(status.Finally[i].Message, enough)
	}
	if status.Result != nil {
		status.Result.Message = cut(status.Result.Message, enough)
	}
	if p := status.Progress; p != nil {
		p.CompletedIndices, p.CurrentStep = nil, ""
	}
	status.State = nil
}
