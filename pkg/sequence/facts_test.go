package sequence_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func TestWithoutASequentialJobThereIsNothingToDo(t *testing.T) {
	if got := sequence.Next(sequence.Facts{Now: now}); got.Request != sequence.EndTurn || got.TryAgain || got.AtOnce || got.LookAgain != 0 {
		t.Errorf("%+v", got)
	}
}

// refused plays the turn in which step 1 starts after step 0, with one kind of request refused.
func refused(request sequence.Request, class sequence.Class) (turn, *v1alpha1.SequentialJob) {
	sj := nthRuns(0)
	jobs := []*batchv1.Job{jobOf(sj, 0, complete)}
	return (&server{jobs: slices.Clone(jobs), refuse: func(a sequence.Action) sequence.Refusal {
		if a.Request == request {
			return sequence.Refusal{Class: class, Message: "no"}
		}
		return sequence.Refusal{}
	}}).play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: jobs})
}

func TestWhatARefusalMeansForTheTurn(t *testing.T) {
	const completed = "Normal JobCompleted: Job 0 completed successfully"
	const denied = "Warning JobCreateFailed: Job etl-1 of step 1 cannot be created, trying again: no"
	type ending struct {
		Last    string // the last request
		Events  []string
		Gone    bool
		Retried bool
	}
	for name, tc := range map[string]struct {
		request sequence.Request
		class   sequence.Class
		want    ending
	}{
		"the SequentialJob is gone":              {sequence.ReadSequentialJob, sequence.Gone, ending{Last: "read SequentialJob", Gone: true}},
		"the SequentialJob cannot be read":       {sequence.ReadSequentialJob, sequence.Unavailable, ending{Last: "read SequentialJob", Retried: true}},
		"the status belongs to a newer one":      {sequence.StoreStatus, sequence.Conflict, ending{Last: "store status", Retried: true}},
		"the status cannot be stored":            {sequence.StoreStatus, sequence.Unavailable, ending{Last: "store status", Retried: true}},
		"it is gone before its status is stored": {sequence.StoreStatus, sequence.Gone, ending{Last: "store status", Gone: true}},
		"the namespace is gone":                  {sequence.CreateJob, sequence.NamespaceGone, ending{Last: "create Job"}},
		"the create comes too late":              {sequence.CreateJob, sequence.Conflict, ending{Last: "create Job", Retried: true}},
		"the create finds nothing":               {sequence.CreateJob, sequence.Gone, ending{Last: "create Job", Retried: true}},
		"the create is denied":                   {sequence.CreateJob, sequence.Denied, ending{Last: "store status", Events: []string{completed, denied}, Retried: true}},
		"the create may have been carried out":   {sequence.CreateJob, sequence.Unavailable, ending{Last: "store status", Events: []string{completed, denied}, Retried: true}},
		"the create is put off":                  {sequence.CreateJob, sequence.PutOff, ending{Last: "store status", Events: []string{completed, denied}, Retried: true}},
		"the name was taken a moment ago":        {sequence.CreateJob, sequence.NameTaken, ending{Last: "store status", Events: []string{completed}, Retried: true}},
	} {
		t.Run(name, func(t *testing.T) {
			turn, sj := refused(tc.request, tc.class)
			got := ending{turn.Requests[len(turn.Requests)-1], outcomeOf(turn).Events, sj == nil, turn.Last.TryAgain}
			if diff := cmp.Diff(tc.want, got); diff != "" || turn.Last.AtOnce {
				t.Errorf("unexpected end of the turn (-want +got), after %q:\n%s", turn.Requests, diff)
			}
		})
	}
}

// An earlier try has created the Job, and did not learn of it.
func TestAJobOfAnEarlierTryIsTakenOver(t *testing.T) {
	sj := nthRuns(0)
	first, second := jobOf(sj, 0, complete), jobOf(sj, 1, running)
	turn, _ := (&server{jobs: []*batchv1.Job{first, second}}).play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: []*batchv1.Job{first}})
	if diff := cmp.Diff([]string{"read SequentialJob", "create Job", "read Job", "store status"}, turn.Requests); diff != "" {
		t.Errorf("unexpected requests (-want +got):\n%s", diff)
	}
	want := []string{"etl-0 uid-job-0 Completed", "etl-1 uid-job-1 Running"}
	if diff := cmp.Diff(want, outcomeOf(turn).Steps); diff != "" {
		t.Errorf("unexpected steps (-want +got):\n%s", diff)
	}
}

// The live SequentialJob may tell another story than the cache.
func TestWhatIsReadLiveIsDecidedOnAnew(t *testing.T) {
	for name, tc := range map[string]struct {
		live func(*v1alpha1.SequentialJob)
		want []string
	}{
		"it was suspended": {suspendSJ, []string{"read SequentialJob", "store status"}},
		"it was deleted":   {func(sj *v1alpha1.SequentialJob) { deleted(sj) }, []string{"read SequentialJob", "read Job", "list pods", "remove finalizer"}},
		"it is another":    {func(sj *v1alpha1.SequentialJob) { sj.UID = types.UID("uid-other") }, []string{"read SequentialJob"}},
		"the next step started, and ended": {func(sj *v1alpha1.SequentialJob) {
			sj.Status = turnOf(sj, []*batchv1.Job{jobOf(sj, 0, complete), jobOf(sj, 1, failed)}, now).Status
			sj.Finalizers = nil
		}, []string{"read SequentialJob"}},
	} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			api := &server{jobs: []*batchv1.Job{jobOf(sj, 0, complete)}}
			facts, requests := sequence.Facts{Now: now, SequentialJob: sj, Jobs: api.jobs}, []string(nil)
			for range 20 {
				a := sequence.Next(facts)
				if a.Request == sequence.EndTurn {
					break
				}
				requests = append(requests, string(a.Request))
				answer := api.answer(&facts, a)
				if a.Request == sequence.ReadSequentialJob {
					tc.live(answer.SequentialJob)
				}
				facts = facts.With(a, answer)
			}
			if diff := cmp.Diff(tc.want, requests); diff != "" {
				t.Errorf("unexpected requests (-want +got):\n%s", diff)
			}
		})
	}
}

func suspendSJ(sj *v1alpha1.SequentialJob) { sj.Spec.Suspend = new(true) }

// cramped lets no status be stored with more than that many bytes of messages.
func cramped(most int, tries *int) func(sequence.Action) sequence.Refusal {
	return func(a sequence.Action) sequence.Refusal {
		if a.Request != sequence.StoreStatus {
			return sequence.Refusal{}
		}
		*tries++
		size := len(a.Status.SpecCheck.Message)
		for _, c := range a.Status.Conditions {
			size += len(c.Message)
		}
		for _, step := range a.Status.Steps {
			size += len(step.Message)
		}
		if size > most {
			return sequence.Refusal{Class: sequence.TooLarge, Message: "etcdserver: request is too large"}
		}
		return sequence.Refusal{}
	}
}

// What leaves too little room in etcd is still recorded, in fewer words.
func TestAStatusThatIsTooLargeIsStoredInFewerWords(t *testing.T) {
	tries := 0
	s := tell(t, "extract").work()
	s.pods = []corev1.Pod{pod(exited("extract", 2, "Error", strings.Repeat("x", 1000), 1))}
	s.refuse = cramped(6*64, &tries)
	s.end("etl-0", failed)
	if s.sj.Status.Phase != v1alpha1.SequentialJobFailed || s.last.Finalizer {
		t.Errorf("phase %s, finalizer %v", s.sj.Status.Phase, s.last.Finalizer)
	}
	if got := s.sj.Status.Steps[0].Message; len(got) > 64 || !strings.HasPrefix(got, "BackoffLimitExceeded: container") {
		t.Errorf("the step says %q", got)
	}
	tries, s.told = 0, nil
	if s.work().wantEvents(); tries > 0 {
		t.Errorf("it is stored again: %q", s.last.Requests)
	}
}

func TestACrampedStatusIsNotWrittenAgainAndAgain(t *testing.T) {
	tries := 0
	s := tell(t, "extract").work()
	s.refuse = cramped(6*64, &tries)
	s.stuck(unschedulable(strings.Repeat("x", 1000)))
	tries, s.told = 0, nil
	s.after(time.Minute).work().wantEvents()
	if tries > 1 || s.last.Last.AtOnce {
		t.Errorf("%d tries: %q, which ends with %+v", tries, s.last.Requests, s.last.Last)
	}
}

func TestAStatusForWhichThereIsNoRoomAtAllIsTold(t *testing.T) {
	tries := 0
	sj := nthRuns(0)
	jobs := []*batchv1.Job{jobOf(sj, 0, failed)}
	turn, _ := (&server{refuse: cramped(0, &tries)}).play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: jobs})
	want := []string{"Warning InvalidSpec: The status cannot be stored: etcdserver: request is too large. " +
		"Make the spec smaller: keep large values in ConfigMaps, Secrets or images"}
	if diff := cmp.Diff(want, outcomeOf(turn).Events); diff != "" || tries != 2 || !turn.Last.TryAgain {
		t.Errorf("%d tries, it ends with %+v, unexpected events (-want +got):\n%s", tries, turn.Last, diff)
	}
}

// An older CRD, or a policy, may not keep all that was stored: that must not become a loop without a pause.
func TestAStatusThatIsNotKeptIsNotStoredAgainAtOnce(t *testing.T) {
	sj, jobs := nthRuns(0), []*batchv1.Job{jobOf(nthRuns(0), 0, running)}
	sj.Generation = 2
	api := &server{jobs: jobs}
	facts, stored := sequence.Facts{Now: now, SequentialJob: sj, Jobs: jobs}, 0
	for range 20 {
		a := sequence.Next(facts)
		if a.Request == sequence.EndTurn {
			if a.AtOnce || a.TryAgain || stored != 1 {
				t.Errorf("stored %d times, and it ends with %+v", stored, a)
			}
			return
		}
		answer := api.answer(&facts, a)
		if a.Request == sequence.StoreStatus {
			stored++
			answer.SequentialJob.Status.SpecCheck = nil
		}
		facts = facts.With(a, answer)
	}
	t.Error("a turn without end")
}
