package contest

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// inParallel does something n times, so many at a time as there are creators, and stops at the first error.
func inParallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(creators)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}
