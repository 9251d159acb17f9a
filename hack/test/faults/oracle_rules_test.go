//go:build integration

package faults_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// An oracle that never complains proves nothing: this one has to see each rule broken in a log that breaks it.
func TestTheOracleSeesEveryRuleBroken(t *testing.T) {
	for name, test := range map[string]struct {
		log  []string
		want []string // substrings of one violation each
	}{
		"a run without a fault": {log: []string{
			created(1, "u", "a-0", 0, "j0"), ended(2, "u", "a-0", 0, "j0", batchv1.JobComplete),
			created(3, "u", "a-1", 1, "j1"), ended(4, "u", "a-1", 1, "j1", batchv1.JobFailed),
			created(5, "u", "a-1-r1", 1, "j2"), ended(6, "u", "a-1-r1", 1, "j2", batchv1.JobComplete),
			created(7, "u", "a-2", 2, "j3"), sequenceDeleted(8, "u"),
		}},
		"two sequences that share nothing but a namespace": {log: []string{
			created(1, "u", "a-0", 0, "j0"), created(2, "v", "b-0", 0, "k0"), sequenceDeleted(3, "v"),
			ended(4, "u", "a-0", 0, "j0", batchv1.JobComplete), created(5, "u", "a-1", 1, "j1"),
		}},
		"one created again under the same name": {log: []string{
			created(1, "u", "a-0", 0, "j0"), sequenceDeleted(2, "u"), jobDeleted(3, "a-0"), created(4, "v", "a-0", 0, "k0"),
		}},
		"a deleted Job's step is retried": {log: []string{
			created(1, "u", "a-0", 0, "j0"), jobDeleted(2, "a-0"), created(3, "u", "a-0-r1", 0, "j1"),
		}},
		"a create that was refused": {log: []string{
			created(1, "u", "a-0", 0, "j0"), refused(created(2, "u", "a-0", 0, "j1")), refused(created(2, "u", "a-1", 1, "j1")),
		}},
		"a dry run": {log: []string{dryRun(created(1, "u", "a-0", 0, "j0")), created(2, "u", "a-0", 0, "j1")}},
		"the lines of an answer come in another order": {log: []string{
			ended(2, "u", "a-0", 0, "j0", batchv1.JobComplete), created(3, "u", "a-1", 1, "j1"), created(1, "u", "a-0", 0, "j0"),
		}},
		"somebody else's Jobs": {log: []string{
			strings.ReplaceAll(created(1, "u", "a-1", 1, "j0"), v1alpha1.SequentialJobKind, "CronJob"), created(2, "u", "a-0", 0, "j1"),
		}},

		"a step on the success of the pod of the one before it": {log: []string{
			byPod(created(1, "u", "a-0", 0, "j0")), podIs(2, "p0", "j0", corev1.PodPending), podIs(3, "p0", "j0", corev1.PodFailed),
			podIs(4, "p1", "j0", corev1.PodPending), podIs(5, "p1", "j0", corev1.PodSucceeded), byPod(created(6, "u", "a-1", 1, "j1")),
			podIs(7, "p2", "j1", corev1.PodPending), ended(8, "u", "a-0", 0, "j0", batchv1.JobFailed),
		}},
		"a step on the success of a pod that nobody asked for": {
			log:  []string{created(1, "u", "a-0", 0, "j0"), podIs(2, "p0", "j0", corev1.PodSucceeded), created(3, "u", "a-1", 1, "j1")},
			want: []string{"was created although a-0 never was Complete"},
		},
		"a step beside the pod of the one before it": {
			log: []string{byPod(created(1, "u", "a-0", 0, "j0")), podIs(2, "p0", "j0", corev1.PodPending), created(3, "u", "a-1", 1, "j1"),
				podIs(4, "p0", "j0", corev1.PodSucceeded), ended(5, "u", "a-0", 0, "j0", batchv1.JobComplete)},
			want: []string{"was created while pod p0 of a-0 ran"},
		},
		"a step beside another pod of the one before it": {
			log: []string{byPod(created(1, "u", "a-0", 0, "j0")), podIs(2, "p0", "j0", corev1.PodPending), podIs(3, "p1", "j0", corev1.PodPending),
				podIs(4, "p0", "j0", corev1.PodSucceeded), created(5, "u", "a-1", 1, "j1")},
			want: []string{"was created while pod p1 of a-0 ran"},
		},
		"a pod of a step that is over": {
			log: []string{byPod(created(1, "u", "a-0", 0, "j0")), podIs(2, "p0", "j0", corev1.PodPending), podIs(3, "p0", "j0", corev1.PodSucceeded),
				created(4, "u", "a-1", 1, "j1"), podIs(5, "p1", "j0", corev1.PodPending)},
			want: []string{"was created before pod p1 of a-0"},
		},
		"a step on the failure of a pod": {
			log:  []string{byPod(created(1, "u", "a-0", 0, "j0")), podIs(2, "p0", "j0", corev1.PodFailed), created(3, "u", "a-1", 1, "j1")},
			want: []string{"was created although no pod of a-0 had succeeded"},
		},
		"a name twice": {
			log:  []string{created(1, "u", "a-0", 0, "j0"), jobDeleted(2, "a-0"), created(3, "u", "a-0", 0, "j1")},
			want: []string{"a-0 (revision 3, asked for at 1970-01-01T00:00:03Z) was created twice, first in revision 1"},
		},
		"a step before its predecessor is complete": {
			log: []string{created(1, "u", "a-0", 0, "j0"), created(2, "u", "a-1", 1, "j1"),
				ended(3, "u", "a-0", 0, "j0", batchv1.JobComplete)},
			want: []string{"was created before a-0 was Complete in revision 3"},
		},
		"a step whose predecessor never completes": {
			log:  []string{created(1, "u", "a-0", 0, "j0"), ended(2, "u", "a-0", 0, "j0", batchv1.JobFailed), created(3, "u", "a-1", 1, "j1")},
			want: []string{"was created although a-0 never was Complete"},
		},
		"a step whose predecessor only fulfils its success criteria": {
			log: []string{created(1, "u", "a-0", 0, "j0"), ended(2, "u", "a-0", 0, "j0", batchv1.JobSuccessCriteriaMet),
				created(3, "u", "a-1", 1, "j1")},
			want: []string{"was created although a-0 never was Complete"},
		},
		"a step after one that another sequence completed": {
			log:  []string{created(1, "v", "b-0", 0, "k0"), ended(2, "v", "b-0", 0, "k0", batchv1.JobComplete), created(3, "u", "a-1", 1, "j1")},
			want: []string{"was created although step 0 never started"},
		},
		"a step whose predecessor's retry still runs": {
			log: []string{created(1, "u", "a-0", 0, "j0"), ended(2, "u", "a-0", 0, "j0", batchv1.JobFailed),
				created(3, "u", "a-0-r1", 0, "j1"), created(4, "u", "a-1", 1, "j2")},
			want: []string{"was created although a-0-r1 never was Complete"},
		},
		"a retry beside the attempt before it": {
			log: []string{created(1, "u", "a-0", 0, "j0"), created(2, "u", "a-0-r1", 0, "j1"),
				ended(3, "u", "a-0", 0, "j0", batchv1.JobFailed), jobDeleted(4, "a-0")},
			want: []string{"a-0-r1 (revision 2, asked for at 1970-01-01T00:00:02Z) was created although a-0 had neither failed nor been deleted"},
		},
		"a retry of a completed step": {
			log: []string{created(1, "u", "a-0", 0, "j0"), ended(2, "u", "a-0", 0, "j0", batchv1.JobComplete),
				created(3, "u", "a-0-r1", 0, "j1")},
			want: []string{"was created although a-0 had neither failed nor been deleted"},
		},
		"a completed step after a later one": {
			log: []string{created(1, "u", "a-0", 0, "j0"), ended(2, "u", "a-0", 0, "j0", batchv1.JobComplete),
				created(3, "u", "a-1", 1, "j1"), jobDeleted(4, "a-0"), created(5, "u", "a-0-r1", 0, "j2")},
			want: []string{"was created after a-1 of a later step"},
		},
		"a Job after the deletion": {
			log: []string{created(1, "u", "a-0", 0, "j0"), ended(2, "u", "a-0", 0, "j0", batchv1.JobComplete),
				sequenceDeleted(3, "u"), created(4, "u", "a-1", 1, "j1")},
			want: []string{"was created after its SequentialJob was deleted at 1970-01-01T00:00:03Z"},
		},
		"a Job after a deletion that took effect at once": {
			log: []string{strings.Replace(sequenceDeleted(1, "u"), `"metadata":{"uid":"u"}`, `"details":{"uid":"u"}`, 1),
				created(2, "u", "a-0", 0, "j0")},
			want: []string{"was created after its SequentialJob was deleted at 1970-01-01T00:00:01Z"},
		},
		"every rule at once": {
			log: []string{created(1, "u", "a-1", 1, "j0"), sequenceDeleted(2, "u"), created(3, "u", "a-0", 0, "j1"), created(4, "u", "a-0", 0, "j2")},
			want: []string{"step 0 never started", "later step", "after its SequentialJob", "created twice", "later step",
				"after its SequentialJob"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantViolations(t, test.log, test.want...)
		})
	}
}

// wantViolations checks that the oracle finds just these in a log, by a substring of each.
func wantViolations(t *testing.T, log []string, wanted ...string) {
	t.Helper()
	got := historyOf(t, log...).violations()
	if len(got) != len(wanted) {
		t.Fatalf("violations:\n%s\nwant %d", strings.Join(got, "\n"), len(wanted))
	}
	for i, want := range wanted {
		if !strings.Contains(got[i], want) {
			t.Errorf("violation %q, want %q", got[i], want)
		}
	}
}

// What the log could not tell, because the API server was killed before it wrote the line, a watch may have seen.
func TestTheOracleUsesWhatAWatchHasSeen(t *testing.T) {
	lines := []string{created(1, "u", "a-0", 0, "j0"), created(3, "u", "a-1", 1, "j1")}
	h := historyOf(t, lines...)
	if got := h.violations(); len(got) != 1 {
		t.Errorf("violations %q, want one", got)
	}
	h.add(stepJob(2, "u", "a-0", 0, "j0", batchv1.JobComplete))
	if got := h.violations(); len(got) != 0 {
		t.Errorf("violations %q, want none: a watch saw a-0 complete", got)
	}
	h.add(stepJob(4, "u", "a-1", 1, "j2"))
	if got := h.violations(); len(got) != 1 || !strings.Contains(got[0], "created twice") {
		t.Errorf("violations %q, want one: a watch saw another a-1", got)
	}
}

func historyOf(t *testing.T, lines ...string) *history {
	t.Helper()
	h := newHistory()
	for _, line := range lines {
		event := &auditEvent{}
		framework.Must(t, json.Unmarshal([]byte(line), event))
		framework.Must(t, event.tell(h))
	}
	return h
}

func stepJob(rv int, owner, name string, step int, uid string, conditions ...batchv1.JobConditionType) *batchv1.Job {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID(uid), ResourceVersion: fmt.Sprint(rv),
		Labels: map[string]string{v1alpha1.StepIndexLabel: fmt.Sprint(step)},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.SequentialJobKind, UID: types.UID(owner), Controller: ptr.To(true),
		}},
	}}
	for _, condition := range conditions {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: condition, Status: corev1.ConditionTrue})
	}
	return job
}

// auditLine is a line as the API server writes it, at as many seconds as its revision.
func auditLine(rv int, verb, resource, subresource, name string, answer any) string {
	line, err := json.Marshal(map[string]any{
		"kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", "verb": verb, "requestURI": "/apis/somewhere",
		"objectRef":      map[string]string{"resource": resource, "subresource": subresource, "namespace": "ns", "name": name},
		"responseStatus": map[string]int{"code": 200}, "responseObject": answer,
		"requestReceivedTimestamp": metav1.NewMicroTime(time.Unix(int64(rv), 0).UTC()),
		"stageTimestamp":           metav1.NewMicroTime(time.Unix(int64(rv), 0).UTC()),
	})
	if err != nil {
		panic(err)
	}
	return string(line)
}

func created(rv int, owner, name string, step int, uid string) string {
	return auditLine(rv, "create", "jobs", "", name, stepJob(rv, owner, name, step, uid))
}

func ended(rv int, owner, name string, step int, uid string, how batchv1.JobConditionType) string {
	return auditLine(rv, "update", "jobs", "status", name, stepJob(rv, owner, name, step, uid, how))
}

// byPod is a line about a Job whose pod's success is the end of its step.
func byPod(line string) string {
	return strings.ReplaceAll(line, `"labels":{`, fmt.Sprintf(`"labels":{%q:"PodSucceeded",`, v1alpha1.AdvanceOnLabel))
}

// podIs is a line about a pod: its creation, if it is pending.
func podIs(rv int, name, job string, phase corev1.PodPhase) string {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), ResourceVersion: fmt.Sprint(rv), OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "batch/v1", Kind: "Job", UID: types.UID(job), Controller: ptr.To(true)},
	}}}
	pod.Status.Phase = phase
	if phase == corev1.PodPending {
		return auditLine(rv, "create", "pods", "", name, pod)
	}
	return auditLine(rv, "patch", "pods", "status", name, pod)
}

func jobDeleted(rv int, name string) string {
	return auditLine(rv, "delete", "jobs", "", name, map[string]string{"kind": "Status"})
}

func sequenceDeleted(rv int, uid string) string {
	return auditLine(rv, "delete", "sequentialjobs", "", "a", map[string]any{"metadata": map[string]string{"uid": uid}})
}

func refused(line string) string { return strings.Replace(line, `"code":200`, `"code":409`, 1) }

func dryRun(line string) string {
	return strings.Replace(line, "/apis/somewhere", "/apis/somewhere?dryRun=All", 1)
}
