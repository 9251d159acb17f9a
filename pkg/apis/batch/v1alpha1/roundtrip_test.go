package v1alpha1_test

import (
	"encoding/json"
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"
	"k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// TestRandomObjectsRoundTrip encodes and decodes objects that are filled at random, as the machinery of Kubernetes does, and
// expects them back: nothing is lost, and no two fields have the same name.
func TestRandomObjectsRoundTrip(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	roundtrip.RoundTripExternalTypesWithoutProtobuf(t, scheme, codecs, fuzzer.FuzzerFor(metafuzzer.Funcs, rand.NewSource(1), codecs), nil)
}

// TestRandomObjectsSurvivePlainJSON does the same with what Go programs use that know nothing of that machinery.
func TestRandomObjectsSurvivePlainJSON(t *testing.T) {
	const objects = 200
	scheme := runtime.NewScheme()
	fill := fuzzer.FuzzerFor(metafuzzer.Funcs, rand.NewSource(2), serializer.NewCodecFactory(scheme))
	for range objects {
		want, got := &v1alpha1.SequentialJob{}, &v1alpha1.SequentialJob{}
		fill.Fill(want)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if !equality.Semantic.DeepEqual(want, got) {
			t.Fatalf("it comes back as another:\n%s", cmp.Diff(want, got))
		}
		if again := want.DeepCopy(); !equality.Semantic.DeepEqual(want, again) {
			t.Fatalf("its copy is another:\n%s", cmp.Diff(want, again))
		}
	}
}
