package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/tools/cache"

	"github.com/example/sequential-job-operator/pkg/controller"
)

func TestACheckIsCarriedOutOnceInAWhileHoweverManyAsk(t *testing.T) {
	now, checks, down := time.Unix(100, 0), atomic.Int64{}, error(nil)
	kept := &keptCheck{ttl: 5 * time.Second, now: func() time.Time { return now }, check: func(context.Context) error {
		checks.Add(1)
		return down
	}}
	ask := func() int64 {
		var all sync.WaitGroup
		var errs atomic.Int64
		for range 100 {
			all.Go(func() {
				if kept.Check(httptest.NewRequest(http.MethodGet, "/readyz", http.NoBody)) != nil {
					errs.Add(1)
				}
			})
		}
		all.Wait()
		return errs.Load()
	}
	for _, step := range []struct {
		after  time.Duration
		down   error
		checks int64
		errs   int64
	}{
		{0, nil, 1, 0},
		{4 * time.Second, errors.New("down"), 1, 0},
		{time.Second, errors.New("down"), 2, 100},
		{time.Second, nil, 2, 100},
		{4 * time.Second, nil, 3, 0},
	} {
		now, down = now.Add(step.after), step.down
		if errs := ask(); checks.Load() != step.checks || errs != step.errs {
			t.Errorf("%+v: %d checks, %d errors", step, checks.Load(), errs)
		}
	}
}

// What one was answered is kept for others.
func TestWhoeverGoesAwayDoesNotFailTheCheckForOthers(t *testing.T) {
	kept := &keptCheck{ttl: time.Minute, now: time.Now, check: func(ctx context.Context) error { return ctx.Err() }}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := kept.Check(httptest.NewRequestWithContext(gone, http.MethodGet, "/readyz", http.NoBody)); err != nil {
		t.Error(err)
	}
}

func TestReadinessNamesNoMoreThanAFew(t *testing.T) {
	var objects []controller.Undecodable
	for i := range 12 {
		objects = append(objects, controller.Undecodable{ObjectName: cache.NewObjectName("team-a", fmt.Sprint("broken-", i))})
	}
	var out strings.Builder
	writeUndecodable(&out, objects)
	if got := out.String(); strings.Count(got, "\n") != 11 || !strings.HasSuffix(got, "warn: 2 more SequentialJobs cannot be decoded\n") {
		t.Errorf("it says:\n%s", got)
	}
}
