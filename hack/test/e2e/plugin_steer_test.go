//go:build e2e

package e2e_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const runsLong = "sleep 600"

// expect checks the exit code of a command of the plugin, and what it said on both streams.
func (c *cluster) expect(code int, text string, args ...string) {
	c.T.Helper()
	if s := c.sj(args...); s.code != code || !strings.Contains(s.out+s.err, text) {
		c.T.Errorf("sj %s: exit code %d, want %d; want %q in:\n%s%s", strings.Join(args, " "), s.code, code, text, s.out, s.err)
	}
}

func (c *cluster) waitForRunningStep(name, step string) {
	c.T.Helper()
	c.WaitFor(name, "run "+step, func(sj *v1alpha1.SequentialJob) bool {
		n := len(sj.Status.Steps)
		return n > 0 && sj.Status.Steps[n-1].Name == step && sj.Status.Steps[n-1].State == v1alpha1.StepRunning
	})
}

func TestPluginWaitTellsTheEndByItsExitCode(t *testing.T) {
	c := newCluster(t)
	for name, command := range map[string]string{"good": "echo", "bad": "exit 3", "long": runsLong} {
		c.Create(shellSteps(name, corev1.PodTemplateSpec{}, command))
	}
	c.expect(0, "good completed\n", "wait", "good")
	c.expect(1, `bad failed: Job 0 (step-0) failed: BackoffLimitExceeded: container "step-0" exited with code 3`, "wait", "sj/good", "sj/bad")
	c.expect(124, "long has not ended after 2s: step step-0 (running ", "wait", "long", "--timeout=2s")
	c.expect(2, `SequentialJob "none" not found`, "wait", "none")
	c.expect(2, "at least one", "wait")
	c.expect(2, "must not be negative", "wait", "good", "--timeout=-1s")
	c.expect(2, "is not the name of a SequentialJob", "wait", "job/good")

	waits := make(chan said)
	go func() { waits <- runPlugin(t, c.plugin("wait", "long")) }()
	c.waitForRunningStep("long", "step-0")
	c.kubectl("", "delete", "sj", "long")
	if s := <-waits; s.code != 2 || !strings.Contains(s.err, "long was deleted before it ended") {
		t.Errorf("deleted before it ended: %+v", s)
	}
}

func TestPluginTakesAFailedSequenceToItsEnd(t *testing.T) {
	c := newCluster(t)
	sj := shellSteps("etl", corev1.PodTemplateSpec{}, "echo one", "echo two; exit 2", "echo three")
	c.Create(sj)
	c.expect(2, "needs ", "retry")
	c.waitForEnd("etl")
	c.expect(0, "two\n", "logs", "etl", "--failed")
	c.kubectl("", "patch", "sj", "etl", "--type=json", "--patch",
		`[{"op":"replace","path":"/spec/containers/1/command","value":["echo","fixed"]}]`)
	s := c.mustSJ("retry", "etl", "-f")
	if s.out != "[step-1] fixed\n[step-2] three\n" || !strings.Contains(s.err, "etl goes on with step step-1 (retry 1 of 1)\n") {
		t.Errorf("said %q, %q", s.out, s.err)
	}
	c.mustComplete("etl")
	c.expect(1, "cannot retry etl: it has completed", "retry", "etl")
	c.expect(1, "cannot cancel etl: ", "cancel", "etl", "--yes")
	c.expect(1, "cannot suspend etl: ", "suspend", "etl")
}

func TestPluginPausesApprovesAndCancels(t *testing.T) {
	c := newCluster(t)
	sj := shellSteps("etl", corev1.PodTemplateSpec{}, "echo one", "echo two", runsLong, "echo four")
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "step-1", Suspend: new(true)}}
	sj.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(1))
	c.Create(sj)
	c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
	c.expect(2, "those that wait for approval are: step-1", "resume", "etl", "--step", "other")
	c.expect(0, "step step-2 does not wait for approval", "resume", "etl", "--step", "step-2")
	c.expect(0, "step step-1 is approved, and starts", "resume", "etl", "--step", "step-1")
	c.waitForRunningStep("etl", "step-2")
	c.expect(1, "it has not failed", "retry", "etl")
	c.expect(0, "step step-2 is stopped, and starts again when it is resumed", "suspend", "etl")
	c.expect(0, "etl is suspended already: ", "suspend", "etl")
	c.WaitForPhase("etl", v1alpha1.SequentialJobSuspended)
	c.expect(0, "step step-2 starts again", "resume", "etl")
	c.expect(0, "etl is not suspended: ", "resume", "etl")
	c.WaitForPhase("etl", v1alpha1.SequentialJobRunning)
	c.expect(2, "use --yes", "cancel", "etl")
	c.expect(0, "is stopped, 1 step does not start", "cancel", "etl", "--yes")
	c.expect(1, "etl: Cancelled by spec.cancel", "wait", "etl")
	c.expect(1, "kubectl sj create etl-2 --from=sj/etl", "retry", "etl")
	if got := c.Get("etl"); !ptr.Deref(got.Spec.Cancel, false) || len(got.Status.Steps) != 3 {
		t.Errorf("cancel %v, steps %v", got.Spec.Cancel, got.Status.Steps)
	}
}

// What a queue lets run only the queue can stop. The label alone makes the controller take it so.
func TestPluginSuspendSaysThatOnlyAQueueStopsItsJobs(t *testing.T) {
	c := newCluster(t)
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"kueue.x-k8s.io/queue-name": "users"}}}
	c.Create(shellSteps("etl", template, runsLong))
	c.waitForRunningStep("etl", "step-0")
	c.expect(0, `goes on, because only its queue "users" can stop it`, "suspend", "etl")
}

func TestPluginNamesThePermissionThatIsMissing(t *testing.T) {
	c := newCluster(t)
	c.Create(shellSteps("etl", corev1.PodTemplateSpec{}, "exit 1"))
	c.waitForEnd("etl")
	reader := "--as=reader-" + c.Namespace
	c.expect(2, `you may not get sequentialjobs.batch.example.com in namespace "`+c.Namespace+`": ask for the role "view" there`, "wait", "etl", reader)
	_, err := c.Kube.RbacV1().RoleBindings(c.Namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "sequential-operator-view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: strings.TrimPrefix(reader, "--as=")}},
	}, metav1.CreateOptions{})
	framework.Must(t, err)
	c.expect(1, "etl failed: Job 0 (step-0)", "wait", "etl", reader)
	c.expect(2, "you may not patch sequentialjobs.batch.example.com", "retry", "etl", reader)
	c.expect(2, `ask for the role "edit"`, "retry", "etl", reader)
	c.expect(2, "you may not list jobs.batch", "logs", "etl", reader)
	none := c.plugin("status", "etl")
	none.Env = append(none.Environ(), "KUBECONFIG=nowhere")
	if s := runPlugin(t, none); s.code != 2 || !strings.Contains(s.err, `no cluster is configured: KUBECONFIG is "nowhere"`) {
		t.Errorf("a kubeconfig that is not there: %+v", s)
	}
}
