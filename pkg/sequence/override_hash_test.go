package sequence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func stepHash(sj *v1alpha1.SequentialJob, index int) string {
	return sequence.NewJob(sj, index, 0).Annotations[v1alpha1.StepHashAnnotation]
}

// hashesOf returns the hash of each step, and the one with which a sequence fails.
func hashesOf(t *testing.T, change func(*v1alpha1.SequentialJobSpec)) [3]string {
	t.Helper()
	s := tell(t, "extract", "load")
	change(&s.sj.Spec)
	hashes := [3]string{stepHash(s.sj, 0), stepHash(s.sj, 1)}
	s.work().end("etl-0", failed)
	hashes[2] = s.sj.Status.FailedWith.StepsHash
	return hashes
}

// The hashes of a spec without overrides are stored in the status of sequences of older versions.
func TestWhatOverridesChangeOfTheHashes(t *testing.T) {
	before := [3]string{"15fbe09f9741056d", "eee06629a57bd815", "ad83ed71d0604a4c"}
	only := func(overrides ...v1alpha1.StepOverride) func(*v1alpha1.SequentialJobSpec) {
		return func(spec *v1alpha1.SequentialJobSpec) { spec.StepOverrides = overrides }
	}
	template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{ServiceAccountName: "loader"}}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.SequentialJobSpec)
		want   [3]bool // which are other than before
	}{
		"no override":                {only(), [3]bool{}},
		"one that says nothing":      {only(v1alpha1.StepOverride{Name: "load"}), [3]bool{}},
		"an approval":                {only(v1alpha1.StepOverride{Name: "load", Suspend: new(true)}), [3]bool{}},
		"an approval that was given": {only(v1alpha1.StepOverride{Name: "load", Suspend: new(false)}), [3]bool{}},
		// It reaches a Job that runs, which then is as the spec has it.
		"a deadline":                       {only(v1alpha1.StepOverride{Name: "load", ActiveDeadlineSeconds: new(int64(9))}), [3]bool{false, false, true}},
		"a backoffLimit":                   {only(v1alpha1.StepOverride{Name: "load", BackoffLimit: new(int32(0))}), [3]bool{false, true, true}},
		"a template":                       {only(v1alpha1.StepOverride{Name: "load", Template: template}), [3]bool{false, true, true}},
		"a template of a step that is not": {only(v1alpha1.StepOverride{Name: "other", Template: template}), [3]bool{}},
		"finally": {func(spec *v1alpha1.SequentialJobSpec) { spec.Finally = []corev1.Container{{Name: "report"}} },
			[3]bool{}},
	} {
		t.Run(name, func(t *testing.T) {
			var got [3]bool
			for i, hash := range hashesOf(t, tc.change) {
				got[i] = hash != before[i]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("unexpected changes of step 0, step 1 and all (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheOrderOfOverridesAndApprovalsDoNotCountAsAChange(t *testing.T) {
	a, b := v1alpha1.StepOverride{Name: "extract", BackoffLimit: new(int32(1))}, v1alpha1.StepOverride{Name: "load", BackoffLimit: new(int32(2))}
	approved := b
	approved.Suspend = new(true)
	hashes := func(overrides ...v1alpha1.StepOverride) [3]string {
		return hashesOf(t, func(spec *v1alpha1.SequentialJobSpec) { spec.StepOverrides = overrides })
	}
	want := hashes(a, b)
	for name, got := range map[string][3]string{"another order": hashes(b, a), "an approval": hashes(approved, a)} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnOutlineKeepsWhatDecisionsAreMadeOn(t *testing.T) {
	sj := newSequence("extract")
	sj.Spec.Finally = []corev1.Container{{Name: "report", Image: "report", Command: []string{"report"}}}
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{
		Name: "extract", Suspend: new(true), ActiveDeadlineSeconds: new(int64(600)), BackoffLimit: new(int32(2)), Template: &corev1.PodTemplateSpec{},
	}}
	sequence.Outline(sj)
	want := v1alpha1.SequentialJobSpec{
		Containers: []corev1.Container{{Name: "extract"}}, Finally: []corev1.Container{{Name: "report"}},
		StepOverrides: []v1alpha1.StepOverride{{
			Name: "extract", Suspend: new(true), ActiveDeadlineSeconds: new(int64(600)), BackoffLimit: new(int32(2)),
		}},
	}
	if diff := cmp.Diff(want, sj.Spec); diff != "" {
		t.Errorf("unexpected outline (-want +got):\n%s", diff)
	}
}
