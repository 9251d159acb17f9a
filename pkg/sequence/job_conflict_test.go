package sequence_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func TestAJobThatHasTheNameOfTheNextStep(t *testing.T) {
	const waits = "step 1 (transform) starts once that Job is deleted"
	owner := func(kind, name string) jobOption {
		return func(job *batchv1.Job) {
			job.OwnerReferences[0].Kind, job.OwnerReferences[0].Name, job.OwnerReferences[0].UID = kind, name, "uid-other"
		}
	}
	// isTold says that an event tells of it: not of what passes by itself.
	for name, tc := range map[string]struct {
		change  jobOption
		message string
		isTold  bool
	}{
		"nobody's Job": {
			func(job *batchv1.Job) { job.OwnerReferences = nil },
			"Job etl-1 exists already and belongs to somebody else: " + waits, true,
		},
		"another controller's Job": {
			owner("CronJob", "nightly"), "Job etl-1 exists already and belongs to CronJob nightly: " + waits, true,
		},
		"another SequentialJob's Job": {
			owner("SequentialJob", "other"), "Job etl-1 exists already and belongs to SequentialJob other: " + waits, true,
		},
		"the Job of a former SequentialJob of this name": {
			owner("SequentialJob", "etl"), "Waiting until Job etl-1 of the deleted SequentialJob of this name is removed", false,
		},
		"the Job of a step that was edited away": {
			func(job *batchv1.Job) { job.Labels[v1alpha1.StepNameLabel] = "con\nvert" },
			`Job etl-1 runs step "con vert", which was edited away just as it started: ` + waits, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			sj := nthRuns(0)
			turn := turnOf(sj, []*batchv1.Job{jobOf(sj, 0, complete), jobOf(sj, 1, tc.change)}, now)
			want := outcome{
				Finalizer: true, Phase: v1alpha1.SequentialJobRunning, Reason: "JobNameConflict",
				Steps:  []string{"etl-0 uid-job-0 Completed"},
				Events: []string{"Normal JobCompleted: Job 0 completed successfully"},
			}
			if tc.isTold {
				want.Events = append(want.Events, "Warning JobNameConflict: "+tc.message)
			}
			if diff := cmp.Diff(want, outcomeOf(turn)); diff != "" {
				t.Errorf("unexpected outcome (-want +got):\n%s", diff)
			}
			if got := conditions(&turn.Status)["Progressing"]; got != "True JobNameConflict: "+tc.message {
				t.Errorf("Progressing is %q", got)
			}
			if !turn.Last.TryAgain {
				t.Error("it is not tried again")
			}
		})
	}
}
