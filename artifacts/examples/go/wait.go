package main

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	typed "github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/typed/batch/v1alpha1"
)

var errDeleted = errors.New("it was deleted")

// waitForEnd watches a SequentialJob until it has completed or failed, and calls seen with each of its states. It survives lost
// connections.
func waitForEnd(
	ctx context.Context, client typed.SequentialJobInterface, created *v1alpha1.SequentialJob, seen func(*v1alpha1.SequentialJob),
) (*v1alpha1.SequentialJob, error) {
	last, err := watchtools.UntilWithSync(ctx, only(client, created.Name), &v1alpha1.SequentialJob{}, isThere,
		func(event watch.Event) (bool, error) {
			sj, ok := event.Object.(*v1alpha1.SequentialJob)
			if !ok || event.Type == watch.Deleted {
				return false, errDeleted
			}
			seen(sj)
			return sj.Status.CompletionTime != nil, nil
		})
	if err != nil {
		return nil, err
	}
	return last.Object.(*v1alpha1.SequentialJob), nil
}

// only lists and watches the SequentialJob of that name.
func only(client typed.SequentialJobInterface, name string) *cache.ListWatch {
	selector := fields.OneTermEqualSelector("metadata.name", name).String()
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			return client.Watch(ctx, options)
		},
	}
}

// isThere looks at what was found at first: of what was deleted before that, no event tells.
func isThere(found cache.Store) (bool, error) {
	if len(found.List()) == 0 {
		return false, errDeleted
	}
	return false, nil
}
