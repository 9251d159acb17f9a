package sequence_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

func TestWhatWasTakenFromARunningJobIsGivenBack(t *testing.T) {
	sj := nthRuns(0)
	ours := jobOf(sj, 0).OwnerReferences[0]
	other := metav1.OwnerReference{Kind: "Team", Name: "data", UID: "uid-team"}
	foreign := metav1.OwnerReference{Kind: "CronJob", Name: "nightly", UID: "uid-cron", Controller: new(true)}
	label := func(key, value string) jobOption {
		return func(job *batchv1.Job) {
			delete(job.Labels, key)
			if value != "" {
				job.Labels[key] = value
			}
		}
	}
	owners := func(owners ...metav1.OwnerReference) jobOption {
		return func(job *batchv1.Job) { job.OwnerReferences = owners }
	}
	for name, tc := range map[string]struct {
		change jobOption
		labels map[string]string
		owners []metav1.OwnerReference
	}{
		"nothing":                    {func(*batchv1.Job) {}, nil, nil},
		"a label":                    {label(v1alpha1.SequentialJobUIDLabel, ""), map[string]string{v1alpha1.SequentialJobUIDLabel: "uid-etl"}, nil},
		"a label that says another":  {label(v1alpha1.StepNameLabel, "mine"), map[string]string{v1alpha1.StepNameLabel: "extract"}, nil},
		"a label of the user's":      {label("team", "data"), nil, nil},
		"all labels":                 {func(job *batchv1.Job) { job.Labels = nil }, jobOf(sj, 0).Labels, nil},
		"the reference":              {owners(), nil, []metav1.OwnerReference{ours}},
		"the reference, with others": {owners(other), nil, []metav1.OwnerReference{other, ours}},
		"the control":                {owners(metav1.OwnerReference{Kind: "SequentialJob", Name: "etl", UID: "uid-other"}), nil, []metav1.OwnerReference{{Kind: "SequentialJob", Name: "etl", UID: "uid-other"}, ours}},
		"it belongs to another now":  {owners(foreign), nil, nil},
		"it is being deleted":        {func(job *batchv1.Job) { job.Labels = nil; terminating(job) }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			// Its label is gone: the cache, which goes by it, lacks the Job.
			api := &server{jobs: []*batchv1.Job{jobOf(sj, 0, running, tc.change)}}
			turn, after := api.play(sequence.Facts{Now: now, SequentialJob: sj})
			var got sequence.JobChange
			if turn.Change != nil {
				got = *turn.Change
			}
			if diff := cmp.Diff(tc.labels, got.Labels); diff != "" && len(tc.labels)+len(got.Labels) > 0 {
				t.Errorf("unexpected labels (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.owners, got.OwnerReferences); diff != "" {
				t.Errorf("unexpected owners (-want +got):\n%s", diff)
			}
			if got.Suspend != nil || got.ActiveDeadlineSeconds != nil || len(got.Annotations) > 0 {
				t.Errorf("it is changed as well: %+v", got)
			}
			if len(turn.Events) > 0 || after.Status.Phase != v1alpha1.SequentialJobRunning {
				t.Errorf("phase %s, events %v", after.Status.Phase, turn.Events)
			}
			if again, _ := api.play(sequence.Facts{Now: now, SequentialJob: after, Jobs: api.jobs}); again.Change != nil {
				t.Errorf("it is given back again: %+v", again.Change)
			}
		})
	}
}

// A policy may take the label off each time: the step is still followed, without a fight.
func TestAJobIsFollowedEvenIfNothingCanBeGivenBack(t *testing.T) {
	for name, class := range map[string]sequence.Class{"refused": sequence.Denied, "taken again": ""} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			job := jobOf(sj, 0, running, func(job *batchv1.Job) { delete(job.Labels, v1alpha1.SequentialJobUIDLabel) })
			api := &server{jobs: []*batchv1.Job{job}}
			facts := sequence.Facts{Now: now, SequentialJob: sj}
			var requests []string
			for range 20 {
				a := sequence.Next(facts)
				if a.Request == sequence.EndTurn {
					if a.TryAgain || a.AtOnce || a.LookAgain < 15*time.Second || a.LookAgain > time.Minute {
						t.Errorf("it ends with %+v", a)
					}
					break
				}
				requests = append(requests, string(a.Request))
				answer := api.answer(&facts, a)
				if a.Request == sequence.ChangeJob {
					answer = sequence.Answer{Refusal: sequence.Refusal{Class: class, Message: "no"}, Job: job.DeepCopy()}
				}
				facts = facts.With(a, answer)
			}
			if diff := cmp.Diff([]string{"read Job", "read SequentialJob", "read Job", "change Job"}, requests); diff != "" {
				t.Errorf("unexpected requests (-want +got):\n%s", diff)
			}
		})
	}
}

// frozen lets no Job be changed.
func frozen(class sequence.Class) func(sequence.Action) sequence.Refusal {
	return func(a sequence.Action) sequence.Refusal {
		if a.Request == sequence.ChangeJob {
			return sequence.Refusal{Class: class, Message: "frozen\nuntil 6"}
		}
		return sequence.Refusal{}
	}
}

func TestASuspensionThatIsRefusedIsTriedAgain(t *testing.T) {
	const message = "Job etl-0 cannot be suspended, trying again: frozen until 6"
	s := tell(t, "extract").work()
	s.told, s.refuse = nil, frozen(sequence.Denied)
	s.edit(suspend).want("Running", "True JobUpdateFailed: "+message).wantEvents("JobUpdateFailed: " + message)
	if !s.last.Last.TryAgain {
		t.Errorf("it ends with %+v", s.last.Last)
	}
	s.after(time.Minute).work().wantEvents()
	s.refuse = nil
	s.work().want("Suspended", "False Suspended: Job 0 (extract) is suspended by spec.suspend").
		wantEvents("Suspended: Job 0 (extract) is suspended by spec.suspend")

	s = tell(t, "extract").work()
	s.refuse = frozen(sequence.Denied)
	s.edit(suspend).edit(resume).want("Running", "True JobStarted: Started job 0")
}

// While the Job is suspended the sequence is, whoever keeps it so: its clock stands.
func TestAResumeThatIsRefusedLeavesItSuspended(t *testing.T) {
	const message = "Job etl-0 cannot be resumed, trying again: frozen until 6"
	s := within(100, "extract")(t).after(40 * time.Second).edit(suspend)
	s.told, s.refuse = nil, frozen(sequence.Unavailable)
	s.edit(resume).want("Suspended", "False JobUpdateFailed: "+message).wantEvents("JobUpdateFailed: " + message)
	s.after(time.Hour).work().wantEvents()
	if s.sj.Status.ActiveSeconds != 40 || s.sj.Status.ActiveSince != nil {
		t.Errorf("its clock runs: %d s, since %v", s.sj.Status.ActiveSeconds, s.sj.Status.ActiveSince)
	}
	s.refuse = nil
	s.work().want("Running", "True JobStarted: Started job 0").wantDeadline("etl-0", 60).
		wantEvents("Resumed: Job 0 (extract) is no longer suspended")
}

func TestADeadlineThatIsRefusedIsTold(t *testing.T) {
	const message = "Job etl-0 cannot be given its deadline, trying again: frozen until 6"
	s := tell(t, "extract").work()
	s.told, s.refuse = nil, frozen(sequence.Invalid)
	s.edit(deadline(100)).want("Running", "True JobUpdateFailed: "+message).wantEvents("JobUpdateFailed: " + message)
	s.refuse = nil
	s.work().want("Running", "True JobStarted: Started job 0").wantDeadline("etl-0", 100)
}

// Somebody changed the Job just now, or it is gone: nothing is told of that, the next turn looks again.
func TestAChangeThatCameTooLateIsDecidedAnew(t *testing.T) {
	for _, class := range []sequence.Class{sequence.Conflict, sequence.Gone} {
		s := tell(t, "extract").work()
		s.told, s.refuse = nil, frozen(class)
		s.edit(suspend).want("Running", "True JobStarted: Started job 0").wantEvents()
		if !s.last.Last.TryAgain || slices.Contains(s.last.Requests, "store status") {
			t.Errorf("%s: %q, which ends with %+v", class, s.last.Requests, s.last.Last)
		}
	}
}

// A policy may let none of our labels pass, from the first: the Job is known by its controller.
func TestAJobThatIsStoredWithoutOurLabelsIsFollowed(t *testing.T) {
	sj := newSequence("extract", "load")
	api := &server{}
	var facts sequence.Facts
	play := func(sj *v1alpha1.SequentialJob, at time.Time) {
		facts = sequence.Facts{Now: at, SequentialJob: sj}
		for range 30 {
			a := sequence.Next(facts)
			if a.Request == sequence.EndTurn {
				return
			}
			answer := api.answer(&facts, a)
			for _, job := range api.jobs {
				job.Labels = nil
			}
			facts = facts.With(a, answer)
		}
		t.Fatal("a turn without end")
	}
	play(sj, now)
	if got := conditions(&facts.SequentialJob.Status)["Progressing"]; got != "True JobStarted: Started job 0" {
		t.Errorf("Progressing is %q", got)
	}
	complete(api.jobs[0])
	play(facts.SequentialJob, now.Add(time.Minute))
	if len(api.jobs) != 2 || len(facts.SequentialJob.Status.Steps) != 2 {
		t.Errorf("%d Jobs, steps %v", len(api.jobs), facts.SequentialJob.Status.Steps)
	}
}
