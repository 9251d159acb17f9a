//go:build integration

package faults_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestTheOracleSeesEveryRuleOfFinallyBroken(t *testing.T) {
	failed := []string{created(1, "u", "a-0", 0, "j0"), ended(2, "u", "a-0", 0, "j0", batchv1.JobFailed)}
	stored := append(slices.Clone(failed), statusStored(3, "u", true), ofFinally(created(4, "u", "a-f0", 0, "f0")))
	for name, test := range map[string]struct {
		log  []string
		want []string
	}{
		"a run without a fault": {log: append(slices.Clone(stored),
			ofFinally(ended(5, "u", "a-f0", 0, "f0", batchv1.JobFailed)), ofFinally(created(6, "u", "a-f1", 1, "f1")),
			ofFinally(ended(7, "u", "a-f1", 1, "f1", batchv1.JobComplete)), statusStored(8, "u", true), statusStored(9, "u", false),
			created(10, "u", "a-0-r1", 0, "j1"), ended(11, "u", "a-0-r1", 0, "j1", batchv1.JobComplete), statusStored(12, "u", true),
			ofFinally(created(13, "u", "a-f0-r1", 0, "f2")))},
		"a Job of it that was deleted": {log: append(slices.Clone(stored), jobDeleted(5, "a-f0"), ofFinally(created(6, "u", "a-f1", 1, "f1")))},
		"on the success of a pod": {log: []string{
			byPod(created(1, "u", "a-0", 0, "j0")), podIs(2, "p0", "j0", corev1.PodPending), podIs(3, "p0", "j0", corev1.PodSucceeded),
			statusStored(4, "u", true), ofFinally(created(5, "u", "a-f0", 0, "f0")),
		}},
		"the status of another one": {log: []string{created(1, "v", "b-0", 0, "k0"), statusStored(2, "u", true), refused(statusStored(3, "v", true)),
			ended(4, "v", "b-0", 0, "k0", batchv1.JobComplete), created(5, "v", "b-1", 1, "k1")}},

		"no result": {
			log:  append(slices.Clone(failed), statusStored(3, "u", false), ofFinally(created(4, "u", "a-f0", 0, "f0"))),
			want: []string{"a-f0 (revision 4, asked for at 1970-01-01T00:00:04Z) was created although the status had no result of the steps"},
		},
		"a result that comes too late": {
			log:  append(slices.Clone(failed), ofFinally(created(4, "u", "a-f0", 0, "f0")), statusStored(5, "u", true)),
			want: []string{"was created although the status had no result of the steps"},
		},
		"a result that was refused": {
			log:  append(slices.Clone(failed), refused(statusStored(3, "u", true)), ofFinally(created(4, "u", "a-f0", 0, "f0"))),
			want: []string{"was created although the status had no result of the steps"},
		},
		"beside a step": {
			log:  []string{created(1, "u", "a-0", 0, "j0"), statusStored(2, "u", true), ofFinally(created(3, "u", "a-f0", 0, "f0"))},
			want: []string{"was created while a-0 of a step had not ended"},
		},
		"beside the pod of a step": {
			log: []string{byPod(created(1, "u", "a-0", 0, "j0")), podIs(2, "p0", "j0", corev1.PodPending), statusStored(3, "u", true),
				ofFinally(created(4, "u", "a-f0", 0, "f0"))},
			want: []string{"was created while pod p0 of a-0 ran"},
		},
		"twice": {
			log:  append(slices.Clone(stored), jobDeleted(5, "a-f0"), ofFinally(created(6, "u", "a-f0", 0, "f1"))),
			want: []string{"was created twice, first in revision 4"},
		},
		"beside each other": {
			log:  append(slices.Clone(stored), ofFinally(created(5, "u", "a-f1", 1, "f1")), ofFinally(ended(6, "u", "a-f0", 0, "f0", batchv1.JobComplete))),
			want: []string{"was created while a-f0 of spec.finally had not ended"},
		},
		"one without the one before it": {
			log:  append(slices.Clone(failed), statusStored(3, "u", true), ofFinally(created(4, "u", "a-f1", 1, "f1"))),
			want: []string{"was created although container 0 of spec.finally never started"},
		},
		"one of the next end without the one before it": {
			log: append(slices.Clone(stored), ofFinally(ended(5, "u", "a-f0", 0, "f0", batchv1.JobComplete)),
				ofFinally(created(6, "u", "a-f1-r1", 1, "f1"))),
			want: []string{"was created although container 0 of spec.finally never started"},
		},
		"a step after the end": {
			log: append(slices.Clone(stored), ofFinally(ended(5, "u", "a-f0", 0, "f0", batchv1.JobComplete)),
				created(6, "u", "a-0-r1", 0, "j1")),
			want: []string{"was created although the steps had ended, as stored in revision 3"},
		},
		"a step beside it": {
			log:  append(slices.Clone(stored), statusStored(5, "u", false), created(6, "u", "a-0-r1", 0, "j1")),
			want: []string{"was created while a-f0 of spec.finally had not ended"},
		},
		"after the deletion": {
			log: append(slices.Clone(stored), ofFinally(ended(5, "u", "a-f0", 0, "f0", batchv1.JobComplete)), sequenceDeleted(6, "u"),
				ofFinally(created(7, "u", "a-f1", 1, "f1"))),
			want: []string{"was created after its SequentialJob was deleted"},
		},
	} {
		t.Run(name, func(t *testing.T) { wantViolations(t, test.log, test.want...) })
	}
}

// ofFinally makes of a line about the Job of a step one about that of a container of spec.finally.
func ofFinally(line string) string {
	return strings.ReplaceAll(line, v1alpha1.StepIndexLabel, v1alpha1.FinallyIndexLabel)
}

// statusStored is a line about a status with a result of the steps, or without.
func statusStored(rv int, uid string, hasResult bool) string {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: types.UID(uid), ResourceVersion: fmt.Sprint(rv)}}
	if hasResult {
		sj.Status.Result = &v1alpha1.StepsResult{Type: v1alpha1.ResultFailed}
	}
	return auditLine(rv, "update", "sequentialjobs", "status", "a", sj)
}
