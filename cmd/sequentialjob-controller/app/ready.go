package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/example/sequential-job-operator/pkg/controller"
)

// keptCheck is a health check that is carried out at most once in a while, however often and by how many it is asked for: its
// answer is kept.
type keptCheck struct {
	check func(context.Context) error
	ttl   time.Duration
	now   func() time.Time

	lock sync.Mutex // held during a check, so that others wait for its answer
	at   time.Time
	err  error
}

// Check returns the kept answer, or a new one once that is too old.
func (k *keptCheck) Check(r *http.Request) error {
	k.lock.Lock()
	defer k.lock.Unlock()
	if now := k.now(); k.at.IsZero() || now.Sub(k.at) >= k.ttl {
		// It is an answer for others, too: they must not get the error of somebody who has gone away.
		k.err = k.check(context.WithoutCancel(r.Context()))
		k.at = k.now()
	}
	return k.err
}

// tellUndecodable adds to a verbose answer which objects are left alone because they cannot be decoded. They do not make the
// process unready: it works for all others.
func tellUndecodable(handler http.Handler, undecodable func() []controller.Undecodable) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		if _, verbose := r.URL.Query()["verbose"]; verbose {
			writeUndecodable(w, undecodable())
		}
	})
}

func writeUndecodable(w io.Writer, objects []controller.Undecodable) {
	const most = 10
	for i, object := range objects {
		if i == most {
			fmt.Fprintf(w, "warn: %d more SequentialJobs cannot be decoded\n", len(objects)-most)
			return
		}
		fmt.Fprintf(w, "warn: SequentialJob %s cannot be decoded and is left alone\n", object.ObjectName)
	}
}
