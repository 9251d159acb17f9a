package kubectl

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// runHere runs a command where there is no cluster.
func runHere(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	t.Setenv("KUBECONFIG", t.TempDir()+"/none")
	streams, _, stdout, _ := genericiooptions.NewTestIOStreams()
	cmd := NewCommand("kubectl sj", streams)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return stdout.String(), err
}

func TestAManifestIsMadeWithoutACluster(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"YAML": {[]string{"-o", "yaml"}, `apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata:
  name: etl
spec:
  containers:
  - command:
    - sh
    - -c
    - echo hello
    image: busybox
    name: a
`},
		"a namespace": {[]string{"-n", "team", "-o", "jsonpath={.metadata.namespace}"}, "team"},
		"by default":  {nil, "sequentialjob.batch.example.com/etl created (dry run)\n"},
		"the name":    {[]string{"-o", "name"}, "sequentialjob.batch.example.com/etl\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := runHere(t, append([]string{"create", "etl", "--image=busybox", "--step=a=echo hello", "--dry-run=client"}, tc.args...)...)
			if diff := cmp.Diff(tc.want, out); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestCreateNeedsToBeToldWhat(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no name":           {nil, "needs one NAME, and got 0"},
		"two names":         {[]string{"a", "b"}, "needs one NAME, and got 2"},
		"nothing":           {[]string{"a"}, "say what to run"},
		"no image":          {[]string{"a", "--step=a=b"}, "say what to run"},
		"no step":           {[]string{"a", "--image=i"}, "say what to run"},
		"both":              {[]string{"a", "--from=sj/b", "--image=i"}, "leave out --image and --step"},
		"a step of nothing": {[]string{"a", "--image=i", "--step=a=b", "--from-step=a"}, "--from-step needs --from"},
		"a dry run":         {[]string{"a", "--image=i", "--step=a=b", "--dry-run=maybe"}, "use none, client or server"},
		"nothing to follow": {[]string{"a", "--image=i", "--step=a=b", "--dry-run=client", "-f"}, "nothing to follow in a dry run"},
		"a format":          {[]string{"a", "--image=i", "--step=a=b", "-o", "wide"}, "allowed formats are"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := runHere(t, append([]string{"create"}, tc.args...)...)
			if ExitCode(err) != ExitError || !strings.Contains(err.Error(), tc.want) || out != "" {
				t.Errorf("got %v, want %q; output %q", err, tc.want, out)
			}
		})
	}
}

func TestWhyNothingWasCreated(t *testing.T) {
	resource := schema.GroupResource{Group: "batch.example.com", Resource: "sequentialjobs"}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"the name is taken": {apierrors.NewAlreadyExists(resource, "etl"), "choose another name, or delete that one first: `kubectl delete sj etl`"},
		"no namespace":      {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "default"), `namespace "default" does not exist`},
		"an older CRD":      {apierrors.NewBadRequest(`strict decoding error: unknown field "spec.cancel"`), "see `kubectl sj version`"},
		"no Jobs": {apierrors.NewForbidden(resource, "etl", errors.New("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "+
			`the steps of a SequentialJob are Jobs, and user "bob" may not create jobs.batch in namespace "default"`)), "you may not create jobs.batch"},
		"no SequentialJobs": {apierrors.NewForbidden(resource, "etl", errors.New(
			`User "bob" cannot create resource "sequentialjobs" in API group "batch.example.com" in the namespace "default"`)), "you may not create sequentialjobs.batch.example.com"},
		"what somebody says": {apierrors.NewForbidden(resource, "etl", errors.New("not on Fridays")), "not on Fridays"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &create{Tool: &Tool{Name: "kubectl sj", flags: genericclioptions.NewConfigFlags(false)}}
			if got := o.explainCreate(tc.err, "default", "etl"); !strings.Contains(got.Error(), tc.want) || !errors.Is(got, tc.err) {
				t.Errorf("got %v, want %q", got, tc.want)
			}
		})
	}
}
