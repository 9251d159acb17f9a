package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/fake"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

const (
	namespace = "default"
	sjName    = "etl"
)

var (
	sequentialJobs = schema.GroupVersionResource{Group: v1alpha1.GroupName, Version: "v1alpha1", Resource: "sequentialjobs"}
	jobs           = batchv1.SchemeGroupVersion.WithResource("jobs")
	podResource    = corev1.SchemeGroupVersion.WithResource("pods")
	podKind        = corev1.SchemeGroupVersion.WithKind("Pod")
	key            = cache.NewObjectName(namespace, sjName)
)

// world is a controller beside an API server that is faked as far as the controller relies on it: resourceVersions,
// conflicts, finalizers, dry runs. Its caches hold what a test put there, so that they can be as stale as it likes.
type world struct {
	t        testing.TB
	ctx      context.Context // the controller's, which stop ends
	stop     context.CancelFunc
	kube     *kubefake.Clientset
	client   *fake.Clientset
	sjs      cache.Indexer
	jobs     cache.Indexer
	caches   *Informers
	recorder *record.FakeRecorder
	c        *Controller
	version  atomic.Int64
	// watchesLag has watches end with the next event, which they do not show.
	watchesLag atomic.Bool

	mu  sync.Mutex
	log []string // of requests
}

func newWorld(t testing.TB, sj *v1alpha1.SequentialJob, existing ...runtime.Object) *world {
	t.Helper()
	w := &world{t: t, kube: kubefake.NewClientset(existing...), client: fake.NewClientset(), recorder: record.NewFakeRecorder(100)}
	w.ctx, w.stop = context.WithCancel(t.Context())
	w.version.Store(100)
	if sj != nil {
		sj.ResourceVersion = w.nextVersion()
		must(t, w.client.Tracker().Add(sj))
	}
	w.kube.PrependReactor("create", "jobs", w.createJob)
	w.kube.PrependReactor("patch", "jobs", w.patchJob)
	w.kube.PrependReactor("delete", "jobs", w.deleteJob)
	w.client.PrependReactor("update", "sequentialjobs", w.updateStatus)
	w.client.PrependReactor("patch", "sequentialjobs", w.patchFinalizers)

	w.serveWatches(&w.kube.Fake, w.kube.Tracker())
	w.serveWatches(&w.client.Fake, w.client.Tracker())
	w.keepLog(&w.kube.Fake)
	w.keepLog(&w.client.Fake)

	var err error
	w.caches, err = NewInformers(w.kube, w.client)
	must(t, err)
	w.c = New(Clients{Kube: w.kube, KubeJSON: w.kube, SequentialJobs: w.client, Events: w.kube.CoreV1()}, w.caches)
	all := w.caches.of(metav1.NamespaceAll)
	w.sjs, w.jobs = all.sequentialJobs.Informer().GetIndexer(), all.jobs.GetIndexer()
	return w
}

// newSyncWorld is newWorld for tests that call sync themselves: caches filled, events recorded at once.
func newSyncWorld(t testing.TB, sj *v1alpha1.SequentialJob, existing ...runtime.Object) *world {
	t.Helper()
	w := newWorld(t, sj, existing...)
	t.Cleanup(func() { w.c.events.objects.ShutDown(); w.c.queue.ShutDown() })
	w.c.recorder = w.recorder
	w.refresh()
	return w
}

// refresh brings the caches up to date.
func (w *world) refresh() {
	w.t.Helper()
	sjs, err := w.client.BatchV1alpha1().SequentialJobs("").List(context.Background(), metav1.ListOptions{})
	must(w.t, err)
	for i := range sjs.Items {
		sequence.Outline(&sjs.Items[i])
	}
	must(w.t, w.sjs.Replace(anys(pointers(sjs.Items)), ""))
	stored, err := w.kube.BatchV1().Jobs("").List(context.Background(), metav1.ListOptions{LabelSelector: v1alpha1.SequentialJobUIDLabel})
	must(w.t, err)
	packed := make([]any, len(stored.Items))
	for i := range packed {
		packed[i] = pack(&stored.Items[i])
	}
	must(w.t, w.jobs.Replace(packed, ""))
}

func (w *world) sync() error { return w.c.sync(w.t.Context(), key) }

// syncFresh syncs once with caches that are up to date.
func (w *world) syncFresh() error {
	w.t.Helper()
	w.refresh()
	return w.sync()
}

func (w *world) stored() *v1alpha1.SequentialJob {
	w.t.Helper()
	obj, err := w.client.Tracker().Get(sequentialJobs, namespace, sjName)
	must(w.t, err)
	return obj.(*v1alpha1.SequentialJob)
}

func (w *world) job(name string) *batchv1.Job {
	w.t.Helper()
	obj, err := w.kube.Tracker().Get(jobs, namespace, name)
	must(w.t, err)
	return obj.(*batchv1.Job)
}

// endJob gives a Job a condition, as the Job controller does when it ends.
func (w *world) endJob(name string, condition batchv1.JobConditionType, reason string) {
	w.t.Helper()
	w.changeJob(name, func(job *batchv1.Job) {
		job.Status.Conditions = []batchv1.JobCondition{{
			Type: condition, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: metav1.NewTime(w.c.now()),
		}}
	})
}

// changeJob changes a Job on the API server.
func (w *world) changeJob(name string, change func(*batchv1.Job)) {
	w.t.Helper()
	job := w.job(name).DeepCopy()
	job.ResourceVersion = w.nextVersion()
	change(job)
	must(w.t, w.kube.Tracker().Update(jobs, job, namespace))
}

// events returns what was recorded since the last call.
func (w *world) events() []string {
	var out []string
	for {
		select {
		case event := <-w.recorder.Events:
			out = append(out, event)
		default:
			return out
		}
	}
}

func newSequence(steps ...string) *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: sjName, UID: "uid-etl", Generation: 1,
	}}
	for _, step := range steps {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: step, Image: "image/" + step})
	}
	return sj
}

// jobOf returns a Job of a step as the API server holds it.
func jobOf(sj *v1alpha1.SequentialJob, index int) *batchv1.Job {
	job := sequence.NewJob(sj, index, 0)
	job.UID, job.ResourceVersion = types.UID("uid-of-"+job.Name), "7"
	job.CreationTimestamp = metav1.Now()
	return job
}

// sequenceAt returns a sequence whose step at index runs, and that step's Job. The Jobs of the steps before are gone.
func sequenceAt(index int, steps ...string) (*v1alpha1.SequentialJob, *batchv1.Job) {
	sj := newSequence(steps...)
	sj.Finalizers = []string{v1alpha1.CleanupFinalizer}
	job := jobOf(sj, index)
	sj.Status.Phase, sj.Status.ObservedGeneration = v1alpha1.SequentialJobRunning, 1
	sj.Status.StartTime, sj.Status.ActiveSince = &job.CreationTimestamp, &job.CreationTimestamp
	sj.Status.SpecCheck = &v1alpha1.SpecCheck{Generation: 1, Result: v1alpha1.SpecCheckAccepted}
	for i := range index + 1 {
		step := v1alpha1.StepStatus{Name: steps[i], JobName: sequence.JobName(sj, i, 0), State: v1alpha1.StepCompleted,
			StartTime: &job.CreationTimestamp, CompletionTime: &job.CreationTimestamp}
		step.JobUID = types.UID("uid-of-" + step.JobName)
		sj.Status.Steps = append(sj.Status.Steps, step)
	}
	running := &sj.Status.Steps[index]
	running.State, running.CompletionTime = v1alpha1.StepRunning, nil
	stored := sequence.Next(sequence.Facts{Now: job.CreationTimestamp.Time, SequentialJob: sj, Jobs: []*batchv1.Job{job}})
	sj.Status = *stored.Status // with what follows from the rest
	return sj, job
}

func reasonOf(sj *v1alpha1.SequentialJob, conditionType string) string {
	if condition := meta.FindStatusCondition(sj.Status.Conditions, conditionType); condition != nil && condition.Status == metav1.ConditionTrue {
		return condition.Reason
	}
	return ""
}

func anys[T any](items []T) []any {
	out := make([]any, len(items))
	for i := range items {
		out[i] = items[i]
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
