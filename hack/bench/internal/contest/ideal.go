package contest

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/example/sequential-job-operator/hack/bench/internal/observe"
	"github.com/example/sequential-job-operator/hack/bench/internal/setup"
)

// creators is how many sequences are begun at the same time, by both contestants.
const creators = 20

// IdealOrder is what the process of the ideal loop is told to do.
type IdealOrder struct {
	Kubeconfig string
	Namespace  string
	Shape      Shape
	Owner      metav1.OwnerReference
}

// ideal is the process of the ideal loop: the least that anybody could do to run Jobs one after another. It creates the next Job as
// soon as its watch shows that the one before is Complete, and that is all: it keeps no record, and neither checks nor
// repairs anything.
type ideal struct {
	order IdealOrder
	kube  kubernetes.Interface
	next  map[string]func(context.Context) error // by the name of the Job that has to be complete
	fail  context.CancelCauseFunc

	mu    sync.Mutex
	begun map[string]time.Time
}

// ServeIdeal is that process. It reads its order, says "ready", waits for a line, and in the end writes when it began each sequence.
func ServeIdeal(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	lines := bufio.NewReader(in)
	i := &ideal{fail: fail, next: map[string]func(context.Context) error{}, begun: map[string]time.Time{}}
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, &i.order); err != nil {
		return err
	}
	revision, err := i.connect(ctx)
	if err != nil {
		return err
	}
	first := i.plan()
	fmt.Fprintln(out, "ready")
	if _, err := lines.ReadBytes('\n'); err != nil {
		return err
	}
	go i.begin(ctx, first)
	if err := i.follow(ctx, revision); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := json.NewEncoder(out).Encode(i.begun); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, lines) // it stays until it is stopped, so that its CPU time can be read
	return err
}

// connect returns the revision from which on it has to watch.
func (i *ideal) connect(ctx context.Context) (revision string, err error) {
	config, err := clientcmd.BuildConfigFromFlags("", i.order.Kubeconfig)
	if err != nil {
		return "", err
	}
	config.QPS, config.UserAgent = -1, "ideal-loop"
	if i.kube, err = kubernetes.NewForConfig(setup.Protobuf(config)); err != nil {
		return "", err
	}
	list, err := i.kube.BatchV1().Jobs(i.order.Namespace).List(ctx, metav1.ListOptions{LabelSelector: idealLabel})
	if err != nil {
		return "", err
	}
	return list.ResourceVersion, nil
}

// plan makes all Jobs before the start, so that the loop has nothing to do but to create them. It returns the sequences.
func (i *ideal) plan() []*v1alpha1.SequentialJob {
	var all []*v1alpha1.SequentialJob
	for n := range i.order.Shape.Sequences {
		sj := newSequence(i.order.Namespace, n, i.order.Shape)
		sj.UID, sj.Generation = idealUID(n), 1
		all = append(all, sj)
		for step := 1; step < i.order.Shape.Steps; step++ {
			job := idealJob(sj, step, i.order.Owner)
			i.next[jobName(n, step-1)] = func(ctx context.Context) error { return i.create(ctx, job) }
		}
	}
	return all
}

func (i *ideal) create(ctx context.Context, job *batchv1.Job) error {
	_, err := i.kube.BatchV1().Jobs(job.Namespace).Create(ctx, job, metav1.CreateOptions{})
	return err
}

func (i *ideal) begin(ctx context.Context, sequences []*v1alpha1.SequentialJob) {
	err := inParallel(ctx, len(sequences), func(ctx context.Context, n int) error {
		job := idealJob(sequences[n], 0, i.order.Owner)
		i.mu.Lock()
		i.begun[sequences[n].Name] = time.Now()
		i.mu.Unlock()
		return i.create(ctx, job)
	})
	if err != nil {
		i.fail(err)
	}
}

// follow creates what comes next until the last Job is complete.
func (i *ideal) follow(ctx context.Context, revision string) error {
	watching, done := context.WithCancel(ctx)
	defer done()
	complete := map[string]bool{}
	handle := func(event watch.Event) {
		job, ok := event.Object.(*batchv1.Job)
		if !ok || complete[job.Name] || !isComplete(job) {
			return
		}
		complete[job.Name] = true
		if create := i.next[job.Name]; create != nil {
			go func() {
				if err := create(ctx); err != nil {
					i.fail(err)
				}
			}()
		}
		if len(complete) == i.order.Shape.Total() {
			done()
		}
	}
	options := metav1.ListOptions{LabelSelector: idealLabel, ResourceVersion: revision}
	err := observe.Follow(watching, i.kube.BatchV1().Jobs(i.order.Namespace).Watch, options, handle, func() {})
	return cmp.Or(context.Cause(ctx), err)
}

func isComplete(job *batchv1.Job) bool {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobComplete && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
