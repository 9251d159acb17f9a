package controller

import (
	"fmt"
	"runtime"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// What a cluster has most of are sequences that have finished. The limits are what docs/performance.md counts on.
func TestWhatTheCachesKeepOfAFinishedSequenceIsSmall(t *testing.T) {
	for steps, limit := range map[int]float64{3: 10, 100: 120} {
		const sequences = 300
		sjs := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
		jobs := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{ownerIndex: ownerOf})
		before := liveHeap()
		for n := range sequences {
			sj := finishedSequence(n, steps)
			for index := range steps {
				must(t, jobs.Add(pack(completeJobOf(sj, index))))
			}
			sequence.Outline(sj)
			must(t, sjs.Add(sj))
		}
		kib := (liveHeap() - before) / sequences / 1024
		t.Logf("%d steps: %.1f KiB", steps, kib)
		if kib > limit {
			t.Errorf("a sequence of %d steps takes %.1f KiB, more than %v", steps, kib, limit)
		}
		runtime.KeepAlive(sjs)
		runtime.KeepAlive(jobs)
	}
}

func liveHeap() float64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

func finishedSequence(n, steps int) *v1alpha1.SequentialJob {
	var names []string
	for index := range steps {
		names = append(names, fmt.Sprintf("step-%d", index))
	}
	sj := newSequence(names...)
	sj.Name, sj.ResourceVersion = fmt.Sprintf("sequence-%d", n), fmt.Sprint(100_000+n)
	sj.UID = types.UID(fmt.Sprintf("%08d-1234-4567-89ab-000000000000", n))
	sj.Status.Phase = v1alpha1.SequentialJobCompleted
	sj.Status.StartTime, sj.Status.CompletionTime = new(metav1.Now()), new(metav1.Now())
	for _, condition := range []string{v1alpha1.ConditionAvailable, v1alpha1.ConditionProgressing, v1alpha1.ConditionFailed} {
		sj.Status.Conditions = append(sj.Status.Conditions, metav1.Condition{
			Type: condition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCompleted,
			Message: fmt.Sprintf("All %d steps completed successfully, as sequence %d", steps, n), LastTransitionTime: metav1.Now(),
		})
	}
	for index, name := range names {
		sj.Status.Steps = append(sj.Status.Steps, v1alpha1.StepStatus{
			Name: name, JobName: sequence.JobName(sj, index, 0), JobUID: types.UID(fmt.Sprintf("%08d-1234-4567-89ab-%012d", n, index)),
			State: v1alpha1.StepCompleted, StartTime: new(metav1.Now()), CompletionTime: new(metav1.Now()),
		})
	}
	return sj
}
