package controller

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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

// patchJob changes a Job that is as the patch wants it to be.
func (w *world) patchJob(action clienttesting.Action) (bool, runtime.Object, error) {
	patch := action.(clienttesting.PatchActionImpl)
	var body struct{ Metadata metav1.Preconditions }
	if err := json.Unmarshal(patch.GetPatch(), &body); err != nil {
		return true, nil, err
	}
	if err := w.checkJob(patch.GetName(), &body.Metadata); err != nil {
		return true, nil, err
	}
	if _, _, err := clienttesting.ObjectReaction(w.kube.Tracker())(action); err != nil {
		return true, nil, err
	}
	w.changeJob(patch.GetName(), func(*batchv1.Job) {}) // it has a new version
	return true, w.job(patch.GetName()), nil
}

// deleteJob deletes a Job that is as the request wants it to be. One that has pods stays until they are gone.
func (w *world) deleteJob(action clienttesting.Action) (bool, runtime.Object, error) {
	deletion := action.(clienttesting.DeleteActionImpl)
	if err := w.checkJob(deletion.GetName(), deletion.DeleteOptions.Preconditions); err != nil {
		return true, nil, err
	}
	pods, err := w.kube.Tracker().List(podResource, podKind, namespace)
	if err != nil || len(pods.(*corev1.PodList).Items) == 0 {
		return err != nil, nil, err // the fake does the rest
	}
	w.changeJob(deletion.GetName(), func(job *batchv1.Job) { job.DeletionTimestamp = new(metav1.NewTime(w.c.now())) })
	return true, nil, nil
}

func (w *world) checkJob(name string, want *metav1.Preconditions) error {
	obj, err := w.kube.Tracker().Get(jobs, namespace, name)
	if err != nil {
		return err
	}
	job := obj.(*batchv1.Job)
	if want == nil || *want.UID != job.UID || *want.ResourceVersion != job.ResourceVersion {
		return apierrors.NewConflict(jobs.GroupResource(), name, fmt.Errorf("the Job is another one now"))
	}
	return nil
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

func (w *world) patchFinalizers(action clienttesting.Action) (bool, runtime.Object, error) {
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

// serveWatches has a fake answer watches as a real API server does: it hands out copies, because informers change what they get,
// and an object that is no longer selected seems to be deleted, as it was before.
func (w *world) serveWatches(fake *clienttesting.Fake, tracker clienttesting.ObjectTracker) {
	fake.PrependWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		options := action.(clienttesting.WatchActionImpl).ListOptions
		selector, err := labels.Parse(options.LabelSelector)
		if err != nil {
			return true, nil, err
		}
		source, err := tracker.Watch(action.GetResource(), action.GetNamespace(), options)
		if err != nil {
			return true, nil, err
		}
		shown := map[string]runtime.Object{} // by name
		return true, watch.Filter(source, func(event watch.Event) (watch.Event, bool) {
			if w.watchesLag.Load() {
				return watch.Event{Type: watch.Error, Object: &expiredErr.ErrStatus}, true
			}
			event.Object = event.Object.DeepCopyObject()
			object, _ := meta.Accessor(event.Object)
			name := object.GetNamespace() + "/" + object.GetName()
			before := shown[name]
			if event.Type != watch.Deleted && selector.Matches(labels.Set(object.GetLabels())) {
				shown[name] = event.Object.DeepCopyObject()
				return event, true
			}
			delete(shown, name)
			if event.Type == watch.Modified && before != nil {
				return watch.Event{Type: watch.Deleted, Object: before}, true
			}
			return event, event.Type == watch.Deleted
		}), nil
	})
}

var expiredErr = apierrors.NewResourceExpired("the watch lags too far behind")
