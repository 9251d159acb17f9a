package controller

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// render writes down all of a request that the API server sees.
func render(action clienttesting.Action) string {
	resource := action.GetResource().Resource
	if sub := action.GetSubresource(); sub != "" {
		resource += "/" + sub
	}
	var name, body string
	var options any
	switch a := action.(type) {
	case clienttesting.GetActionImpl:
		name, options = a.GetName(), a.GetOptions
	case clienttesting.ListActionImpl:
		options = a.GetListOptions()
	case clienttesting.CreateActionImpl:
		body, options = encode(a.GetObject()), a.GetCreateOptions()
	case clienttesting.UpdateActionImpl:
		body, options = encode(a.GetObject()), a.GetUpdateOptions()
	case clienttesting.PatchActionImpl:
		name, body, options = a.GetName(), string(a.GetPatchType())+" "+string(a.GetPatch()), a.GetPatchOptions()
	case clienttesting.DeleteActionImpl:
		name, options = a.GetName(), a.GetDeleteOptions()
	}
	text := fmt.Sprintf("%s %s %s/%s %s", action.GetVerb(), resource, action.GetNamespace(), name, encode(options))
	return strings.TrimSpace(text + "\n" + body)
}

func encode(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// What each request is, to the letter.
func TestEachActionIsOneRequest(t *testing.T) {
	sj := newSequence("extract", "load")
	sj.ResourceVersion, sj.Finalizers = "42", []string{"example.com/other"}
	held := sj.DeepCopy()
	held.Finalizers = []string{"example.com/first", v1alpha1.CleanupFinalizer, "example.com/last"}
	stored := sj.DeepCopy()
	stored.Status = v1alpha1.SequentialJobStatus{Phase: v1alpha1.SequentialJobRunning}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "etl-1", UID: "uid-job", ResourceVersion: "7"}}
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Other", Name: "o", UID: "u"}
	change := func(change sequence.JobChange) sequence.Action {
		change.Job = job
		return sequence.Action{Request: sequence.ChangeJob, Change: &change}
	}
	const (
		byUs       = `{"fieldManager":"sequentialjob-controller"}`
		patchOfJob = "patch jobs default/etl-1 " + byUs + "\n" + `application/merge-patch+json {"metadata":{`
		itself     = `"resourceVersion":"7","uid":"uid-job"},"spec":{`
	)
	for _, tc := range []struct {
		name   string
		sj     *v1alpha1.SequentialJob
		action sequence.Action
		want   string
	}{
		{"read SequentialJob", sj, sequence.Action{Request: sequence.ReadSequentialJob}, `get sequentialjobs default/etl {}`},
		{"read Job", sj, sequence.Action{Request: sequence.ReadJob, Name: "etl-1"}, `get jobs default/etl-1 {}`},
		{"store status", sj, sequence.Action{Request: sequence.StoreStatus, Status: &stored.Status},
			"update sequentialjobs/status default/ " + byUs + "\n" +
				`{"metadata":{"name":"etl","namespace":"default","uid":"uid-etl","resourceVersion":"42"},"status":{"phase":"Running"}}`},
		{"add finalizer", sj, sequence.Action{Request: sequence.AddFinalizer}, "patch sequentialjobs default/etl " + byUs + "\n" +
			`application/merge-patch+json {"metadata":{"finalizers":["example.com/other","batch.example.com/cleanup"],"resourceVersion":"42","uid":"uid-etl"}}`},
		{"remove finalizer", held, sequence.Action{Request: sequence.RemoveFinalizer}, "patch sequentialjobs default/etl " + byUs + "\n" +
			`application/merge-patch+json {"metadata":{"finalizers":["example.com/first","example.com/last"],"resourceVersion":"42","uid":"uid-etl"}}`},
		{"delete SequentialJob", sj, sequence.Action{Request: sequence.DeleteSequentialJob},
			`delete sequentialjobs default/etl {"preconditions":{"uid":"uid-etl","resourceVersion":"42"},"propagationPolicy":"Background"}`},
		{"create Job", sj, sequence.Action{Request: sequence.CreateJob, Job: job},
			`JSON: create jobs default/ {"fieldManager":"sequentialjob-controller","fieldValidation":"Strict"}` + "\n" + encode(job)},
		{"dry run", sj, sequence.Action{Request: sequence.CheckSteps, Job: job},
			`JSON: create jobs default/ {"dryRun":["All"],"fieldManager":"sequentialjob-controller","fieldValidation":"Strict"}` + "\n" + encode(job)},
		{"delete Job", sj, sequence.Action{Request: sequence.DeleteJob, Job: job},
			`delete jobs default/etl-1 {"preconditions":{"uid":"uid-job","resourceVersion":"7"},"propagationPolicy":"Foreground"}`},
		{"list pods of Job", sj, sequence.Action{Request: sequence.ListJobPods, Job: job},
			`list pods default/ {"labelSelector":"batch.kubernetes.io/controller-uid=uid-job"}`},
		{"list pods", sj, sequence.Action{Request: sequence.ListPods},
			`list pods default/ {"labelSelector":"batch.example.com/sequentialjob-uid=uid-etl"}`},
		{"list events", sj, sequence.Action{Request: sequence.ListEvents, About: "uid-pod"},
			`list events default/ {"fieldSelector":"involvedObject.uid=uid-pod"}`},
		{"suspend Job", sj, change(sequence.JobChange{Suspend: new(true), Annotations: map[string]*string{"by": new("us")}}),
			patchOfJob + `"annotations":{"by":"us"},` + itself + `"suspend":true}}`},
		{"resume Job", sj, change(sequence.JobChange{Suspend: new(false), Annotations: map[string]*string{"by": nil}}),
			patchOfJob + `"annotations":{"by":null},` + itself + `"suspend":false}}`},
		{"set deadline", sj, change(sequence.JobChange{ActiveDeadlineSeconds: new(new(int64(0)))}), patchOfJob + itself + `"activeDeadlineSeconds":0}}`},
		{"take off deadline", sj, change(sequence.JobChange{ActiveDeadlineSeconds: new((*int64)(nil))}), patchOfJob + itself + `"activeDeadlineSeconds":null}}`},
		{"give back what was taken", sj, change(sequence.JobChange{
			Labels: map[string]string{"a": "b"}, OwnerReferences: []metav1.OwnerReference{owner},
		}), patchOfJob + `"labels":{"a":"b"},"ownerReferences":[` + encode(owner) + `],` + itself + `}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newSyncWorld(t, nil)
			kubeJSON := kubefake.NewClientset()
			w.c.kubeJSON = kubeJSON
			w.kube.ClearActions()
			w.client.ClearActions()
			_, _ = w.c.send(t.Context(), tc.sj, tc.action) // whatever the answer is
			var got []string
			for _, action := range slices.Concat(w.kube.Actions(), w.client.Actions()) {
				got = append(got, render(action))
			}
			for _, action := range kubeJSON.Actions() {
				got = append(got, "JSON: "+render(action))
			}
			if diff := cmp.Diff([]string{tc.want}, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARequestThatNobodyKnowsIsAnError(t *testing.T) {
	w := newSyncWorld(t, newSequence("extract"))
	for _, request := range []sequence.Request{sequence.EndTurn, "make coffee"} {
		if _, err := w.c.send(t.Context(), w.stored(), sequence.Action{Request: request}); !errors.Is(err, errUnknownRequest) {
			t.Errorf("%s: %v", request, err)
		}
	}
	if got := w.requests(); got != nil {
		t.Errorf("requests %q", got)
	}
}

// The answer has what the API server answered, and an error has nothing else.
func TestAnswersCarryWhatWasAnswered(t *testing.T) {
	sj, job := sequenceAt(0, "extract")
	pod := ownPod(job)
	pod.Labels = map[string]string{batchv1.ControllerUidLabel: string(job.UID), v1alpha1.SequentialJobUIDLabel: string(sj.UID)}
	event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "e"}, InvolvedObject: corev1.ObjectReference{UID: "uid-pod"}}
	w := newSyncWorld(t, sj, job, pod, event)
	for request, has := range map[sequence.Request]func(sequence.Answer) bool{
		sequence.ReadSequentialJob: func(a sequence.Answer) bool { return a.SequentialJob != nil && a.SequentialJob.UID == sj.UID },
		sequence.StoreStatus: func(a sequence.Answer) bool {
			return a.SequentialJob != nil && a.SequentialJob.ResourceVersion != sj.ResourceVersion
		},
		sequence.ReadJob:     func(a sequence.Answer) bool { return a.Job != nil && a.Job.UID == job.UID },
		sequence.ListJobPods: func(a sequence.Answer) bool { return len(a.Pods) == 1 },
		sequence.ListPods:    func(a sequence.Answer) bool { return len(a.Pods) == 1 },
		sequence.ListEvents:  func(a sequence.Answer) bool { return len(a.Events) == 1 },
	} {
		answer, err := w.c.send(t.Context(), w.stored(),
			sequence.Action{Request: request, Name: job.Name, Job: job, About: "uid-pod", Status: &v1alpha1.SequentialJobStatus{}})
		if err != nil || !has(answer) {
			t.Errorf("%s: answer %+v, error %v", request, answer, err)
		}
	}
	for _, request := range []sequence.Request{sequence.ListJobPods, sequence.ListPods, sequence.ListEvents} {
		for _, resource := range []string{"pods", "events"} {
			w.fail("list", resource, func(clienttesting.Action) error { return internalErr })
		}
		if answer, err := w.c.send(t.Context(), sj, sequence.Action{Request: request, Job: job}); err == nil || answer.Pods != nil || answer.Events != nil {
			t.Errorf("%s: answer %+v, error %v", request, answer, err)
		}
	}
}

// The bucket holds 50 and gets ten a second; but one, and one a second, while there is much else to do.
func TestWhatOnlyExplainsIsPutOffWhenThereIsMuchOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sj, job := sequenceAt(0, "extract")
		w := newWorld(t, sj, job)
		defer func() { w.c.events.objects.ShutDown(); w.c.queue.ShutDown(); w.stop(); synctest.Wait() }()
		explain := sequence.Action{Request: sequence.ListJobPods, Job: job, Optional: true}
		sent := func() (n int) {
			for range 2 * inspectionBurst {
				switch _, err := w.c.send(t.Context(), sj, explain); {
				case err == nil:
					n++
				case !errors.Is(err, errPutOff) || refusalOf(err).Class != sequence.PutOff:
					t.Fatalf("error %v", err)
				}
			}
			return n
		}
		if n := sent(); n != inspectionBurst {
			t.Errorf("%d were sent at once", n)
		}
		needed := explain
		needed.Optional = false
		if _, err := w.c.send(t.Context(), sj, needed); err != nil {
			t.Errorf("what is needed is put off: %v", err)
		}
		<-time.After(time.Second)
		if n := sent(); n != inspectionsPerSecond {
			t.Errorf("%d were sent after a second", n)
		}
		for n := range busyQueue + 1 {
			w.c.queue.Add(cache.NewObjectName(namespace, fmt.Sprintf("waiting-%d", n)))
		}
		<-time.After(time.Minute)
		if n := sent(); n != busyInspectionsPerSecond {
			t.Errorf("%d were sent while many wait for a worker", n)
		}
	})
}

// stuckWorld holds so many sequences whose step has no pod.
func stuckWorld(t *testing.T, n int) *world {
	t.Helper()
	var existing []runtime.Object
	var sequences []*v1alpha1.SequentialJob
	for i := range n {
		sj, job := sequenceAt(0, "extract", "load")
		sj.Name = fmt.Sprint("etl-", i)
		sj.UID = types.UID("uid-" + sj.Name)
		job.Name, job.UID = sequence.JobName(sj, 0, 0), types.UID("uid-of-"+sj.Name)
		job.Labels = sequence.NewJob(sj, 0, 0).Labels
		job.OwnerReferences[0].Name, job.OwnerReferences[0].UID = sj.Name, sj.UID
		job.Status.StartTime = &job.CreationTimestamp
		sj.Status.Steps[0].JobName, sj.Status.Steps[0].JobUID = job.Name, job.UID
		existing, sequences = append(existing, job), append(sequences, sj)
	}
	w := newWorld(t, nil, existing...)
	for _, sj := range sequences {
		sj.ResourceVersion = w.nextVersion()
		must(t, w.client.Tracker().Add(sj))
	}
	return w
}

func TestAThousandStuckStepsDoNotUseUpTheBudgetOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const minutes = 10
		w := stuckWorld(t, 1000)
		stop, done := running(t, w)
		for minute := range minutes {
			<-time.After(time.Minute)
			inspections := 0
			for _, request := range w.requests() {
				if strings.HasPrefix(request, "list ") {
					inspections++
				}
			}
			if most := inspectionBurst + inspectionsPerSecond*60*(minute+1); inspections == 0 || inspections > most {
				t.Errorf("%d inspections in %d minutes, want at most %d", inspections, minute+1, most)
			}
		}
		// One that fails is still asked about.
		w.clear()
		w.endJob("etl-7-0", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
		synctest.Wait()
		if got := w.requests(); len(got) < 2 || got[1] != "list pods" {
			t.Errorf("requests %q", got)
		}
		stop()
		must(t, <-done)
	})
}
