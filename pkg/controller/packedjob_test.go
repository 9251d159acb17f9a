package controller

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func TestAPackedJobIsTheOutlineOfTheJob(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*batchv1.Job)
		packed bool
	}{
		"complete":                              {func(*batchv1.Job) {}, true},
		"of a version that noted no generation": {func(job *batchv1.Job) { job.Annotations = nil }, true},
		"with what others have added": {func(job *batchv1.Job) {
			job.Labels["team"], job.Annotations["note"], job.Finalizers = "data", "x", []string{"foregroundDeletion"}
		}, true},
		"running":                     {func(job *batchv1.Job) { job.Status = batchv1.JobStatus{Active: 1} }, false},
		"failed":                      {func(job *batchv1.Job) { job.Status.Conditions[1].Type = batchv1.JobFailed }, false},
		"complete and failed":         {func(job *batchv1.Job) { job.Status.Conditions[0].Type = batchv1.JobFailed }, false},
		"without a time of its end":   {func(job *batchv1.Job) { job.Status.CompletionTime = nil }, false},
		"being deleted":               {func(job *batchv1.Job) { job.DeletionTimestamp = new(metav1.Now()) }, false},
		"that nothing controls":       {func(job *batchv1.Job) { job.OwnerReferences = nil }, false},
		"whose owner lets itself go":  {func(job *batchv1.Job) { job.OwnerReferences[0].BlockOwnerDeletion = nil }, false},
		"whose owner is another kind": {func(job *batchv1.Job) { job.OwnerReferences[0].Kind = "CronJob" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			job := completeJob()
			tc.change(job)
			outline := job.DeepCopy()
			sequence.OutlineJob(outline)
			got := pack(job)
			if _, packed := got.(*packedJob); packed != tc.packed {
				t.Errorf("packed: %t", packed)
			}
			// An empty value and none are the same to who looks it up.
			same := cmp.Comparer(func(a, b map[string]string) bool {
				for _, key := range []string{v1alpha1.StepNameLabel, v1alpha1.GenerationAnnotation, v1alpha1.StepHashAnnotation} {
					if a[key] != b[key] {
						return false
					}
				}
				return true
			})
			if diff := cmp.Diff(outline, unpack(got), same); diff != "" {
				t.Errorf("unpacked (-outline +got):\n%s", diff)
			}
			key, err := cache.MetaNamespaceKeyFunc(got)
			if err != nil || key != "default/etl-0" {
				t.Errorf("key %q, %v", key, err)
			}
		})
	}
}

func completeJob() *batchv1.Job {
	return completeJobOf(newSequence("extract", "load"), 0)
}

func completeJobOf(sj *v1alpha1.SequentialJob, index int) *batchv1.Job {
	job := sequence.NewJob(sj, index, 0)
	job.UID = types.UID(fmt.Sprintf("%s-%d-4567-89ab-000000000000", sj.UID[:min(8, len(sj.UID))], index))
	job.ResourceVersion, job.CreationTimestamp = fmt.Sprint(100_000+index), metav1.Unix(1000, 0)
	job.Status = batchv1.JobStatus{
		Succeeded: 1, StartTime: new(metav1.Unix(1001, 0)), CompletionTime: new(metav1.Unix(1002, 0)),
		Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, Reason: "CompletionsReached", LastTransitionTime: metav1.Unix(1002, 0)},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, Reason: "CompletionsReached", LastTransitionTime: metav1.Unix(1003, 0)},
		},
	}
	return job
}
