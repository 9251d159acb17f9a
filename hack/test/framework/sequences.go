package framework

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// NewSequence returns a SequentialJob with one step a name.
func NewSequence(name string, steps ...string) *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, step := range steps {
		sj.Spec.Containers = append(sj.Spec.Containers, corev1.Container{Name: step, Image: "example.com/" + step + ":v1"})
	}
	return sj
}

// NewStuckSequence returns one whose pods the scheduler finds no node for.
func NewStuckSequence(name string, steps ...string) *v1alpha1.SequentialJob {
	sj := NewSequence(name, steps...)
	sj.Spec.Template.Spec.NodeSelector = map[string]string{"example.com/no-such-node": "true"}
	return sj
}

// WithFinally gives a SequentialJob one container of spec.finally a name.
func WithFinally(sj *v1alpha1.SequentialJob, names ...string) *v1alpha1.SequentialJob {
	sj.Spec.Finally = NewSequence("", names...).Spec.Containers
	return sj
}

// Create creates a SequentialJob.
func (c *Cluster) Create(sj *v1alpha1.SequentialJob) *v1alpha1.SequentialJob {
	c.T.Helper()
	stored, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Create(c.T.Context(), sj, metav1.CreateOptions{})
	Must(c.T, err)
	return stored
}

// Get returns a SequentialJob as the API server has it.
func (c *Cluster) Get(name string) *v1alpha1.SequentialJob {
	c.T.Helper()
	sj, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Get(c.T.Context(), name, metav1.GetOptions{})
	Must(c.T, err)
	return sj
}

// Patch changes a SequentialJob as a user does, by a merge patch.
func (c *Cluster) Patch(name, patch string) *v1alpha1.SequentialJob {
	c.T.Helper()
	sj, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Patch(c.T.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	Must(c.T, err)
	return sj
}

// WaitFor waits until a SequentialJob fulfils a condition and returns it.
func (c *Cluster) WaitFor(name, what string, condition func(*v1alpha1.SequentialJob) bool) *v1alpha1.SequentialJob {
	c.T.Helper()
	var sj *v1alpha1.SequentialJob
	c.Eventually(what, func(ctx context.Context) (bool, error) {
		var err error
		sj, err = c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && condition(sj), err
	})
	return sj
}

// WaitForPhase waits until a SequentialJob has a phase and returns it.
func (c *Cluster) WaitForPhase(name string, phase v1alpha1.SequentialJobPhase) *v1alpha1.SequentialJob {
	c.T.Helper()
	return c.WaitFor(name, fmt.Sprintf("SequentialJob %s to be %s", name, phase), func(sj *v1alpha1.SequentialJob) bool {
		return sj.Status.Phase == phase
	})
}

// WaitUntilGone waits until there is no SequentialJob of that name and UID.
func (c *Cluster) WaitUntilGone(sj *v1alpha1.SequentialJob) {
	c.T.Helper()
	c.Eventually("SequentialJob "+sj.Name+" to be gone", func(ctx context.Context) (bool, error) {
		now, err := c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Get(ctx, sj.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return err == nil && now.UID != sj.UID, err
	})
}

// Delete asks for the deletion of a SequentialJob; it does not wait.
func (c *Cluster) Delete(name string, propagation metav1.DeletionPropagation) {
	c.T.Helper()
	Must(c.T, c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Delete(c.T.Context(), name, metav1.DeleteOptions{PropagationPolicy: &propagation}))
}
