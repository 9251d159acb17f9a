package sequence_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// flaw is a rule taken away, or a demand that users do not mind, and the harm that has to come of it.
type flaw struct {
	scenario
	harm string
}

// Each of these takes one rule of the protocol away. A check that cannot fail proves nothing.
var mutations = []flaw{
	{scenario{name: "freshness: the cache decides about a create", steps: 1, controllers: 2, budget: budget{JobDeletions: 1},
		without: func(r *rules) { r.trustCache = true }}, "Job etl-0 is created a second time"},
	{scenario{name: "the name is a lock: every Job has a name of its own", steps: 1, controllers: 2,
		without: nameAtRandom}, "step 0 is started again although"},
	{scenario{name: "recorded completion: completed steps are judged by their Jobs again", steps: 2, controllers: 1,
		budget: budget{JobDeletions: 1}, without: forgetSteps}, "Job etl-0 is created a second time"},
	{scenario{name: "ownership: a Job is known by its name, not by its controller's UID", steps: 2, controllers: 1,
		budget: budget{Deletions: 1, Creations: 1}, without: ignoreOwner}, "step 1 is started before step 0 was complete"},
	{scenario{name: "grant before create: a retry is created and recorded in one write", steps: 1, retries: 1, controllers: 1,
		budget: budget{Failures: 1, Lowerings: 1}, without: grantAndCreate}, "the sequence ends while Job etl-0-r1 runs"},
	{scenario{name: "pods first: a retry does not wait for the pods of the last attempt", steps: 1, retries: 1, controllers: 1,
		budget: budget{JobDeletions: 1}, without: ignorePods}, "is created while a pod of Job etl-0 runs"},
	{scenario{name: "proof: the cache says that the next step's Job does not exist", steps: 2, controllers: 2,
		budget: budget{Edits: 1}, without: doubtProof}, "the sequence ends while Job etl-1 runs"},
	{scenario{name: "live pods: the watch says that the pod has succeeded", steps: 2, controllers: 1, byPod: true,
		budget: budget{Thefts: 1}, without: trustWatch}, "Job etl-1 is created while Job etl-0 runs"},
	{scenario{name: "tracked pods: the next step starts on a pod that may vanish before it is counted", steps: 2, controllers: 1, byPod: true,
		budget: budget{Thefts: 1}, without: ignoreTracking}, "several Jobs run at once: etl-0 and etl-1"},
	{scenario{name: "suspended is suspended: a Job that was suspended is advanced by its pod once it is resumed", steps: 2, controllers: 1,
		byPod: true, careless: whileOneWorks, budget: budget{Suspensions: 1}, without: keepLabel}, "several Jobs run at once: etl-0 and etl-1"},
	{scenario{name: "started counts first: a Job that has failed fails its step, whatever was started on its pod's success", steps: 2,
		controllers: 2, byPod: true, budget: budget{Failures: 1}, careless: whileOneWorks, without: doubtProof}, "the sequence ends while Job etl-1 runs"},
}

// Each of these lets users do what the documentation asks them not to do.
var carelessness = []flaw{
	{scenario{name: "a Job comes and goes while a former leader is about to create it", steps: 1, controllers: 2,
		budget: budget{JobDeletions: 1}, careless: []demand{nameFree}}, "Job etl-0 is created a second time"},
	{scenario{name: "a SequentialJob is deleted while a former leader is about to create a Job of its own", steps: 1, controllers: 2,
		budget: budget{Deletions: 1}, careless: []demand{nobodyCreates}}, "Job etl-0 is created after its SequentialJob was deleted"},
	{scenario{name: "a Job is deleted before its start is recorded", steps: 1, controllers: 1,
		budget: budget{JobDeletions: 1}, careless: []demand{startRecorded}}, "Job etl-0 is created a second time"},
	{scenario{name: "the Job of a step that was edited away is deleted in the background", steps: 1, controllers: 1,
		budget: budget{Edits: 1}, careless: []demand{nobodyCreates, inForeground}}, "Job etl-0 is created while a pod of Job etl-0 runs"},
	{scenario{name: "a complete Job is deleted before that is recorded, while two controllers work", steps: 2, retries: 1, controllers: 2,
		budget: budget{JobDeletions: 1}, careless: []demand{viewsAgree}}, "Job etl-0-r1 is created while Job etl-1 runs"},
	{scenario{name: "a finalizer is taken off a pod on whose success a step was started", steps: 2, controllers: 1, byPod: true,
		budget: budget{Thefts: 1}, careless: []demand{podTracked}}, "several Jobs run at once: etl-0 and etl-1"},
}

func TestEachRuleOfTheProtocolIsNeeded(t *testing.T) {
	for _, flaw := range slices.Concat(mutations, finallyMutations) {
		t.Run(flaw.name, func(t *testing.T) { expectHarm(t, &flaw) })
	}
}

func TestEachDemandOnUsersIsNeeded(t *testing.T) {
	for _, flaw := range slices.Concat(carelessness, finallyCarelessness) {
		t.Run(flaw.name, func(t *testing.T) { expectHarm(t, &flaw) })
	}
}

func expectHarm(t *testing.T, flaw *flaw) {
	t.Helper()
	const maxStates = 1_000_000
	began := time.Now()
	s := newSearch(flaw.scenario)
	if err := s.seek(flaw.harm, maxStates); err != nil {
		t.Fatal(err)
	}
	if flaw.harm == noWayToAnEnd && s.problem == "" {
		if s.trace = s.stuck(); s.trace != nil {
			s.problem = flaw.harm
		}
	}
	if s.problem == "" {
		t.Fatalf("%d states, and none in which %q: the model would not notice that this is missing", len(s.states), flaw.harm)
	}
	t.Logf("%s, after %d moves (%d states, %v):\n%s", s.problem, len(s.trace), len(s.states), time.Since(began).Round(time.Millisecond),
		strings.Join(s.trace, "\n"))
}

// nameAtRandom names Jobs as generateName does. Labels would tell whose they are, so they are found nevertheless.
func nameAtRandom(r *rules) {
	send := r.send
	r.send = func(w *world, f *sequence.Facts, a sequence.Action) sequence.Answer {
		if a.Request == sequence.CreateJob {
			a.Job = a.Job.DeepCopy()
			a.Job.Name += "~" + strconv.Itoa(len(w.ledger))
		}
		return send(w, f, a)
	}
	onJobs(r, func(_ *v1alpha1.SequentialJob, job *batchv1.Job) { job.Name, _, _ = strings.Cut(job.Name, "~") })
}

// ignoreOwner takes over whatever has the name of a step's Job.
func ignoreOwner(r *rules) {
	r.jobsOf = func(cached map[string]*batchv1.Job, _ *v1alpha1.SequentialJob) []*batchv1.Job {
		var out []*batchv1.Job
		for _, name := range sortedNames(cached) {
			out = append(out, cached[name])
		}
		return out
	}
	onJobs(r, func(sj *v1alpha1.SequentialJob, job *batchv1.Job) {
		job.OwnerReferences = sequence.NewJob(sj, 0, 0).OwnerReferences
	})
}

// onJobs changes how Next sees the Jobs.
func onJobs(r *rules, change func(*v1alpha1.SequentialJob, *batchv1.Job)) {
	next := r.next
	r.next = func(f sequence.Facts) sequence.Action {
		if f.SequentialJob == nil || !f.SequentialJob.DeletionTimestamp.IsZero() {
			return next(f)
		}
		see := func(job *batchv1.Job) *batchv1.Job {
			job = job.DeepCopy()
			change(f.SequentialJob, job)
			return job
		}
		var jobs []*batchv1.Job
		for _, job := range f.Jobs {
			jobs = append(jobs, see(job))
		}
		read := map[string]*batchv1.Job{}
		for name, job := range f.ReadJobs {
			if job != nil {
				job = see(job)
				name = job.Name
			} else if read[name] != nil {
				continue
			}
			read[name] = job
		}
		f.Jobs, f.ReadJobs = jobs, read
		return next(f)
	}
}

// forgetSteps lets the Jobs alone tell how far a sequence that has not ended is.
func forgetSteps(r *rules) {
	onSteps(r, func(sj *v1alpha1.SequentialJob) { sj.Status.Steps = nil })
}

// onSteps changes how Next sees a SequentialJob that has not ended.
func onSteps(r *rules, change func(*v1alpha1.SequentialJob)) {
	next := r.next
	r.next = func(f sequence.Facts) sequence.Action {
		if f.SequentialJob != nil && f.Stored == nil && !sequence.Finished(&f.SequentialJob.Status) {
			f.SequentialJob = f.SequentialJob.DeepCopy()
			change(f.SequentialJob)
		}
		return next(f)
	}
}

// grantAndCreate goes on from a grant at once.
func grantAndCreate(r *rules) {
	next := r.next
	r.next = func(f sequence.Facts) sequence.Action {
		a := next(f)
		if a.Request != sequence.StoreStatus || !a.Then.AtOnce {
			return a
		}
		f.SequentialJob = f.SequentialJob.DeepCopy()
		f.SequentialJob.Status = *a.Status.DeepCopy()
		return next(f)
	}
}

// ignorePods does not wait for them.
func ignorePods(r *rules) {
	for _, request := range []sequence.Request{sequence.ListPods, sequence.ListJobPods} {
		onAnswer(r, request, func(*sequence.Facts, sequence.Action) bool { return true }, sequence.Answer{})
	}
}

// trustWatch takes the word of the watch for it that the pod has succeeded.
func trustWatch(r *rules) {
	onAnswerOf(r, sequence.ListJobPods, func(_ *world, f *sequence.Facts, a sequence.Action, answer *sequence.Answer) {
		if f.PodSucceeded {
			answer.Pods = []corev1.Pod{succeededPod(a.Job)}
		}
	})
}

// ignoreTracking takes each pod for one that stays until it is counted.
func ignoreTracking(r *rules) {
	onAnswerOf(r, sequence.ListJobPods, func(_ *world, _ *sequence.Facts, _ sequence.Action, answer *sequence.Answer) {
		for i := range answer.Pods {
			answer.Pods[i].Finalizers = []string{batchv1.JobTrackingFinalizer}
		}
	})
}

// keepLabel leaves the label on a Job that is suspended.
func keepLabel(r *rules) {
	send := r.send
	r.send = func(w *world, f *sequence.Facts, a sequence.Action) sequence.Answer {
		if a.Request == sequence.ChangeJob {
			change := *a.Change
			change.Labels = maps.Clone(change.Labels)
			delete(change.Labels, v1alpha1.AdvanceOnLabel)
			a.Change = &change
		}
		return send(w, f, a)
	}
}

// onAnswerOf changes the answers to some requests.
func onAnswerOf(r *rules, request sequence.Request, change func(*world, *sequence.Facts, sequence.Action, *sequence.Answer)) {
	send := r.send
	r.send = func(w *world, f *sequence.Facts, a sequence.Action) sequence.Answer {
		answer := send(w, f, a)
		if a.Request == request {
			change(w, f, a, &answer)
		}
		return answer
	}
}

// doubtProof takes the cache's word for it that a Job does not exist.
func doubtProof(r *rules) {
	onAnswer(r, sequence.ReadJob, func(f *sequence.Facts, a sequence.Action) bool {
		isCached := slices.ContainsFunc(f.Jobs, func(job *batchv1.Job) bool { return job.Name == a.Name })
		return !isCached && f.Answers[sequence.CreateJob].Class != sequence.NameTaken
	}, sequence.Answer{Refusal: sequence.Refusal{Class: sequence.Gone}})
}

// onAnswer answers some requests without sending them.
func onAnswer(r *rules, request sequence.Request, instead func(*sequence.Facts, sequence.Action) bool, answer sequence.Answer) {
	send := r.send
	r.send = func(w *world, f *sequence.Facts, a sequence.Action) sequence.Answer {
		if a.Request == request && instead(f, a) {
			return answer
		}
		return send(w, f, a)
	}
}
