package controller

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func (w *world) nextVersion() string { return strconv.FormatInt(w.version.Add(1), 10) }

// createJob answers a dry run without storing anything, and gives a stored Job what the API server would.
func (w *world) createJob(action clienttesting.Action) (bool, runtime.Object, error) {
	create := action.(clienttesting.CreateActionImpl)
	job := create.GetObject().(*batchv1.Job).DeepCopy()
	job.UID = types.UID("uid-of-" + job.Name + job.GenerateName + w.nextVersion())
	job.ResourceVersion = w.nextVersion()
	job.CreationTimestamp = metav1.NewTime(w.c.now().Truncate(time.Second))
	if len(create.GetCreateOptions().DryRun) > 0 {
		return true, job, nil
	}
	if err := w.kube.Tracker().Create(jobs, job, job.Namespace); err != nil {
		return true, nil, err
	}
	return true, job, nil
}

func (w *world) updateStatus(action clienttesting.Action) (bool, runtime.Object, error) {
	update := action.(clienttesting.UpdateActionImpl)
	if update.GetSubresource() != "status" {
		return true, nil, fmt.Errorf("the controller wrote something else than the status: %v", action)
	}
	written := update.GetObject().(*v1alpha1.SequentialJob)
	stored, err := w.forWrite(written.Name, written.ResourceVersion)
	if err != nil {
		return true, nil, err
	}
	stored.Status = *written.Status.DeepCopy()
	return true, stored, w.client.Tracker().Update(sequentialJobs, stored, namespace)
}

func (w *world) patch(action clienttesting.Action) (bool, runtime.Object, error) {
	patch := action.(clienttesting.PatchActionImpl)
	var body struct {
		Metadata struct {
			UID             types.UID
			ResourceVersion string
			Finalizers      []string
		}
	}
	if err := json.Unmarshal(patch.GetPatch(), &body); err != nil {
		return true, nil, err
	}
	stored, err := w.forWrite(patch.GetName(), body.Metadata.ResourceVersion)
	if err != nil {
		return true, nil, err
	}
	if body.Metadata.UID != stored.UID {
		return true, nil, apierrors.NewConflict(sequentialJobs.GroupResource(), stored.Name, fmt.Errorf("the UID differs"))
	}
	stored.Finalizers = body.Metadata.Finalizers
	if !stored.DeletionTimestamp.IsZero() && len(stored.Finalizers) == 0 {
		return true, stored, w.client.Tracker().Delete(sequentialJobs, namespace, stored.Name)
	}
	return true, stored, w.client.Tracker().Update(sequentialJobs, stored, namespace)
}

// forWrite returns a copy of the stored object with its next resourceVersion, or a conflict.
func (w *world) forWrite(name, version string) (*v1alpha1.SequentialJob, error) {
	obj, err := w.client.Tracker().Get(sequentialJobs, namespace, name)
	if err != nil {
		return nil, err
	}
	stored := obj.(*v1alpha1.SequentialJob).DeepCopy()
	if stored.ResourceVersion != version {
		return nil, apierrors.NewConflict(sequentialJobs.GroupResource(), name, fmt.Errorf("the object has been modified"))
	}
	stored.ResourceVersion = w.nextVersion()
	return stored, nil
}

// copyWatched makes a fake hand out copies to watchers, as a real API server does: the fake itself may hand out what it
// stores, and informers change what they get.
func copyWatched(fake *clienttesting.Fake, tracker clienttesting.ObjectTracker) {
	fake.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		options := action.(clienttesting.WatchActionImpl).ListOptions
		source, err := tracker.Watch(action.GetResource(), action.GetNamespace(), options)
		if err != nil {
			return true, nil, err
		}
		return true, watch.Filter(source, func(event watch.Event) (watch.Event, bool) {
			event.Object = event.Object.DeepCopyObject()
			return event, true
		}), nil
	})
}
