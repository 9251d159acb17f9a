package kubectl

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/sequence"
)

var sequentialJobKind = schema.GroupKind{Group: v1alpha1.GroupName, Kind: v1alpha1.SequentialJobKind}

func TestWhyASequentialJobIsRefused(t *testing.T) {
	forbidden := func(why string) error {
		return apierrors.NewForbidden(schema.GroupResource{Group: v1alpha1.GroupName, Resource: "sequentialjobs"}, "etl", errors.New(why))
	}
	for name, tc := range map[string]struct {
		err  error
		want []string
	}{
		"nothing": {nil, nil},
		"several fields, one of them twice": {
			apierrors.NewInvalid(sequentialJobKind, "etl", field.ErrorList{
				field.Required(field.NewPath("spec", "containers").Index(0).Child("image"), ""),
				field.Required(field.NewPath("spec", "containers").Index(0).Child("image"), ""),
				field.Invalid(field.NewPath("spec", "retries"), -1, "too\nsmall"),
			}),
			[]string{"spec.containers[0].image: Required value", "spec.retries: Invalid value: -1: too small"},
		},
		"rules that were not checked": {
			apierrors.NewInvalid(sequentialJobKind, "etl", field.ErrorList{field.Invalid(nil, nil, "some validation rules were not checked")}),
			[]string{"some validation rules were not checked"},
		},
		"fields that nobody knows": {
			apierrors.NewBadRequest(`SequentialJob in version "v1alpha1" cannot be handled as a SequentialJob: strict decoding error: ` +
				`unknown field "spec.a", unknown field "spec.b"`),
			[]string{`unknown field "spec.a"`, `unknown field "spec.b"`},
		},
		"steps in fields that nobody knows": {
			apierrors.NewBadRequest(`SequentialJob in version "v1alpha1" cannot be handled as a SequentialJob: strict decoding error: ` +
				`unknown field "spec.steps", unknown field "spec.template.containers"`),
			[]string{
				`unknown field "spec.steps": list the steps in spec.containers`,
				`unknown field "spec.template.containers": list the steps in spec.containers`,
			},
		},
		"a policy of somebody": {forbidden("ValidatingAdmissionPolicy 'p' with binding 'p' denied request: not on Fridays"),
			[]string{`sequentialjobs.batch.example.com "etl" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: not on Fridays`}},
		"no permission": {forbidden(`User "bob" cannot create resource "sequentialjobs" in API group "batch.example.com" in the namespace "default"`), nil},
		"no permission to make Jobs": {forbidden("ValidatingAdmissionPolicy 'p' with binding 'p' denied request: the steps of a SequentialJob are Jobs, " +
			`and user "bob" may not create jobs.batch in namespace "default": grant that permission, too`), nil},
		"no such namespace": {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "nope"), nil},
		"no answer":         {errors.New("connection refused"), nil},
		"no CRD":            {apierrors.NewGenericServerResponse(http.StatusNotFound, "POST", schema.GroupResource{}, "", "", 0, true), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, problemsOf(tc.err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStepsAreCheckedAsTheControllerDoes(t *testing.T) {
	invalid := func(path *field.Path) error {
		return apierrors.NewInvalid(schema.GroupKind{Group: "batch", Kind: "Job"}, "etl", field.ErrorList{field.Required(path, "")})
	}
	image := func(i int) *field.Path {
		return field.NewPath("spec", "template", "spec", "containers").Index(i).Child("image")
	}
	quota := apierrors.NewForbidden(batchv1.Resource("jobs"), "etl", errors.New("exceeded quota: q"))
	for name, tc := range map[string]struct {
		answers []error // to the dry runs, in order
		want    sequence.SpecFindings
		isError bool
	}{
		"valid": {[]error{nil}, sequence.SpecFindings{Result: v1alpha1.SpecCheckAccepted}, false},
		"the second step": {[]error{invalid(image(1)), invalid(image(0))}, sequence.SpecFindings{Result: v1alpha1.SpecCheckRefused,
			Message: "spec.containers[1].image: Required value", Problems: []string{"spec.containers[1].image: Required value"}}, false},
		"a quota": {[]error{quota}, sequence.SpecFindings{Result: v1alpha1.SpecCheckUnknown, Message: quota.Error()}, false},
		"no permission": {[]error{apierrors.NewForbidden(batchv1.Resource("jobs"), "",
			errors.New(`User "bob" cannot create resource "jobs" in API group "batch" in the namespace "default"`))}, sequence.SpecFindings{}, true},
		"no answer": {[]error{errors.New("connection refused")}, sequence.SpecFindings{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Name: "etl", Generation: 1}}
			sj.Spec.Containers = []corev1.Container{{Name: "a"}, {Name: "b"}}
			asked := 0
			got, err := checkSteps(sj, func(*batchv1.Job) error {
				asked++
				return tc.answers[asked-1]
			})
			if diff := cmp.Diff(tc.want, got); diff != "" || (err != nil) != tc.isError || asked != len(tc.answers) {
				t.Errorf("%d dry runs, error %v (-want +got):\n%s", asked, err, diff)
			}
		})
	}
}

// The retry of `kubectl sj retry` is not taken back by applying the old file, and what the file has no more is taken out.
func TestAnEditIsTheOneOfKubectlApply(t *testing.T) {
	original := `{"metadata":{"name":"etl"},"spec":{"containers":[],"suspend":true}}`
	live := fromYAML(t, `{metadata: {name: etl}, spec: {containers: [], suspend: true, retries: 3}}`)
	file := fromYAML(t, `{metadata: {name: etl}, spec: {containers: [], backoffLimit: 1}}`)
	patch, err := editPatch([]byte(original), file, live)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"spec":{"backoffLimit":1,"suspend":null}}`, string(patch)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKeysThatAreGivenTwiceAreFound(t *testing.T) {
	const header = "apiVersion: batch.example.com/v1alpha1\nkind: SequentialJob\nmetadata: {name: etl}\n"
	for name, tc := range map[string]struct {
		file string
		want []ambiguity
	}{
		"none":       {header + "spec: {retries: 1}\n", nil},
		"one":        {header + "spec:\n  retries: 1\n  retries: 2\n", []ambiguity{{"sequentialjob/etl", []string{`line 6: key "retries" already set`}}}},
		"two":        {header + "spec:\n  a: 1\n  a: 2\nspec: {}\n", []ambiguity{{"sequentialjob/etl", []string{`line 6: key "a" already set`, `line 7: key "spec" already set`}}}},
		"of another": {"kind: Secret\nkind: Secret\n---\n" + header, nil},
		"in the second document": {"kind: Secret\n---\n" + header + "spec: {a: 1, a: 2}\n",
			[]ambiguity{{"sequentialjob/etl", []string{`line 4: key "a" already set`}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ambiguities(strings.NewReader(tc.file))
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(ambiguity{})); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// A pipeline that checks nothing should not look as if all were well.
func TestLintOfNothingIsAnError(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no file":         {nil, "name the files to check"},
		"a missing file":  {[]string{"-f", filepath.Join(dir, "none.yaml")}, "does not exist"},
		"no sequence":     {[]string{"-f", file}, "there is no SequentialJob in " + file},
		"empty input":     {[]string{"-f", "-"}, "there is no SequentialJob in -"},
		"an argument":     {[]string{file}, "takes no arguments"},
		"an unknown flag": {[]string{"--file", file}, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			streams, _, out, _ := genericiooptions.NewTestIOStreams()
			cmd := NewCommand("kubectl sj", streams)
			cmd.SetArgs(append([]string{"lint", "--server", "http://localhost:1"}, tc.args...))
			err := cmd.ExecuteContext(t.Context())
			if ExitCode(err) != ExitError || err == nil || !strings.Contains(err.Error(), tc.want) || out.Len() > 0 {
				t.Errorf("got %v, want %q; output %q", err, tc.want, out)
			}
		})
	}
}

func TestTheNamespaceOfAFile(t *testing.T) {
	for name, tc := range map[string]struct {
		file, flag, want string
		isRefused        bool
	}{
		"neither":   {"", "", "current", false},
		"flag":      {"", "asked", "current", false}, // what the flag says is the current one then
		"file":      {"own", "", "own", false},
		"the same":  {"own", "own", "own", false},
		"different": {"own", "asked", "own", true},
	} {
		t.Run(name, func(t *testing.T) {
			flags := genericclioptions.NewConfigFlags(false)
			flags.Namespace = &tc.flag
			l := lint{Tool: &Tool{flags: flags}}
			o := sequentialJob(map[string]any{"name": "etl"}, nil)
			if tc.file != "" {
				o.SetNamespace(tc.file)
			}
			err := l.placeIn("current", o)
			if (err != nil) != tc.isRefused || o.GetNamespace() != tc.want {
				t.Errorf("got %q, %v", o.GetNamespace(), err)
			}
		})
	}
}
