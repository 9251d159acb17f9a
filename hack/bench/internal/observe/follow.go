package observe

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// OpenWatch begins a watch.
type OpenWatch func(context.Context, metav1.ListOptions) (watch.Interface, error)

// Follow hands on all that happens from a revision on, until ctx is done or something is missed. The API server ends watches that do
// not keep pace with it; such a one is begun again where it was, at once, which restarted is told.
func Follow(ctx context.Context, open OpenWatch, options metav1.ListOptions, handle func(watch.Event), restarted func()) error {
	for ctx.Err() == nil {
		w, err := open(ctx, options)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		for event := range w.ResultChan() {
			if event.Type == watch.Error {
				return ignoreEnd(ctx, apierrors.FromObject(event.Object))
			}
			object, err := meta.Accessor(event.Object)
			if err != nil {
				return err
			}
			options.ResourceVersion = object.GetResourceVersion()
			handle(event)
		}
		if ctx.Err() == nil {
			restarted()
		}
	}
	return nil
}

// ignoreEnd drops an error that comes of the end of ctx.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
