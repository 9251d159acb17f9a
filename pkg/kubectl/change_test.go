package kubectl

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clienttesting "k8s.io/client-go/testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/fake"
)

// answer is how a server answers a patch.
type answer func(*v1alpha1.SequentialJob) (*v1alpha1.SequentialJob, error)

// changeWith runs a change on a server that answers patches as told.
func changeWith(t *testing.T, answers ...answer) (asked []any, decided int, err error) {
	t.Helper()
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "etl", UID: "uid"}}
	client := fake.NewSimpleClientset(sj)
	reads := 0
	client.PrependReactor("get", "sequentialjobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		reads++
		read := sj.DeepCopy()
		read.ResourceVersion = strconv.Itoa(reads)
		return true, read, nil
	})
	client.PrependReactor("patch", "sequentialjobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		var patch []map[string]any
		if err := json.Unmarshal(action.(clienttesting.PatchAction).GetPatch(), &patch); err != nil { //nolint:forcetypeassert // it is one
			t.Fatal(err)
		}
		for _, operation := range patch {
			asked = append(asked, operation["op"], operation["path"], operation["value"])
		}
		answer := answers[0]
		answers = answers[1:]
		got, err := answer(sj.DeepCopy())
		return true, got, err
	})
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	tool := &Tool{IOStreams: streams, Name: "kubectl sj", flags: genericclioptions.NewConfigFlags(false)}
	_, err = tool.change(t.Context(), Clients{SequentialJobs: client, Namespace: "ns"}, "etl", func(*v1alpha1.SequentialJob) (change, error) {
		decided++
		return setSuspend(true), nil
	})
	return asked, decided, err
}

func obey(sj *v1alpha1.SequentialJob) (*v1alpha1.SequentialJob, error) {
	sj.Spec.Suspend = new(true)
	return sj, nil
}

func conflict(*v1alpha1.SequentialJob) (*v1alpha1.SequentialJob, error) {
	return nil, apierrors.NewConflict(schema.GroupResource{Resource: "sequentialjobs"}, "etl", nil)
}

func TestAChangeIsMadeOnlyToWhatWasSeen(t *testing.T) {
	asked, _, err := changeWith(t, obey)
	want := []any{"add", "/metadata/uid", "uid", "add", "/metadata/resourceVersion", "1", "add", "/spec/suspend", true}
	if diff := cmp.Diff(want, asked); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestAChangeIsDecidedAnewIfSomebodyElseWasFaster(t *testing.T) {
	if _, decided, err := changeWith(t, conflict, conflict, obey); err != nil || decided != 3 {
		t.Errorf("decided %d times: %v", decided, err)
	}
	_, decided, err := changeWith(t, slices.Repeat([]answer{conflict}, maxConflicts)...)
	if decided != maxConflicts || err == nil || !strings.Contains(err.Error(), "try again") || ExitCode(err) != ExitError {
		t.Errorf("decided %d times: %v", decided, err)
	}
}

func TestAFieldThatTheServerDropsIsNoticed(t *testing.T) {
	_, _, err := changeWith(t, func(sj *v1alpha1.SequentialJob) (*v1alpha1.SequentialJob, error) { return sj, nil })
	const want = "the API server dropped spec.suspend: its CRD is older than this plugin; upgrade it (`kubectl sj version` tells which is which)"
	if ExitCode(err) != ExitError || err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNamesOfSequencesAreTakenAsKubectlDoes(t *testing.T) {
	for arg, want := range map[string]string{
		"etl": "etl", "sj/etl": "etl", "sequentialjob/etl": "etl", "sequentialjobs.batch.example.com/etl": "etl", "job/etl": "", "sj/": "",
	} {
		if got, err := sequenceName(arg); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %q, %v", arg, got, err)
		}
	}
}

func TestCancelAsksAndTakesOnlyYesForYes(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "Yes\n": true, "n\n": false, "\n": false, "": false} {
		streams, in, _, errOut := genericiooptions.NewTestIOStreams()
		in.WriteString(answer)
		err := (&Tool{IOStreams: streams}).confirm(t.Context(), "Cancel etl? [y/N] ")
		if (err == nil) != want || !bytes.Contains(errOut.Bytes(), []byte("Cancel etl? [y/N] ")) {
			t.Errorf("%q: %v, %q", answer, err, errOut)
		}
	}
}
