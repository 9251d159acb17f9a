package kubectl

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

const (
	// controllerSelector finds the Deployment of the controller, whatever its name and namespace.
	controllerSelector = "app.kubernetes.io/name=sequential-job-operator"
	// controllerNamespace is where the manifests put it.
	controllerNamespace = "sequential-operator-system"
	// leasePatience is longer than a controller that works lets its lease be. Clocks may differ, so a renewal that is seen counts.
	leasePatience = 6 * time.Second
	leaseInterval = 500 * time.Millisecond
)

// controllerReport is what can be seen of the controller.
type controllerReport struct {
	// Deployment is NAMESPACE/NAME; empty if none was found.
	Deployment string `json:"deployment,omitempty"`
	Image      string `json:"image,omitempty"`
	Ready      int32  `json:"readyReplicas"`
	Replicas   int32  `json:"replicas"`
	// Leader holds the lease: it is the one that works.
	Leader string `json:"leader,omitempty"`
	// Works says whether the leader renews its lease; empty if that cannot be seen.
	Works fit `json:"works,omitempty"`
	// Problems say what cannot be seen, and why, or what is wrong.
	Problems []string `json:"problems,omitempty"`
}

func (r *controllerReport) fits() fit {
	if r.Works == "" {
		return fitUnknown
	}
	return r.Works
}

func (r *controllerReport) String() string {
	var words []string
	if r.Deployment != "" {
		words = append(words, fmt.Sprintf("%s, image %s, %d of %d ready", r.Deployment, r.Image, r.Ready, r.Replicas))
	}
	switch {
	case r.Works == fitYes && r.Leader != "":
		words = append(words, r.Leader+" works")
	case r.Works == fitNo:
		words = append(words, "none works")
	}
	words = append(words, r.Problems...)
	return strings.Join(words, "; ")
}

// inspectController looks whether there is a controller, and whether it works.
func (t *Tool) inspectController(ctx context.Context, c Clients) *controllerReport {
	report := &controllerReport{}
	deployment, err := findController(ctx, c)
	switch {
	case apierrors.IsForbidden(err):
		report.Problems = append(report.Problems, t.askOthers("list", "deployments.apps", controllerNamespace))
	case err != nil:
		report.Problems = append(report.Problems, err.Error())
	case deployment == nil:
		report.Problems = append(report.Problems, "no Deployment has the label "+controllerSelector+": install it with `make deploy`, unless it runs elsewhere")
	default:
		report.Deployment = deployment.Namespace + "/" + deployment.Name
		report.Ready, report.Replicas = deployment.Status.ReadyReplicas, ptr.Deref(deployment.Spec.Replicas, 1)
		if containers := deployment.Spec.Template.Spec.Containers; len(containers) > 0 {
			report.Image = containers[0].Image
		}
	}
	namespace := controllerNamespace
	if deployment != nil {
		namespace = deployment.Namespace
	}
	t.inspectLease(ctx, c, namespace, report)
	return report
}

// askOthers says whom to ask. No role that users have allows to look at what runs the cluster.
func (t *Tool) askOthers(verb, resource, namespace string) string {
	return fmt.Sprintf("you may not %s %s in namespace %q: ask for that, or have somebody who may run `%s version`", verb, resource, namespace, t.Name)
}

// findController returns the Deployment in any namespace, or in the usual one if not all may be listed; nil if there is none.
func findController(ctx context.Context, c Clients) (*appsv1.Deployment, error) {
	options := metav1.ListOptions{LabelSelector: controllerSelector}
	list, err := c.Kube.AppsV1().Deployments(metav1.NamespaceAll).List(ctx, options)
	if apierrors.IsForbidden(err) {
		list, err = c.Kube.AppsV1().Deployments(controllerNamespace).List(ctx, options)
	}
	if err != nil || len(list.Items) == 0 {
		return nil, err
	}
	return &list.Items[0], nil
}

// inspectLease looks whether somebody holds the lease, and renews it.
func (t *Tool) inspectLease(ctx context.Context, c Clients, namespace string, report *controllerReport) {
	leases := c.Kube.CoordinationV1().Leases(namespace)
	lease, err := leases.Get(ctx, v1alpha1.ControllerName, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		report.Problems = append(report.Problems, t.askOthers("get", "leases.coordination.k8s.io", namespace))
		return
	case apierrors.IsNotFound(err) && report.Deployment == "":
		return
	case apierrors.IsNotFound(err):
		report.Works = fitNo
		report.Problems = append(report.Problems, "no replica has ever begun to work: see `kubectl describe pods -n "+namespace+"`")
		return
	case err != nil:
		report.Problems = append(report.Problems, err.Error())
		return
	}
	report.Leader = holderOf(lease)
	report.Works = fitNo
	first := lease.Spec.RenewTime
	isRenewed := isRecent(first, time.Now()) && report.Leader != ""
	if !isRenewed {
		_ = wait.PollUntilContextTimeout(ctx, leaseInterval, leasePatience, true, func(ctx context.Context) (bool, error) {
			now, err := leases.Get(ctx, v1alpha1.ControllerName, metav1.GetOptions{})
			isRenewed = err == nil && holderOf(now) != "" && !now.Spec.RenewTime.Equal(first)
			return isRenewed, nil
		}) // what it would say is whether it was renewed
	}
	if isRenewed {
		report.Works = fitYes
		return
	}
	report.Problems = append(report.Problems, fmt.Sprintf("the lease %s/%s is not renewed: see `kubectl get pods -n %s`", namespace, lease.Name, namespace))
}

func holderOf(lease *coordinationv1.Lease) string {
	holder, _, _ := strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "_") // what follows is only to be unique
	return holder
}

// isRecent says whether a controller that works renewed its lease then, give or take what clocks may differ.
func isRecent(renewed *metav1.MicroTime, now time.Time) bool {
	return renewed != nil && now.Sub(renewed.Time).Abs() < leasePatience
}
