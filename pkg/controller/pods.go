package controller

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubeinformers "k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// The pods of Jobs that are advanced by their pods (spec.advanceOn). No others are watched.

// newPodFactory makes a factory whose pod informer caches only the pods of Jobs that are advanced by their pods, and of these only what
// tells that one has succeeded.
func newPodFactory(kube kubernetes.Interface, namespace string) kubeinformers.SharedInformerFactory {
	return kubeinformers.NewSharedInformerFactoryWithOptions(kube, 0,
		kubeinformers.WithNamespace(namespace),
		kubeinformers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.LabelSelector = v1alpha1.AdvanceOnLabel + "=" + string(v1alpha1.AdvanceOnPodSucceeded)
		}),
		kubeinformers.WithTransform(func(obj any) (any, error) {
			if pod, ok := obj.(*corev1.Pod); ok {
				return essential(pod), nil
			}
			return obj, nil
		}))
}

// essential returns a pod with only what is needed to know whose it is and whether it has succeeded.
func essential(pod *corev1.Pod) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			DeletionTimestamp: pod.DeletionTimestamp, OwnerReferences: pod.OwnerReferences,
			Labels: map[string]string{v1alpha1.SequentialJobNameLabel: pod.Labels[v1alpha1.SequentialJobNameLabel]},
		},
		Status: corev1.PodStatus{Phase: pod.Status.Phase},
	}
}

// watchPods wakes SequentialJobs when a pod of theirs has succeeded.
func (c *Controller) watchPods(logger klog.Logger, pods coreinformers.PodIndexInformer) error {
	if _, err := pods.AddTypedEventHandler(coreinformers.PodHandlerFuncs{
		AddFunc: func(pod *corev1.Pod) { c.sawPod(nil, pod) },
		UpdateFunc: func(before, after *corev1.Pod) {
			if before.UID != after.UID {
				before = nil
			}
			c.sawPod(before, after)
		},
	}, cache.HandlerOptions{Logger: &logger}); err != nil {
		return fmt.Errorf("events of pods: %w", err)
	}
	return nil
}

func (c *Controller) sawPod(before, after *corev1.Pod) {
	job, name := metav1.GetControllerOfNoCopy(after), after.Labels[v1alpha1.SequentialJobNameLabel]
	if job == nil || name == "" || !hasSucceeded(after) || before != nil && hasSucceeded(before) {
		return
	}
	if before != nil {
		c.completions.saw(job.UID, c.now())
	}
	c.queue.Add(cache.NewObjectName(after.Namespace, name))
}

// hasPodSucceeded says whether the cache has a pod of that Job that has succeeded.
func (i *Informers) hasPodSucceeded(namespace string, job types.UID) (bool, error) {
	pods, err := i.of(namespace).pods.TypedInformer().GetTypedIndexer().ByTypedIndex(ownerIndex, string(job))
	return slices.ContainsFunc(pods, hasSucceeded), err
}

func hasSucceeded(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded }

func jobOfPod(pod *corev1.Pod) ([]string, error) {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		return []string{string(owner.UID)}, nil
	}
	return nil, nil
}
