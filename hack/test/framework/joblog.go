package framework

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// JobLog is what a watch told about the Jobs of a namespace, in the order in which it happened.
type JobLog struct {
	c  *Cluster
	mu sync.Mutex
	// created holds the Jobs as they were when they were created.
	created []*batchv1.Job
	// tooEarly holds what was created while another Job had not ended.
	tooEarly []string
	// open holds the Jobs that have not ended, and those that have failed, after which only a retry or spec.finally may come.
	open         map[string]bool
	failed       map[string]bool
	autoComplete bool
}

func watchJobs(c *Cluster) *JobLog {
	c.T.Helper()
	l := &JobLog{c: c, open: map[string]bool{}, failed: map[string]bool{}}
	list, err := c.Kube.BatchV1().Jobs(c.Namespace).List(c.T.Context(), metav1.ListOptions{})
	Must(c.T, err)
	events, err := c.Kube.BatchV1().Jobs(c.Namespace).Watch(c.T.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	Must(c.T, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for event := range events.ResultChan() {
			l.record(event)
		}
	}()
	c.T.Cleanup(func() { events.Stop(); <-ended })
	return l
}

func (l *JobLog) record(event watch.Event) {
	job, ok := event.Object.(*batchv1.Job)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case event.Type == watch.Added:
		if mayFollowFailure(job) {
			maps.DeleteFunc(l.open, func(name string, _ bool) bool { return l.failed[name] })
		}
		if len(l.open) > 0 {
			l.tooEarly = append(l.tooEarly, job.Name)
		}
		l.open[job.Name] = true
		l.created = append(l.created, job)
		if l.autoComplete {
			go func() {
				if err := l.c.TryEndJob(context.Background(), job.Name, batchv1.JobComplete, ""); err != nil {
					l.c.T.Errorf("complete Job %s: %v", job.Name, err)
				}
			}()
		}
	case event.Type == watch.Deleted, IsTrue(job, batchv1.JobComplete):
		delete(l.open, job.Name)
	case IsTrue(job, batchv1.JobFailed):
		l.failed[job.Name] = true
	}
}

// mayFollowFailure says whether a Job is of spec.finally, or a retry.
func mayFollowFailure(job *batchv1.Job) bool {
	_, isFinally := job.Labels[v1alpha1.FinallyIndexLabel]
	return isFinally || strings.Contains(job.Name, "-r")
}

// CompleteAll makes every Job complete as soon as it is created.
func (l *JobLog) CompleteAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.autoComplete = true
}

// Names returns the names of all Jobs that ever were created, in that order.
func (l *JobLog) Names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, job := range l.created {
		out = append(out, job.Name)
	}
	return out
}

// Want checks that exactly these Jobs ever were created, each once, in this order, and none while another had not ended.
func (l *JobLog) Want(names ...string) {
	l.c.T.Helper()
	l.WantEarly(nil, names...)
}

// WantEarly is Want for Jobs of which some are created while the one before them is not complete: just these.
func (l *JobLog) WantEarly(early []string, names ...string) {
	l.c.T.Helper()
	if got := l.Names(); !slices.Equal(got, names) {
		l.c.T.Errorf("Jobs created: %q, want %q", got, names)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.tooEarly, early) {
		l.c.T.Errorf("Jobs created before the one before them was complete: %q, want %q", l.tooEarly, early)
	}
}
