package sequence_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// Between an approval or a resume and the controller's answer, the phase is still Suspended.
func TestNothingIsAskedForThatIsGranted(t *testing.T) {
	for suspend, want := range map[bool]sequence.Remedy{true: sequence.RemedyApprove, false: sequence.RemedyNone} {
		sj := &v1alpha1.SequentialJob{}
		sj.Spec.Containers = []corev1.Container{{Name: "deploy"}}
		sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "deploy", Suspend: &suspend}}
		sj.Status.Phase = v1alpha1.SequentialJobSuspended
		sj.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSuspended}}
		if got := sequence.Advise(sj); got.Remedy != want || got.Step != "deploy" {
			t.Errorf("suspend %v: advice is %+v, want %q", suspend, got, want)
		}
	}
}
