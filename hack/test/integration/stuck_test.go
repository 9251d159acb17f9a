//go:build integration

package integration_test

import (
	"context"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// What keeps pods from being created or placed. What keeps containers from starting needs a real node: see the e2e tests.
func TestAStepWithoutAPodSaysWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		labels map[string]string
		set    func(*cluster, *v1alpha1.SequentialJob)
		want   string
	}{
		"unschedulable": {
			set: func(_ *cluster, sj *v1alpha1.SequentialJob) {
				sj.Spec.Template.Spec.NodeSelector = map[string]string{"example.com/no-such-node": "true"}
			},
			want: "Unschedulable: 0/1 nodes are available",
		},
		"missing PersistentVolumeClaim": {
			set: func(_ *cluster, sj *v1alpha1.SequentialJob) {
				sj.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
					PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "nowhere"},
				}}}
			},
			want: `persistentvolumeclaim "nowhere" not found`,
		},
		"missing ServiceAccount": {
			set:  func(_ *cluster, sj *v1alpha1.SequentialJob) { sj.Spec.Template.Spec.ServiceAccountName = "nobody" },
			want: `FailedCreate: Error creating: pods "etl-0-" is forbidden: error looking up service account`,
		},
		"quota of pods": {
			set: func(c *cluster, _ *v1alpha1.SequentialJob) {
				c.createQuota(corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")})
			},
			want: `FailedCreate: Error creating: pods "etl-0-*" is forbidden: exceeded quota`,
		},
		"LimitRange": {
			set: func(c *cluster, sj *v1alpha1.SequentialJob) {
				limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.LimitRangeSpec{
					Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{
						corev1.ResourceMemory: resource.MustParse("10Mi")}}},
				}}
				_, err := c.Kube.CoreV1().LimitRanges(c.Namespace).Create(c.T.Context(), limits, metav1.CreateOptions{})
				framework.Must(c.T, err)
				sj.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
			},
			want: "maximum memory usage per Container is 10Mi",
		},
		"admission policy": {
			set:  func(c *cluster, _ *v1alpha1.SequentialJob) { c.refusePods("no pods on Sundays") },
			want: "no pods on Sundays",
		},
		"PodSecurity": {
			labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
			set:    func(*cluster, *v1alpha1.SequentialJob) {},
			want:   `FailedCreate: Error creating: pods "etl-0-*" is forbidden: violates PodSecurity "restricted:latest"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClusterLabelled(t, tc.labels)
			c.StartController()
			sj := framework.NewSequence("etl", "extract", "load")
			tc.set(c, sj)
			c.Create(sj)
			c.waitForMessage("etl", v1alpha1.ReasonPodNotStarted, tc.want)
			if described := c.Kubectl("describe", "sequentialjob", "etl"); !strings.Contains(described, tc.want) {
				t.Errorf("kubectl describe does not say %q:\n%s", tc.want, described)
			}
		})
	}
}

// refusePods makes the API server refuse every pod of the namespace, as an admission webhook would.
func (c *cluster) refusePods(message string) {
	c.T.Helper()
	c.refuse(admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
		admissionv1.Validation{Expression: "false", Message: message})
	probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	c.Eventually("the policy to be in force", func(ctx context.Context) (bool, error) {
		_, err := c.Kube.CoreV1().Pods(c.Namespace).Create(ctx, probe, onlyTry)
		return err != nil && strings.Contains(err.Error(), message), nil
	})
}

func (c *cluster) createQuota(hard corev1.ResourceList) {
	c.T.Helper()
	_, err := c.Kube.CoreV1().ResourceQuotas(c.Namespace).Create(c.T.Context(),
		&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}, metav1.CreateOptions{})
	framework.Must(c.T, err)
}

func TestAStuckStepGoesOnOnceTheCauseIsGone(t *testing.T) {
	c := newCluster(t)
	c.StartController()
	c.createQuota(corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")})
	c.Create(framework.NewSequence("etl", "extract", "load"))
	c.waitForMessage("etl", v1alpha1.ReasonPodNotStarted, "exceeded quota")
	framework.Must(t, c.Kube.CoreV1().ResourceQuotas(c.Namespace).Delete(t.Context(), "few", metav1.DeleteOptions{}))
	c.WaitForPhase("etl", v1alpha1.SequentialJobCompleted)
	stuck := 0
	for event, count := range c.events("etl") {
		if strings.HasPrefix(event, v1alpha1.ReasonPodNotStarted) {
			stuck += count
		}
	}
	if stuck != 1 {
		t.Errorf("%d events tell of the same cause, want 1: %v", stuck, c.events("etl"))
	}
	c.Jobs.Want("etl-0", "etl-1")
}
