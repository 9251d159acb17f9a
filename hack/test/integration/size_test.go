//go:build integration

package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// newSequenceOfSize returns a sequence that has that many bytes as JSON, or a few less.
func newSequenceOfSize(t *testing.T, name string, steps, size int) *v1alpha1.SequentialJob {
	t.Helper()
	sj := framework.NewSequence(name)
	for i := range steps {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{
			Name: fmt.Sprintf("step-%d", i), Image: "example.com/step:v1", Env: []corev1.EnvVar{{Name: "PADDING"}},
		})
	}
	raw, err := json.Marshal(sj)
	framework.Must(t, err)
	for i := range sj.Spec.Containers {
		sj.Spec.Containers[i].Env[0].Value = strings.Repeat("x", (size-len(raw))/steps)
	}
	return sj
}

// What etcd stores with room for the status runs to its end; what it stores without is refused by the controller before
// anything runs; what it does not store at all, by the API server.
func TestASequenceRunsWhateverItsSizeOrIsRefused(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	c.StartController()
	c.Create(newSequenceOfSize(t, "large", 1, 1400<<10))
	c.Create(newSequenceOfSize(t, "too-large", 3, 1500<<10))
	_, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Create(t.Context(),
		newSequenceOfSize(t, "too-large-for-etcd", 3, 1800<<10), metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "etcdserver: request is too large") {
		t.Errorf("more than etcd stores: %v", err)
	}
	c.WaitForPhase("large", v1alpha1.SequentialJobCompleted)
	sj := c.WaitForPhase("too-large", v1alpha1.SequentialJobFailed)
	failed := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionFailed)
	if failed.Reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(failed.Message, "leave room for its status") {
		t.Errorf("condition %+v", failed)
	}
	c.Jobs.Want("large-0")
}

// newWidestSequence returns one that makes the rules of the CRD and the policy do as much as the schema allows.
func newWidestSequence(name string) *v1alpha1.SequentialJob {
	const volumes, initContainers = 50, 50
	long := func(kind string, i int) string { return fmt.Sprintf("%s%s-%02d", kind, strings.Repeat("x", 59), i) }
	sj := framework.NewSequence(name)
	var mounts []corev1.VolumeMount
	pod := &sj.Spec.Template.Spec
	for i := range volumes {
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: long("v", i), VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		mounts = append(mounts, corev1.VolumeMount{Name: long("v", volumes-1), MountPath: fmt.Sprintf("/%d", i)})
	}
	always := corev1.ContainerRestartPolicyAlways
	for i := range initContainers {
		pod.InitContainers = append(pod.InitContainers, corev1.Container{Name: long("i", i), Image: "i", RestartPolicy: &always, VolumeMounts: mounts})
	}
	for i := range v1alpha1.MaxSteps {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: long("s", i), Image: "i", VolumeMounts: mounts})
	}
	return sj
}

// The API server stops rules and policies that cost too much; a user is subject to both.
func TestTheMostExpensiveObjectIsAdmittedAndEdited(t *testing.T) {
	c := newByHandCluster(t)
	const user = "wide"
	theirs := c.user(user)
	c.grant(user, "all", mayDo("sequentialjobs", "*"), mayDo("sequentialjobs/status", "update"), mayCreateJobs)
	c.mustBeAllowed("a create", func(ctx context.Context) error {
		_, err := theirs.Create(ctx, framework.NewSequence("small", "only"), onlyTry)
		return err
	})
	sj, err := theirs.Create(t.Context(), newWidestSequence("wide"), metav1.CreateOptions{})
	framework.Must(t, err)
	for i := range sj.Spec.Containers[:len(sj.Spec.Containers)-1] {
		sj.Status.Steps = append(sj.Status.Steps, v1alpha1.StepStatus{
			Name: sj.Spec.Containers[i].Name, JobName: fmt.Sprintf("wide-%d", i), JobUID: "uid", State: v1alpha1.StepCompleted,
		})
	}
	sj, err = theirs.UpdateStatus(t.Context(), sj, metav1.UpdateOptions{})
	framework.Must(t, err)
	sj.Spec.Containers[len(sj.Spec.Containers)-1].Image = "edited"
	_, err = theirs.Update(t.Context(), sj, metav1.UpdateOptions{})
	framework.Must(t, err)
	sj, err = theirs.Patch(t.Context(), "wide", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
	framework.Must(t, err)

	mounts := sj.Spec.Containers[len(sj.Spec.Containers)-1].VolumeMounts
	mounts[len(mounts)-1].Name = "nowhere"
	if _, err = theirs.Update(t.Context(), sj, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a mount of an unknown volume: %v", err)
	}
}
