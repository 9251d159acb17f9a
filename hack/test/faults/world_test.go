//go:build integration

package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	kubeinformers "k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	informers "github.com/example/sequential-job-operator/pkg/generated/informers/externalversions"
)

// world is a namespace of a cluster that belongs to one test alone: the test breaks parts of the cluster that others
// need. Its Jobs are run by the Job controller on simulated nodes.
type world struct {
	*cluster
	sequences []*v1alpha1.SequentialJob
	gone410   *goneCounter

	mu sync.Mutex
	// jobs holds every state of a Job that a watch has told of, and writes how often the controller did something.
	jobs   []*batchv1.Job
	writes int
}

const stepsInTheWorld = 3

func newWorld(t *testing.T) *world {
	t.Helper()
	c := &cluster{framework.NewNamespace(t, nil)}
	// Whatever a test that failed has left broken.
	t.Cleanup(func() { clusterCommand(t, "start") })
	w := &world{cluster: c, gone410: &goneCounter{}}
	w.observe()
	return w
}

// observe follows Jobs and SequentialJobs by informers, which outlive a restart of the API server.
func (w *world) observe() {
	w.T.Helper()
	jobs := kubeinformers.NewSharedInformerFactoryWithOptions(w.Kube, 0, kubeinformers.WithNamespace(w.Namespace))
	sjs := informers.NewSharedInformerFactoryWithOptions(w.Client, 0, informers.WithNamespace(w.Namespace))
	see := func(object any, byController bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if job, ok := object.(*batchv1.Job); ok {
			w.jobs = append(w.jobs, job)
		}
		if byController {
			w.writes++
		}
	}
	_, err := jobs.Batch().V1().Jobs().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { see(object, true) },
		UpdateFunc: func(_, object any) { see(object, false) },
	})
	framework.Must(w.T, err)
	_, err = sjs.Batch().V1alpha1().SequentialJobs().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, object any) { see(object, true) },
	})
	framework.Must(w.T, err)
	ctx, stop := context.WithCancel(context.Background())
	jobs.StartWithContext(ctx)
	sjs.StartWithContext(ctx)
	w.T.Cleanup(func() { stop(); jobs.Shutdown(); sjs.Shutdown() })
}

// progress returns how often the controller has been seen to do something, and how many Jobs it has created.
func (w *world) progress() (writes, jobs int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := map[string]bool{}
	for _, job := range w.jobs {
		names[job.Name] = true
	}
	return w.writes, len(names)
}

// runSequences creates so many of them, which the controller starts at once.
func (w *world) runSequences(n int) {
	w.T.Helper()
	for i := range n {
		w.sequences = append(w.sequences, w.Create(framework.NewSequence(fmt.Sprintf("etl-%d", i), "extract", "transform", "load")))
	}
}

// waitForShare waits until a share of all Jobs has been created, so that a fault hits sequences in all states.
func (w *world) waitForShare(part, of int) {
	w.T.Helper()
	wanted := len(w.sequences) * stepsInTheWorld * part / of
	w.until(fmt.Sprintf("%d Jobs to be created", wanted), func(context.Context) bool {
		_, jobs := w.progress()
		return jobs >= wanted
	})
}

// until is eventually for a world in which requests may fail, and in which many things are under way.
func (w *world) until(what string, condition func(context.Context) bool) {
	w.T.Helper()
	err := wait.PollUntilContextTimeout(w.T.Context(), 20*time.Millisecond, 5*time.Minute, true,
		func(ctx context.Context) (bool, error) { return condition(ctx), nil })
	if err != nil {
		w.T.Fatalf("waiting for %s: %v", what, err)
	}
}

// judgeAll waits until all sequences have ended, checks that they have as they do without a fault, and asks the oracle.
func (w *world) judgeAll() (violations int) {
	w.T.Helper()
	unfinished := slices.Clone(w.sequences)
	w.until("all sequences to end", func(ctx context.Context) bool {
		list, err := w.Client.BatchV1alpha1().SequentialJobs(w.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false
		}
		for i := range list.Items {
			if sj := &list.Items[i]; sj.Status.CompletionTime != nil && len(sj.Finalizers) == 0 {
				unfinished = slices.DeleteFunc(unfinished, func(u *v1alpha1.SequentialJob) bool { return u.UID == sj.UID })
			}
		}
		return len(unfinished) == 0
	})
	var wantJobs []string
	for _, sequence := range w.sequences {
		sj := w.Get(sequence.Name)
		if sj.Status.Phase != v1alpha1.SequentialJobCompleted || len(sj.Status.Steps) != stepsInTheWorld {
			w.T.Errorf("%s ended as %s, with steps %+v", sj.Name, sj.Status.Phase, sj.Status.Steps)
		}
		for i := range stepsInTheWorld {
			wantJobs = append(wantJobs, fmt.Sprintf("%s-%d", sj.Name, i))
		}
	}
	w.mu.Lock()
	seen := slices.Clone(w.jobs)
	w.mu.Unlock()
	h, broken := w.judge(seen...)
	got := h.allNames()
	slices.Sort(got)
	slices.Sort(wantJobs)
	if !slices.Equal(got, wantJobs) {
		w.T.Errorf("Jobs created: %q, want %q", got, wantJobs)
	}
	return len(broken)
}

// clusterCommand runs a command of hack/cluster/cluster.sh, which knows the cluster by CLUSTER_NAME.
func clusterCommand(t *testing.T, args ...string) string {
	t.Helper()
	var out, log bytes.Buffer
	command := exec.Command(filepath.Join(framework.Root, "hack/cluster/cluster.sh"), args...)
	command.Stdout, command.Stderr = &out, &log
	if err := command.Run(); err != nil {
		t.Fatalf("cluster.sh %s: %v\n%s", strings.Join(args, " "), err, log.String())
	}
	return strings.TrimSpace(out.String())
}

// goneCounter counts how often the API server told the controller that what it wants to watch from is too long ago.
type goneCounter struct {
	mu sync.Mutex
	n  int
}

func (g *goneCounter) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

func (g *goneCounter) see(is bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if is {
		g.n++
	}
}

func (g *goneCounter) wrap(next http.RoundTripper) http.RoundTripper {
	return framework.RoundTripperFunc(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err != nil || request.URL.Query().Get("watch") == "" {
			return response, err
		}
		g.see(response.StatusCode == http.StatusGone)
		response.Body = &goneBody{ReadCloser: response.Body, g: g}
		return response, nil
	})
}

// goneBody is the stream of a watch, in which 410 comes as an event.
type goneBody struct {
	io.ReadCloser
	g *goneCounter
}

func (b *goneBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.g.see(bytes.Contains(p[:n], []byte("too old resource version")) || bytes.Contains(p[:n], []byte(metav1.StatusReasonExpired)))
	return n, err
}

// ready says whether the API server answers.
func (w *world) ready(ctx context.Context) bool {
	_, err := w.Kube.CoreV1().Namespaces().Get(ctx, w.Namespace, metav1.GetOptions{})
	return err == nil || apierrors.IsNotFound(err)
}
