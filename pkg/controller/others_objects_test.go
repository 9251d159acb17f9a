package controller

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// Whole runs while others change or delete what is ours.

func TestTheFinalizerIsPutBackWhileThereIsSomethingToCleanUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newSequence("extract", "load"))
		stop, done := running(t, w)
		w.clear()
		w.edit(func(sj *v1alpha1.SequentialJob) {
			sj.Finalizers, sj.Labels = nil, map[string]string{"by": "kubectl replace"}
		})
		synctest.Wait() // no time passes
		if got := w.stored().Finalizers; !slices.Equal(got, []string{v1alpha1.CleanupFinalizer}) {
			t.Errorf("finalizers %q", got)
		}
		if diff := cmp.Diff([]string{"patch sequentialjobs etl"}, w.requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		for _, name := range []string{"etl-0", "etl-1"} {
			w.endJob(name, batchv1.JobComplete, "")
			synctest.Wait()
		}
		if got := w.stored().Finalizers; len(got) != 0 {
			t.Errorf("finalizers %q at the end", got)
		}
		stop()
		must(t, <-done)
	})
}

// The cause can be asked for only later: the API server is down, or too much is asked already. By then the pod may be replaced.
func TestAPodThatIsLostIsToldWhenItCanBe(t *testing.T) {
	for name, f := range map[string]struct{ verb, resource string }{
		"its pods cannot be asked":     {"list", "pods"},
		"the status cannot be stored":  {"update", "sequentialjobs"},
		"all is well":                  {"none", "pods"},
		"too many are inspected today": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, newSequence("extract"))
				var refused refusing
				w.fail(f.verb, f.resource, refused.answer)
				stop, done := running(t, w)
				ready := func(n int32) func(*batchv1.Job) {
					return func(job *batchv1.Job) {
						job.Status.StartTime, job.Status.Ready, job.Status.Terminating = &job.CreationTimestamp, &n, new(1-n)
					}
				}
				w.changeJob("etl-0", ready(1))
				synctest.Wait()
				refused.set(internalErr)
				for f.verb == "" && w.c.inspections.TryAccept() { // uses up what there is
				}
				w.changeJob("etl-0", ready(0))
				synctest.Wait()
				refused.set(nil)
				<-time.After(2 * time.Second)
				w.changeJob("etl-0", ready(1))
				<-time.After(5 * time.Minute)
				if diff := cmp.Diff([]string{"JobStarted", "PodFailed"}, w.told()); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				if got := progressMessage(w.stored()); got != "Started job 0" {
					t.Errorf("message %q", got)
				}
				stop()
				must(t, <-done)
			})
		})
	}
}

func TestADeletionOfManyStepsDeletesOnlyTheOneThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const steps = 100
		sj, job := sequenceAt(steps-1, stepNames(steps)...)
		w := newWorld(t, sj, job)
		for i := range steps - 1 {
			complete := jobOf(sj, i)
			complete.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: "True"}}
			must(t, w.kube.Tracker().Add(complete))
		}
		stop, done := running(t, w)
		if got := w.requests(); got != nil {
			t.Errorf("requests before: %q", got)
		}
		pod := ownPod(job)
		must(t, w.kube.Tracker().Add(pod))
		w.edit(func(sj *v1alpha1.SequentialJob) { sj.DeletionTimestamp = new(metav1.Now()) })
		<-time.After(time.Minute)
		must(t, w.kube.Tracker().Delete(podResource, namespace, pod.Name))
		must(t, w.kube.Tracker().Delete(jobs, namespace, job.Name))
		<-time.After(time.Minute)
		if w.exists() {
			t.Error("the SequentialJob is still there")
		}
		requests := w.requests()
		deletes := slices.DeleteFunc(w.writes(), func(write string) bool { return !strings.HasPrefix(write, "delete") })
		if diff := cmp.Diff([]string{"delete jobs " + job.Name}, deletes); diff != "" || len(requests) > 8 {
			t.Errorf("%d requests: %q; deletes (-want +got):\n%s", len(requests), requests, diff)
		}
		stop()
		must(t, <-done)
	})
}
