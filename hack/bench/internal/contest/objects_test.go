package contest

import (
	"testing"
	"time"

	"github.com/example/sequential-job-operator/pkg/sequence"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A contestant with smaller Jobs would have the easier task.
func TestBothContestantsCreateJobsOfTheSameSize(t *testing.T) {
	sj := newSequence("bench", 7, Shape{Sequences: 8, Steps: 3, StepTime: 15 * time.Second})
	sj.UID, sj.Generation = idealUID(7), 1
	owner := ownerReference(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner-of-the-jobs", UID: idealUID(0)}})
	ours, ideal := sequence.NewJob(sj, 1, 0), idealJob(sj, 1, owner)
	if ours.Name != ideal.Name || len(ours.Labels) != len(ideal.Labels) || len(ours.Annotations) != len(ideal.Annotations) {
		t.Errorf("%s has other metadata than %s", ideal.Name, ours.Name)
	}
	const few = 40 // the owner: a kind and a name instead of others
	if difference := ours.Size() - ideal.Size(); difference > few || difference < -few {
		t.Errorf("%d bytes as protobuf, the ideal loop's %d", ours.Size(), ideal.Size())
	}
}

func TestTheIdealLoopSelectsItsOwnJobsOnly(t *testing.T) {
	sj := newSequence("bench", 0, Shape{Sequences: 1, Steps: 1})
	if _, ok := idealJob(sj, 0, metav1.OwnerReference{}).Labels[idealLabel]; !ok {
		t.Errorf("the ideal loop's Job lacks the label %s", idealLabel)
	}
	if _, ok := sequence.NewJob(sj, 0, 0).Labels[idealLabel]; ok {
		t.Errorf("the controller's Job has the label %s", idealLabel)
	}
}

// The field is not in every version of the CRD: it is set only if somebody asks for it.
func TestAdvanceOnIsSetOnlyIfItIsAskedFor(t *testing.T) {
	for _, advanceOn := range []string{"", advanceOnPod} {
		sj, err := unstructuredSequence("bench", 0, Shape{Sequences: 1, Steps: 2}, advanceOn)
		if err != nil {
			t.Fatal(err)
		}
		spec := sj.Object["spec"].(map[string]any)
		if got, set := spec["advanceOn"]; set != (advanceOn != "") || (set && got != advanceOn) {
			t.Errorf("spec.advanceOn %v, want %q", got, advanceOn)
		}
	}
}
