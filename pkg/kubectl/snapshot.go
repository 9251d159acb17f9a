package kubectl

import (
	"context"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// read reads once what the API server has of a sequence.
func (t *Tool) read(ctx context.Context, c Clients, sj *v1alpha1.SequentialJob) (Snapshot, error) {
	s := Snapshot{SequentialJob: sj}
	jobs, err := c.Kube.BatchV1().Jobs(sj.Namespace).List(ctx, ofSequence(sj))
	if err := s.miss(err, access{verb: "list", resource: resourceJobs, namespace: sj.Namespace}); err != nil {
		return s, err
	}
	pods, err := c.Kube.CoreV1().Pods(sj.Namespace).List(ctx, ofSequence(sj))
	if err := s.miss(err, access{verb: "list", resource: resourcePods, namespace: sj.Namespace}); err != nil {
		return s, err
	}
	s.Jobs, s.Pods = jobs.Items, pods.Items
	s.sort()
	return s, nil
}

// miss notes what may not be read, and returns any other error.
func (s *Snapshot) miss(err error, a access) error {
	if apierrors.IsForbidden(err) {
		s.Missing = append(s.Missing, a.forbidden())
		return nil
	}
	return err
}

func (s *Snapshot) sort() {
	slices.SortFunc(s.Jobs, func(a, b batchv1.Job) int { return compareCreation(&a, &b) })
	slices.SortFunc(s.Pods, func(a, b corev1.Pod) int { return compareCreation(&a, &b) })
}

func compareCreation(a, b metav1.Object) int {
	at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if c := at.Compare(bt.Time); c != 0 {
		return c
	}
	return slices.Compare([]byte(a.GetName()), []byte(b.GetName()))
}
