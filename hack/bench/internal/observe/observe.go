// Package observe is the one witness of both contestants: its own watches of Jobs and pods, and one clock.
package observe

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// Moment is when something was first seen, and in which revision.
type Moment struct {
	At       time.Time
	Revision uint64
}

// Seen says whether it was seen at all.
func (m Moment) Seen() bool { return m.Revision != 0 }

// Step is what was seen of a step's Job and of its pods.
type Step struct {
	Created, Complete        Moment
	PodCreated, PodSucceeded Moment
	UIDs                     []string
}

// Observer watches a namespace.
type Observer struct {
	mu    sync.Mutex
	steps map[string]*Step // by the name of the Job
	// complete is how many Jobs are, and changed is told when that grows, or when the observer fails.
	complete int
	created  int
	changed  chan struct{}
	err      error
	restarts int

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Start begins to watch a namespace, in which there are no Jobs yet.
func Start(ctx context.Context, kube kubernetes.Interface, namespace string) (*Observer, error) {
	o := &Observer{steps: map[string]*Step{}, changed: make(chan struct{}, 1)}
	jobs, err := kube.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	ctx, o.stop = context.WithCancel(ctx)
	for _, open := range []OpenWatch{kube.BatchV1().Jobs(namespace).Watch, kube.CoreV1().Pods(namespace).Watch} {
		o.running.Go(func() {
			options := metav1.ListOptions{ResourceVersion: jobs.ResourceVersion}
			if err := Follow(ctx, open, options, o.record, o.restarted); err != nil {
				o.fail(fmt.Errorf("a watch of the benchmark has missed something: %w", err))
			}
		})
	}
	return o, nil
}

// Stop ends the watches.
func (o *Observer) Stop() {
	o.stop()
	o.running.Wait()
}

func (o *Observer) restarted() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.restarts++
}

func (o *Observer) record(event watch.Event) {
	at := time.Now()
	if event.Type == watch.Deleted {
		return
	}
	switch object := event.Object.(type) {
	case *batchv1.Job:
		o.recordJob(object, at)
	case *corev1.Pod:
		o.recordPod(object, at)
	}
}

func (o *Observer) recordJob(job *batchv1.Job, at time.Time) {
	now := Moment{At: at, Revision: revision(job)}
	o.mu.Lock()
	defer o.mu.Unlock()
	step := o.step(job.Name)
	if n := len(step.UIDs); n == 0 || step.UIDs[n-1] != string(job.UID) {
		step.UIDs = append(step.UIDs, string(job.UID))
	}
	if !step.Created.Seen() {
		step.Created = now
		o.created++
		o.tell()
	}
	if !step.Complete.Seen() && isComplete(job) {
		step.Complete = now
		o.complete++
		o.tell()
	}
}

func (o *Observer) recordPod(pod *corev1.Pod, at time.Time) {
	now := Moment{At: at, Revision: revision(pod)}
	o.mu.Lock()
	defer o.mu.Unlock()
	step := o.step(pod.Labels[batchv1.JobNameLabel])
	if !step.PodCreated.Seen() {
		step.PodCreated = now
	}
	if !step.PodSucceeded.Seen() && pod.Status.Phase == corev1.PodSucceeded {
		step.PodSucceeded = now
	}
}

func (o *Observer) step(job string) *Step {
	step, ok := o.steps[job]
	if !ok {
		step = &Step{}
		o.steps[job] = step
	}
	return step
}

func (o *Observer) tell() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

func (o *Observer) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.tell()
}

func isComplete(job *batchv1.Job) bool {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobComplete && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// revision is the resourceVersion as a number, which Kubernetes says can be compared.
func revision(object metav1.Object) uint64 {
	n, _ := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
	return n
}
