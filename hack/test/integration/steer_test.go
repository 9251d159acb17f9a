//go:build integration

package integration_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl"
)

// plugin runs a command of the plugin, and returns what it wrote and its exit code.
func (c *cluster) plugin(args ...string) (out, errOut string, code int) {
	c.T.Helper()
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	cmd := kubectl.NewCommand("kubectl sj", streams)
	cmd.SetArgs(append([]string{"--namespace", c.Namespace}, args...))
	err := cmd.ExecuteContext(c.T.Context())
	if err != nil {
		stderr.WriteString(err.Error())
	}
	return stdout.String(), stderr.String(), kubectl.ExitCode(err)
}

// wantPlugin runs a command of the plugin, and checks its exit code and that it says all that.
func (c *cluster) wantPlugin(code int, says []string, args ...string) {
	c.T.Helper()
	out, errOut, got := c.plugin(args...)
	for _, text := range says {
		if !strings.Contains(out+errOut, text) {
			c.T.Errorf("%v does not say %q, but:\n%s%s", args, text, out, errOut)
		}
	}
	if got != code {
		c.T.Errorf("%v: exit code %d, want %d:\n%s%s", args, got, code, out, errOut)
	}
}

// An API server with an older CRD takes a patch, drops what it does not know, and says 200.
func TestThePluginNoticesThatAnOlderServerDropsAField(t *testing.T) {
	c := &cluster{framework.NewClusterAlone(t, framework.ByHand)}
	file := filepath.Join(t.TempDir(), "crd.yaml")
	framework.Must(t, os.WriteFile(file, crdOfYesterday(t), 0o600))
	defer c.applyCRD(filepath.Join(framework.Root, "manifests/crd.yaml"), true)
	c.applyCRD(file, false)

	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.wantPlugin(kubectl.ExitError, []string{
		`Warning: unknown field "spec.cancel"`, "the API server dropped spec.cancel: its CRD is older than this plugin; upgrade it",
	}, "cancel", "etl", "--yes")
	c.wantPlugin(0, []string{"etl is suspended: step extract does not start until it is resumed"}, "suspend", "etl")
	if !*c.Get("etl").Spec.Suspend {
		t.Error("what the older server does know was not changed")
	}
}

// What a role would allow and what the policy asks for are told apart by the real answers.
func TestThePluginTellsWhatPermissionIsMissing(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.WaitForJob("etl", "etl-0")
	c.EndJob("etl-0", batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	const asks = `: ask for the role "edit" there, or for one that allows it (sequentialjobs.batch.example.com "etl" is forbidden: `

	viewer := "viewer-of-" + c.Namespace
	c.bind(viewer, "ClusterRole", "view")
	c.waitForAccess(viewer)
	c.wantPlugin(kubectl.ExitFailed, []string{"etl failed: Job 0 (extract) failed: BackoffLimitExceeded"}, "wait", "etl", "--as", viewer)
	c.wantPlugin(kubectl.ExitError, []string{
		`you may not patch sequentialjobs.batch.example.com in namespace "` + c.Namespace + `"` + asks,
		`cannot patch resource "sequentialjobs" in API group "batch.example.com"`,
	}, "retry", "etl", "--as", viewer)

	// May do all to SequentialJobs, and nothing to Jobs.
	half := "half-of-" + c.Namespace
	c.grant(half, "sequences-only", rbacv1.PolicyRule{
		APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"sequentialjobs"}, Verbs: []string{rbacv1.VerbAll},
	})
	c.waitForAccess(half)
	c.wantPlugin(kubectl.ExitError, []string{
		`you may not create jobs.batch in namespace "` + c.Namespace + `"` + asks,
		`the steps of a SequentialJob are Jobs, and user "` + half + `" may not create jobs.batch in namespace "` + c.Namespace + `": grant that permission, too`,
	}, "retry", "etl", "--as", half)
	if got := c.Get("etl"); got.Spec.Retries != nil {
		t.Errorf("retries is %d", *got.Spec.Retries)
	}

	c.wantPlugin(0, []string{"etl goes on with step extract (retry 1 of 1)"}, "retry", "etl")
	c.WaitForJob("etl", "etl-0-r1")
	// The Job of the step that runs says what suspend does to it.
	c.wantPlugin(kubectl.ExitError, []string{"you may not patch "}, "suspend", "etl", "--as", viewer)
	c.wantPlugin(kubectl.ExitError, []string{"you may not patch "}, "cancel", "etl", "--yes", "--as", viewer)
}

// waitForAccess waits until a role takes effect.
func (c *cluster) waitForAccess(user string) {
	c.T.Helper()
	c.mustBeAllowed(user+": to read", func(ctx context.Context) error {
		_, err := c.user(user).List(ctx, metav1.ListOptions{})
		return err
	})
}

// Each step waits in its queue: what suspend and resume say of it is what becomes of it.
func TestThePluginSaysWhatAQueueDoes(t *testing.T) {
	c := newCluster(t)
	c.suspendQueued()
	c.StartController()
	sj := framework.NewSequence("etl", "prepare", "train")
	sj.Spec.Template.Labels = map[string]string{queueLabel: "team-a"}
	c.Create(sj)
	c.mustBeQueued("etl-0", "team-a")
	c.wantPlugin(0, []string{`etl is not suspended: step prepare waits in queue "team-a"`}, "resume", "etl")
	c.wantPlugin(0, []string{`etl is suspended: step prepare waits in queue "team-a", and runs once that lets it; nothing starts after it`}, "suspend", "etl")
	c.admit("etl-0", "none") // there are no nodes of that kind: it waits for one
	c.waitForMessage("etl", v1alpha1.ReasonJobStarted, "only its queue can stop it")
	c.wantPlugin(0, []string{`etl is suspended already: step prepare goes on, because only its queue "team-a" can stop it; nothing starts after it`}, "suspend", "etl")
	c.wantPlugin(0, []string{"etl is resumed: step prepare runs"}, "resume", "etl")
	c.evict("etl-0")
	c.mustBeQueued("etl-0", "team-a")
	c.wantPlugin(0, []string{`etl is cancelled: step prepare (running `, "is stopped, 1 step does not start"}, "cancel", "etl", "--yes")
	c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.wantPlugin(kubectl.ExitFailed, []string{"etl: Cancelled by spec.cancel"}, "wait", "etl")
}

func TestThePluginWarnsOfARetryThatFailsAgain(t *testing.T) {
	const warning = "Warning: the spec was refused as invalid, and has not been corrected since"
	c := newByHandCluster(t)
	c.StartController()
	sj := framework.NewSequence("etl", "extract")
	sj.Spec.Containers[0].ImagePullPolicy = "Nevr"
	c.Create(sj)
	c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
	c.wantPlugin(0, []string{"etl goes on with step extract (retry 1 of 1)", warning, "kubectl edit sj etl"}, "retry", "etl")
	c.WaitFor("etl", "it to fail again", func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == v1alpha1.SequentialJobFailed && sj.Status.Progress.Retries == 1
	})
	c.Patch("etl", `{"spec":{"containers":[{"name":"extract","image":"example.com/extract:v1"}]}}`)
	if out, errOut, code := c.plugin("retry", "etl"); code != 0 || strings.Contains(errOut, warning) {
		t.Errorf("corrected: exit code %d:\n%s%s", code, out, errOut)
	}
	c.WaitForJob("etl", "etl-0")
}
