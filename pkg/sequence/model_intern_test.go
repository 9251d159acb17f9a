package sequence_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// interner makes one of equal objects, so that states can be compared by addresses. The version of an object is its
// content: a write that was decided on an equal object is the write that would be decided on this one, so no process can
// tell the difference. This is what keeps the space of states finite.
type interner struct {
	sjs     map[string]*v1alpha1.SequentialJob
	jobs    map[string]*batchv1.Job
	actions map[string]internedAction
}

func newInterner() *interner {
	return &interner{
		sjs: map[string]*v1alpha1.SequentialJob{}, jobs: map[string]*batchv1.Job{}, actions: map[string]internedAction{},
	}
}

func (n *interner) sequentialJob(sj *v1alpha1.SequentialJob) *v1alpha1.SequentialJob {
	sj.ResourceVersion = ""
	sortConditions(&sj.Status)
	key := content(sj)
	if known, ok := n.sjs[key]; ok {
		return known
	}
	sj.ResourceVersion = "s" + strconv.Itoa(len(n.sjs))
	n.sjs[key] = sj
	return sj
}

func (n *interner) job(job *batchv1.Job) *batchv1.Job {
	job.ResourceVersion = ""
	key := content(job)
	if known, ok := n.jobs[key]; ok {
		return known
	}
	job.ResourceVersion = "j" + strconv.Itoa(len(n.jobs))
	n.jobs[key] = job
	return job
}

// action makes one of equal actions that store a status. It leaves out the events: nothing that is decided depends on them.
func (n *interner) action(a sequence.Action) sequence.Action {
	a.Events = nil
	status := a.Status.DeepCopy()
	sortConditions(status)
	a.Status = status
	key := content(a)
	if known, ok := n.actions[key]; ok {
		return known.Action
	}
	n.actions[key] = internedAction{a, len(n.actions)}
	return a
}

// id numbers an action that was returned by action.
func (n *interner) id(a sequence.Action) int { return n.actions[content(a)].id }

type internedAction struct {
	sequence.Action
	id int
}

// sortConditions brings them into one order. They are a map by type.
func sortConditions(status *v1alpha1.SequentialJobStatus) {
	slices.SortFunc(status.Conditions, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
}

func content(object any) string {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return string(text)
}
