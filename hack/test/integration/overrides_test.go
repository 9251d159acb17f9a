//go:build integration

package integration_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const overridden = `
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata:
  name: etl
spec:
  backoffLimit: 3
  containers:
    - {name: extract, image: "example.com/extract:v1"}
    - {name: load, image: "example.com/load:v1"}
  finally:
    - {name: notify, image: "example.com/notify:v1"}
  template:
    metadata:
      labels: {team: analytics, tier: batch}
      annotations: {example.com/purpose: report}
    spec:
      serviceAccountName: robot
      nodeSelector: {kubernetes.io/os: linux}
      tolerations: [{key: spot, operator: Exists}]
      volumes:
        - {name: data, emptyDir: {}}
        - {name: cache, emptyDir: {}}
      initContainers:
        - {name: prepare, image: "example.com/prepare:v1"}
  stepOverrides:
    - name: load
      backoffLimit: 0
      template:
        metadata:
          labels: {tier: urgent, kueue.x-k8s.io/queue-name: gpus, batch.example.com/step-index: "99"}
          annotations: {example.com/reviewed: "yes"}
        spec:
          serviceAccountName: loader
          nodeSelector: {kubernetes.io/arch: amd64}
          tolerations: [{key: gpu, operator: Exists}]
          volumes:
            - {name: cache, configMap: {name: settings}}
            - {name: scratch, emptyDir: {}}
          initContainers:
            - {name: prepare, image: "example.com/prepare:v2"}
            - {name: proxy, image: "example.com/proxy:v1", restartPolicy: Always}
    - name: notify
      backoffLimit: 1
      template: {spec: {serviceAccountName: loader}}
`

// seen is what a pod has of what the override of its step may change.
type seen struct {
	Account, Tier, Team, Queue, Purpose, Reviewed string
	Selector                                      map[string]string
	Tolerations, Volumes, Init                    []string
	BackoffLimit                                  int32
}

func (c *cluster) seenOf(job string) seen {
	c.T.Helper()
	j := c.Job(job)
	pods, err := c.Kube.CoreV1().Pods(c.Namespace).List(c.T.Context(), metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
	framework.Must(c.T, err)
	if len(pods.Items) != 1 {
		c.T.Fatalf("Job %s has %d pods", job, len(pods.Items))
	}
	pod := &pods.Items[0]
	out := seen{
		Account: pod.Spec.ServiceAccountName, Tier: pod.Labels["tier"], Team: pod.Labels["team"], Queue: pod.Labels[queueLabel],
		Purpose: pod.Annotations["example.com/purpose"], Reviewed: pod.Annotations["example.com/reviewed"],
		Selector: pod.Spec.NodeSelector, BackoffLimit: *j.Spec.BackoffLimit,
	}
	for _, toleration := range pod.Spec.Tolerations {
		if !strings.HasPrefix(toleration.Key, "node.kubernetes.io/") { // these are Kubernetes' own
			out.Tolerations = append(out.Tolerations, toleration.Key)
		}
	}
	for _, volume := range pod.Spec.Volumes {
		switch {
		case volume.ConfigMap != nil && volume.EmptyDir == nil:
			out.Volumes = append(out.Volumes, volume.Name+" configMap")
		case volume.EmptyDir != nil:
			out.Volumes = append(out.Volumes, volume.Name+" emptyDir")
		}
	}
	for i := range pod.Spec.InitContainers {
		out.Init = append(out.Init, pod.Spec.InitContainers[i].Image)
	}
	slices.Sort(out.Volumes)
	slices.Sort(out.Init)
	for _, key := range []string{"team", "tier", queueLabel, v1alpha1.StepIndexLabel, v1alpha1.StepNameLabel} {
		if j.Labels[key] != pod.Labels[key] {
			c.T.Errorf("label %s of %s is %q, of its pod %q", key, job, j.Labels[key], pod.Labels[key])
		}
	}
	return out
}

// Each step gets what it says over what all share; nothing gets lost by leaving it out, and no other step is touched.
func TestAnOverrideReachesJobAndPodOfItsStep(t *testing.T) {
	c := newCluster(t)
	for _, name := range []string{"robot", "loader"} {
		_, err := c.Kube.CoreV1().ServiceAccounts(c.Namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		framework.Must(t, err)
	}
	c.StartController()
	manifest := filepath.Join(t.TempDir(), "etl.yaml")
	framework.Must(t, os.WriteFile(manifest, []byte(overridden), 0o600))
	c.Kubectl("apply", "-f", manifest)
	c.wantEnd(c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted), v1alpha1.ReasonCompleted)
	shared := seen{
		Account: "robot", Tier: "batch", Team: "analytics", Purpose: "report", Selector: map[string]string{"kubernetes.io/os": "linux"},
		Tolerations: []string{"spot"}, Volumes: []string{"cache emptyDir", "data emptyDir"}, Init: []string{"example.com/prepare:v1"}, BackoffLimit: 3,
	}
	notify := shared
	notify.Account, notify.BackoffLimit = "loader", 1
	for job, want := range map[string]seen{
		"etl-0": shared, "etl-f0": notify,
		"etl-1": {
			Account: "loader", Tier: "urgent", Team: "analytics", Queue: "gpus", Purpose: "report", Reviewed: "yes",
			Selector:    map[string]string{"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
			Tolerations: []string{"gpu"}, // a list without a key, replaced as in a Pod
			Volumes:     []string{"cache configMap", "data emptyDir", "scratch emptyDir"},
			Init:        []string{"example.com/prepare:v2", "example.com/proxy:v1"},
		},
	} {
		if diff := cmp.Diff(want, c.seenOf(job)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", job, diff)
		}
	}
	if index := c.Job("etl-1").Labels[v1alpha1.StepIndexLabel]; index != "1" {
		t.Errorf("an override set our own label to %s", index)
	}
	c.Jobs.Want("etl-0", "etl-1", "etl-f0")
}

// A step may have a queue to itself, in which it waits alone.
func TestAnOverrideMayGiveAStepAQueueOfItsOwn(t *testing.T) {
	c := newCluster(t)
	c.suspendQueued()
	c.StartController()
	sj := framework.NewSequence("etl", "prepare", "train", "report")
	template := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{queueLabel: "gpus"}}}
	sj.Spec.StepOverrides = []v1alpha1.StepOverride{{Name: "train", Template: template}}
	c.Create(sj)
	c.mustBeQueued("etl-1", "gpus")
	c.admit("etl-1", "linux")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	for job, want := range map[string]string{"etl-0": "", "etl-1": "gpus", "etl-2": ""} {
		if got := c.Job(job).Labels[queueLabel]; got != want {
			t.Errorf("Job %s has the queue %q, want %q", job, got, want)
		}
	}
	c.Jobs.Want("etl-0", "etl-1", "etl-2")
}

// The spec is checked by one dry run for each template that there is.
func TestEachTemplateIsCheckedOnce(t *testing.T) {
	t.Parallel()
	account := func(step, name string) v1alpha1.StepOverride {
		return v1alpha1.StepOverride{Name: step, Template: &corev1.PodTemplateSpec{Spec: corev1.PodSpec{ServiceAccountName: name}}}
	}
	for name, tc := range map[string]struct {
		overrides []v1alpha1.StepOverride
		dryRuns   int
	}{
		"no overrides": {dryRuns: 1},
		"overrides of no template": {
			overrides: []v1alpha1.StepOverride{{Name: "b", BackoffLimit: new(int32(0))}, {Name: "c", ActiveDeadlineSeconds: new(int64(60))}}, dryRuns: 1,
		},
		"two of the same":       {overrides: []v1alpha1.StepOverride{account("b", "loader"), account("notify", "loader")}, dryRuns: 2},
		"two that differ":       {overrides: []v1alpha1.StepOverride{account("b", "loader"), account("c", "reader")}, dryRuns: 3},
		"all steps have theirs": {overrides: []v1alpha1.StepOverride{account("a", "x"), account("b", "y"), account("c", "x"), account("notify", "y")}, dryRuns: 2},
	} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.Jobs.CompleteAll()
			counter := &framework.RequestCounter{}
			c.StartControllerVia(counter)
			sj := framework.WithFinally(framework.NewSequence("etl", "a", "b", "c"), "notify")
			sj.Spec.StepOverrides = tc.overrides
			c.Create(sj)
			c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
			asked := slices.DeleteFunc(counter.Requests(), func(request string) bool { return !strings.Contains(request, "dryRun=") })
			if len(asked) != tc.dryRuns {
				t.Errorf("%d dry runs, want %d: %q", len(asked), tc.dryRuns, asked)
			}
			c.Jobs.Want("etl-0", "etl-1", "etl-2", "etl-f0")
		})
	}
}

// Somebody else than who wrote the sequence says what differs for one step; neither takes the other's entries.
func TestASecondFieldManagerOwnsOneOverride(t *testing.T) {
	c := newByHandCluster(t)
	c.StartController()
	dir := t.TempDir()
	file := writeSequence(t, dir, "etl", "stepOverrides: [{name: extract, backoffLimit: 1}]")
	applyAs := func(manager, file string) (string, error) {
		return framework.RunKubectl("--namespace", c.Namespace, "apply", "--server-side", "--field-manager="+manager, "-f", file)
	}
	apply := func(manager, file string) {
		t.Helper()
		if out, err := applyAs(manager, file); err != nil {
			t.Fatalf("apply as %s: %v\n%s", manager, err, out)
		}
	}
	override := func(name, override string) string {
		return writeManifest(t, dir, name, "apiVersion: batch.example.com/v1alpha1\nkind: SequentialJob\nmetadata:\n  name: etl\nspec:\n  stepOverrides: ["+override+"]\n")
	}
	apply("ci", file)
	c.WaitForRunning("etl", 0)
	apply("platform", override("gate", "{name: load, suspend: true, backoffLimit: 0}"))
	apply("ci", file)
	if got := c.Get("etl").Spec.StepOverrides; len(got) != 2 {
		t.Errorf("another apply of the sequence took an entry away: %+v", got)
	}
	out, err := applyAs("oncall", override("taken", "{name: load, suspend: false}"))
	if err == nil || !strings.Contains(out, `conflict with "platform": .spec.stepOverrides[name="load"].suspend`) {
		t.Errorf("the entry was taken from who owns it: %v\n%s", err, out)
	}
	c.EndJob("etl-0", batchv1.JobComplete, "")
	c.waitForMessage("etl", v1alpha1.ReasonSuspended, "Job 1 (load) waits for approval")
	apply("platform", override("gate", "{name: load, suspend: false, backoffLimit: 0}"))
	if got := *c.WaitForJob("etl", "etl-1").Spec.BackoffLimit; got != 0 {
		t.Errorf("backoffLimit %d, want 0", got)
	}
	c.wantManagers("etl", "ci", "platform")
	apply("ci", file)
	c.EndJob("etl-1", batchv1.JobComplete, "")
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	if got := *c.Job("etl-0").Spec.BackoffLimit; got != 1 {
		t.Errorf("backoffLimit of etl-0 is %d, want 1", got)
	}
}
