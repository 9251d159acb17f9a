package sequence_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

// room is what DescribeTooLarge leaves for the status, less 8 KiB for the fields that the API server keeps of who wrote what.
const room = 120 << 10

// longest returns a sequence of as many steps as there may be, whose names are as long as they may be.
func longest(t *testing.T) *story {
	t.Helper()
	var names []string
	for i := range v1alpha1.MaxSteps {
		names = append(names, fmt.Sprintf("%s-%02d", strings.Repeat("s", 60), i))
	}
	s := tell(t, names...)
	s.sj.Name = strings.Repeat("n", 52)
	s.sj.UID = types.UID(strings.Repeat("u", 36))
	s.sj.Spec.Retries = new(int32(v1alpha1.MaxSteps - 1))
	return s
}

func size(t *testing.T, object any) int {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return len(raw)
}

// Every step fails once with all that may be said of it, and the last one for good.
func TestTheLongestStatusFitsItsRoom(t *testing.T) {
	s := longest(t)
	said := strings.Repeat(`<&>"\`, 2048) // what JSON makes longest
	lengthy := withCondition(batchv1.JobFailed, corev1.ConditionTrue, strings.Repeat("R", 1024), said)
	s.work()
	for i := range s.sj.Spec.Containers {
		s.end(s.lastJob().Name, lengthy)
		if i+1 < v1alpha1.MaxSteps {
			s.end(s.lastJob().Name, complete)
		}
	}
	if s.sj.Status.Progress.FailureReason != strings.Repeat("R", 1024) || len(s.sj.Status.Steps) != v1alpha1.MaxSteps {
		t.Fatalf("%+v after %d steps", s.sj.Status.Progress, len(s.sj.Status.Steps))
	}
	for i, condition := range s.sj.Status.Conditions {
		if len(condition.Message) > 32768 {
			t.Errorf("condition %d has %d bytes", i, len(condition.Message))
		}
	}
	for _, event := range s.told {
		if _, note, _ := strings.Cut(event, ": "); len(note) > 1024 {
			t.Errorf("an event has %d bytes: %s", len(note), note)
		}
	}
	if got := size(t, s.sj.Status); got > room {
		t.Errorf("the longest status has %d bytes, more than the %d that there is room for", got, room)
	} else {
		t.Logf("the longest status has %d bytes", got)
	}
}

func (s *story) lastJob() *batchv1.Job { return s.job(s.jobs[len(s.jobs)-1].Name) }

func TestAnObjectThatLeavesNoRoomForItsStatusIsTooLarge(t *testing.T) {
	const limit = 1408 << 10
	sj := newSequence("extract", "load")
	sj.Spec.Containers[1].Args = []string{""}
	sj.Spec.Containers[1].Args[0] = strings.Repeat("x", limit-size(t, sj))
	if problem := sequence.DescribeTooLarge(sj); problem != "" {
		t.Errorf("at the limit: %s", problem)
	}
	sj.Status = longest(t).work().sj.Status
	if problem := sequence.DescribeTooLarge(sj); problem != "" {
		t.Errorf("the status counts: %s", problem)
	}
	sj.Spec.Containers[1].Args[0] += "x"
	const want = "spec: Too long: the object has 1441793 bytes, and at most 1441792 leave room for its status: " +
		"keep large values in ConfigMaps, Secrets or images"
	if got := sequence.DescribeTooLarge(sj); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWhatLeavesNoRoomForItsStatusIsRefusedWithoutARequest(t *testing.T) {
	check := &checker{}
	s := checked(t, check, "extract", "load")
	s.sj.Spec.Containers[1].Args = []string{strings.Repeat("x", 1500<<10)}
	s.work().wantJobs()
	check.wantAsked(t)
	if c := conditions(&s.sj.Status)["Failed"]; !strings.HasPrefix(c, "True "+invalidSpec+invalidSpec+"spec: Too long: the object has") {
		t.Errorf("Failed is %q", c)
	}
}
