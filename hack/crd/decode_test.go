package main

import (
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/version"
)

// edges are JSON values near the edges of what Go's types decode.
var edges = []string{
	`null`, `true`, `false`, `{}`, `[]`, `{"key": 1}`, `[1]`, `[null]`, `{"key": null}`, `{"key": "a"}`, `{"key": {}}`, `[{}]`, `[[]]`,
	`0`, `1`, `-1`, `-0`, `1.0`, `1e3`, `1.5`, `0.5`, `1e-3`, `1e99`, `-1e99`, `2147483647`, `2147483648`, `-2147483648`, `-2147483649`,
	`3000000000`, `99999999999`, `9007199254740992`, `9007199254740993`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775808`,
	`-9223372036854775809`, `18446744073709551616`, `2147483648.0`, `9223372036854775807.0`,
	`""`, `" "`, `"a"`, `"1"`, `"+1"`, `"-1"`, `"1.5"`, `"1."`, `".5"`, `"."`, `"1.5.1"`, `"0x10"`, `"1_000"`, `"١"`, `"NaN"`, `"Infinity"`,
	`"1000m"`, `"1024Mi"`, `"1.5Gi"`, `"1Ki"`, `"1ki"`, `"1K"`, `"1e3"`, `"1E3"`, `"1E"`, `"1e"`, `"1Ee3"`, `"1e1.5"`, `"1e+3"`, `"1e-3"`, `"1e+"`,
	`"1e99"`, `"1e999"`, `"-1e-99"`, `"1e9999"`, `"1e999999999"`, `"1e2147483648"`, `"1e99999999999999999999"`, `"0.0000000001"`, `"0.1n"`, `"1n"`,
	`"999999999999999999999999999999"`, `"9999999999999999999.999999999999Ei"`, `"1 "`, `"1\n"`, `"1mm"`, `"1Mim"`, `"0e1"`, `"00"`, `"1u"`, `"1\u0000"`,
	`"2024-01-01T00:00:00Z"`, `"2024-01-01t00:00:00z"`, `"2024-01-01T00:00:00z"`, `"2024-01-01T00:00:00"`, `"2024-01-01 00:00:00Z"`,
	`"2024-02-30T00:00:00Z"`, `"2023-02-29T00:00:00Z"`, `"2024-01-01T24:00:00Z"`, `"2024-01-01T23:59:60Z"`, `"2024-01-01T00:00:00.123456789Z"`,
	`"2024-01-01T00:00:00,5Z"`, `"2024-01-01T00:00:00+01:00"`, `"2024-01-01T00:00:00+24:00"`, `"2024-01-01T00:00:00+25:00"`,
	`"2024-01-01T00:00:00+0100"`, `"0000-01-01T00:00:00Z"`, `"0000-01-01T00:00:00+23:59"`, `"9999-12-31T23:59:59Z"`,
	`"9999-12-31T23:59:59-23:59"`, `"10000-01-01T00:00:00Z"`, `"2024-01-01T00:00:00ZTx"`, `"2024-01-01"`, `"0001-01-01T00:00:00Z"`,
	`"1s"`, `"1h1m"`, `"-1s"`, `"1d"`, `"P1D"`, `"AA=="`, `"AA"`,
}

// Whatever the CRD's schema accepts, the types decode. An informer that cannot decode one object sees none at all.
func TestWhatIsAcceptedCanBeDecoded(t *testing.T) {
	crd := readInstalled(t)
	accepted := 0
	for _, p := range crd.allPlaces() {
		for _, text := range p.mayAccept(t) {
			if crd.accepts(t, p, text) {
				accepted++
			}
		}
	}
	t.Logf("%d objects were accepted", accepted)
	if accepted < 4000 {
		t.Errorf("only %d objects were accepted: too few to prove anything", accepted)
	}
}

// FuzzWhatIsAcceptedCanBeDecoded puts any JSON anywhere: go test -fuzz FuzzWhatIsAccepted -fuzztime 5m ./hack/crd
func FuzzWhatIsAcceptedCanBeDecoded(f *testing.F) {
	crd := readInstalled(f)
	places := crd.allPlaces()
	for i, text := range edges {
		f.Add(uint(i*len(places)/len(edges)), text)
	}
	f.Fuzz(func(t *testing.T, where uint, text string) {
		crd.accepts(t, places[where%uint(len(places))], text)
	})
}

// mayAccept are the edges that the place alone would take. It spares looking at whole objects that are refused anyway, and at
// every text where any will do.
func (p place) mayAccept(t testing.TB) (out []string) {
	t.Helper()
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(p.schema, &internal, nil); err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidatorForVersion(&internal, version.MajorMinor(1, 34))
	if err != nil {
		t.Fatal(err)
	}
	texts := 0
	for _, text := range edges {
		var value any
		if utiljson.Unmarshal([]byte(text), &value) != nil || len(validation.ValidateCustomResource(nil, value, validator)) > 0 {
			continue
		}
		if _, isText := value.(string); isText && p.schema.Type == "string" && p.schema.Pattern == "" && p.schema.Format == "" {
			if texts++; texts > 2 {
				continue
			}
		}
		out = append(out, text)
	}
	return out
}

func (crd *installed) allPlaces() []place { return append(crd.places("spec"), crd.places("status")...) }

// accepts says whether an object with a value at that place is accepted, and fails the test if it is and cannot be decoded, or
// if what a Go client then makes of it is refused.
func (crd *installed) accepts(t testing.TB, p place, text string) bool {
	t.Helper()
	var value any
	if utiljson.Unmarshal([]byte(text), &value) != nil {
		return false
	}
	// What an API server stores is what it has written itself.
	object := stored(t, encoded(t, crd.with(p, value)))
	if len(crd.schemaRefusal(object)) > 0 {
		return false
	}
	job, err := decode(encoded(t, object))
	if err != nil {
		if len(crd.refusal(t, object, nil)) > 0 {
			return false
		}
		t.Errorf("%s: %s is accepted, and then cannot be decoded: %v", p, text, err)
		return true
	}
	if errs := crd.schemaRefusal(stored(t, encoded(t, job))); len(errs) > 0 {
		t.Errorf("%s: %s is accepted, and what Go makes of it is not: %v", p, text, errs)
	}
	return true
}
