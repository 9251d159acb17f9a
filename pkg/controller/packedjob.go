package controller

import (
	"time"
	"unique"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// packedJob is the outline of a Job that is complete, in a tenth of the memory: most of what a cluster that has been in use for
// a while has are Jobs of sequences that have finished.
type packedJob struct {
	name, uid, resourceVersion string
	generation, hash           string
	created, completed, since  int64 // in seconds
	of                         unique.Handle[packedOwner]
	step                       unique.Handle[string]
}

// packedOwner is what all Jobs of a sequence have in common.
type packedOwner struct {
	namespace, apiVersion, kind, name string
	uid                               types.UID
	blocksDeletion                    bool
}

// pack returns the outline of a Job, packed if it can be. It may change the Job.
func pack(job *batchv1.Job) any {
	sequence.OutlineJob(job)
	if len(job.Status.Conditions) != 1 || job.Status.Conditions[0].Type != batchv1.JobComplete || job.Status.CompletionTime == nil {
		return job
	}
	owner := metav1.GetControllerOfNoCopy(job)
	if owner == nil || len(job.OwnerReferences) != 1 || owner.BlockOwnerDeletion == nil {
		return job
	}
	return &packedJob{
		name: job.Name, uid: string(job.UID), resourceVersion: job.ResourceVersion,
		generation: job.Annotations[v1alpha1.GenerationAnnotation], hash: job.Annotations[v1alpha1.StepHashAnnotation],
		created: job.CreationTimestamp.Unix(), completed: job.Status.CompletionTime.Unix(),
		since: job.Status.Conditions[0].LastTransitionTime.Unix(),
		step:  unique.Make(job.Labels[v1alpha1.StepNameLabel]),
		of: unique.Make(packedOwner{
			namespace: job.Namespace, apiVersion: owner.APIVersion, kind: owner.Kind, name: owner.Name, uid: owner.UID,
			blocksDeletion: *owner.BlockOwnerDeletion,
		}),
	}
}

// unpack returns the Job that an informer of Jobs has given out, which is never to be changed.
func unpack(obj any) *batchv1.Job {
	switch obj := obj.(type) {
	case *batchv1.Job:
		return obj
	case *packedJob:
		return obj.job()
	}
	return nil
}

func (p *packedJob) job() *batchv1.Job {
	owner := p.of.Value()
	at := func(seconds int64) metav1.Time { return metav1.NewTime(time.Unix(seconds, 0)) }
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.namespace, Name: p.name, UID: types.UID(p.uid), ResourceVersion: p.resourceVersion,
			CreationTimestamp: at(p.created),
			Labels:            map[string]string{v1alpha1.StepNameLabel: p.step.Value()},
			Annotations: map[string]string{
				v1alpha1.GenerationAnnotation: p.generation, v1alpha1.StepHashAnnotation: p.hash,
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: owner.apiVersion, Kind: owner.kind, Name: owner.name, UID: owner.uid,
				Controller: new(true), BlockOwnerDeletion: new(owner.blocksDeletion),
			}},
		},
		Status: batchv1.JobStatus{
			CompletionTime: new(at(p.completed)),
			Conditions: []batchv1.JobCondition{{
				Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: at(p.since),
			}},
		},
	}
}

// GetObjectMeta lets a cache find out name and version.
func (p *packedJob) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{
		Namespace: p.of.Value().namespace, Name: p.name, UID: types.UID(p.uid), ResourceVersion: p.resourceVersion,
	}
}
