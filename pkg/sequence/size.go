package sequence

import (
	"encoding/json"
	"fmt"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const (
	// maxStored is the largest object, in bytes of JSON, that etcd stores unless it is told otherwise.
	maxStored = 1536 << 10
	// statusRoom is what the status and the record of who wrote which field may need of it, with 100 steps.
	statusRoom = 128 << 10
)

// TooLarge says what is wrong with a SequentialJob that leaves no room for its status: it could be run, but not recorded. It
// returns "" if there is room.
func TooLarge(sj *v1alpha1.SequentialJob) string {
	bare := *sj
	bare.Status, bare.ManagedFields = v1alpha1.SequentialJobStatus{}, nil
	raw, err := json.Marshal(&bare)
	if err != nil || len(raw) <= maxStored-statusRoom {
		return "" // what came from JSON goes back to JSON
	}
	return fmt.Sprintf("spec: Too long: the object has %d bytes, and at most %d leave room for its status: "+
		"keep large values in ConfigMaps, Secrets or images", len(raw), maxStored-statusRoom)
}
