package sequence_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// noted gives a Job an activeDeadlineSeconds and the notes about it; 0 stands for none.
func noted(is int64, own, foreign string) jobOption {
	return func(job *batchv1.Job) {
		job.Spec.ActiveDeadlineSeconds = nil
		if is != 0 {
			job.Spec.ActiveDeadlineSeconds = &is
		}
		for key, value := range map[string]string{v1alpha1.DeadlineAnnotation: own, v1alpha1.ForeignDeadlineAnnotation: foreign} {
			delete(job.Annotations, key)
			if value != "" {
				job.Annotations[key] = value
			}
		}
	}
}

// byAnOlderVersion takes the notes that older versions did not make off a Job.
func byAnOlderVersion(job *batchv1.Job) { job.Annotations = nil }

func startedAt(at time.Time) jobOption {
	return func(job *batchv1.Job) { job.Status.StartTime = new(metav1.NewTime(at)) }
}

// The step has run for 100 s, and so has its Job unless the case says otherwise.
func TestTheLowerDeadlineHolds(t *testing.T) {
	start := now.Add(-100 * time.Second)
	notCounting := func(job *batchv1.Job) { job.Status.StartTime = nil }
	resumedOn135 := withCondition(batchv1.JobSuspended, "True", "", "")
	type result struct {
		Seconds      int64 // -1 for none
		Own, Foreign string
		Changed      bool
	}
	const unlimited = -1
	for name, tc := range map[string]struct {
		limit   int64
		options []jobOption
		want    result
	}{
		"nobody wants one":                     {unlimited, nil, result{-1, "", "", false}},
		"a policy's is left alone":             {unlimited, []jobOption{noted(3600, "", "")}, result{3600, "", "", false}},
		"ours is as it should be":              {600, []jobOption{noted(600, "600", "")}, result{600, "600", "", false}},
		"a policy's that is lower":             {600, []jobOption{noted(60, "600", "")}, result{60, "600", "", false}},
		"a policy's that is as low":            {600, []jobOption{noted(600, "", "")}, result{600, "", "", false}},
		"a policy's that is higher":            {600, []jobOption{noted(3600, "600", "")}, result{600, "600", "3600", true}},
		"a policy's that is higher, by itself": {600, []jobOption{noted(3600, "", "")}, result{600, "600", "3600", true}},
		"a policy took it off":                 {600, []jobOption{noted(0, "600", "")}, result{600, "600", "", true}},
		"ours was raised":                      {900, []jobOption{noted(600, "600", "")}, result{900, "900", "", true}},
		"ours was lowered":                     {300, []jobOption{noted(600, "600", "")}, result{300, "300", "", true}},
		"ours was raised above the policy's":   {9999, []jobOption{noted(600, "600", "3600")}, result{3600, "", "", true}},
		"ours was raised, below the policy's":  {900, []jobOption{noted(600, "600", "3600")}, result{900, "900", "3600", true}},
		"ours was taken off":                   {unlimited, []jobOption{noted(600, "600", "")}, result{-1, "", "", true}},
		"ours was taken off, with a policy's":  {unlimited, []jobOption{noted(600, "600", "3600")}, result{3600, "", "", true}},
		"a note that is no number":             {unlimited, []jobOption{noted(600, "600", "many")}, result{-1, "", "", true}},
		"a second more":                        {600, []jobOption{noted(601, "601", "")}, result{601, "601", "", false}},
		"two seconds more":                     {600, []jobOption{noted(602, "602", "")}, result{600, "600", "", true}},
		"the Job started later":                {600, []jobOption{noted(600, "600", ""), startedAt(start.Add(40 * time.Second))}, result{560, "560", "", true}},
		"the Job does not count yet":           {600, []jobOption{noted(500, "500", ""), notCounting}, result{500, "500", "", false}},
		"a policy's, and it does not count yet": {600, []jobOption{noted(3600, "", ""), notCounting},
			result{500, "500", "3600", true}},
		"up to 1.35, resumed: the start is that from before": {600, []jobOption{noted(500, "500", ""), resumedOn135}, result{500, "500", "", false}},
		"of an older version":                                {600, []jobOption{noted(600, "", ""), byAnOlderVersion}, result{600, "", "", false}},
		"of an older version, raised":                        {900, []jobOption{noted(600, "", ""), byAnOlderVersion}, result{900, "900", "", true}},
		"of an older version, with a policy's":               {unlimited, []jobOption{noted(3600, "", ""), byAnOlderVersion}, result{3600, "", "", false}},
	} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			sj.Status.ActiveSince = new(metav1.NewTime(start))
			if tc.limit != unlimited {
				sj.Spec.ActiveDeadlineSeconds = &tc.limit
			}
			job, turn := afterOneChange(t, sj, append([]jobOption{running, startedAt(start)}, tc.options...)...)
			got := result{ptr.Deref(job.Spec.ActiveDeadlineSeconds, -1), job.Annotations[v1alpha1.DeadlineAnnotation],
				job.Annotations[v1alpha1.ForeignDeadlineAnnotation], turn.Change != nil}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("unexpected deadline (-want +got), after %q:\n%s", turn.Requests, diff)
			}
		})
	}
}

// afterOneChange returns the Job of the running step as a turn leaves it, which no later turn may change again.
func afterOneChange(t *testing.T, sj *v1alpha1.SequentialJob, options ...jobOption) (*batchv1.Job, turn) {
	t.Helper()
	api := &server{jobs: []*batchv1.Job{jobOf(sj, 0, options...)}}
	first, _ := api.play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: api.jobs})
	again, _ := api.play(sequence.Facts{Now: now, SequentialJob: sj, Jobs: api.jobs})
	if again.Change != nil {
		t.Errorf("it is changed again: %+v", again.Change)
	}
	return api.job("etl-0"), first
}

// A policy gives each Job a deadline, and lets none be without.
func TestAPolicysDeadlineSurvivesSuspension(t *testing.T) {
	s := tell(t, "extract").work()
	s.job("etl-0").Spec.ActiveDeadlineSeconds = new(int64(3600))
	s.refuse = func(a sequence.Action) sequence.Refusal {
		if a.Change != nil && a.Change.ActiveDeadlineSeconds != nil {
			return sequence.Refusal{Class: sequence.Denied, Message: "every Job needs activeDeadlineSeconds"}
		}
		return sequence.Refusal{}
	}
	s.work().wantDeadline("etl-0", 3600).edit(suspend).after(time.Hour).edit(resume).wantDeadline("etl-0", 3600).
		want("Running", "True JobStarted: Started job 0")
	if isSuspended(s.job("etl-0")) {
		t.Error("it is never resumed")
	}
}

func TestAResumeBringsTheDeadlineInTheSameRequest(t *testing.T) {
	s := within(100, "extract")(t).after(40 * time.Second).edit(suspend).after(time.Hour)
	changes := 0
	s.refuse = func(a sequence.Action) sequence.Refusal {
		if a.Request == sequence.ChangeJob {
			changes++
		}
		return sequence.Refusal{}
	}
	if s.edit(resume).wantDeadline("etl-0", 60); changes != 1 {
		t.Errorf("%d changes of the Job", changes)
	}
}

func TestAForeignDeadlineCountsLikeAnyFailure(t *testing.T) {
	s := tell(t, "extract")
	s.sj.Spec.Retries = new(int32(1))
	s.work()
	s.job("etl-0").Spec.ActiveDeadlineSeconds = new(int64(60))
	s.end("etl-0", outOfTime).wantJobs("etl-0", "etl-0-r1").want("Running", "True JobStarted: Started job 0 again as etl-0-r1")
}
