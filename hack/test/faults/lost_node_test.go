//go:build integration

package faults_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/example/sequential-job-operator/hack/test/framework"
)

// A node is lost while steps run on it, and declared so as Kubernetes wants it (non-graceful node shutdown). Each Job
// starts its pod again elsewhere; the sequences see nothing of it but a long step.
func TestFaultsTheNodeIsLostInMidStep(t *testing.T) {
	w, report := newWorld(t), startReport(t)
	const sequences = 10
	// Without it nobody plays the node: pods that are bound to it run forever.
	clusterCommand(t, "stop", "kwok-controller")
	lost := w.onlyNode()
	w.StartController()
	w.runSequences(sequences)
	w.until("a pod of each sequence to be bound to the node", func(ctx context.Context) bool { return w.runPods(ctx) == sequences })

	w.declareLost(lost)
	w.until("its pods to be gone", func(ctx context.Context) bool {
		pods, err := w.Kube.CoreV1().Pods(w.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + lost.Name})
		return err == nil && len(pods.Items) == 0
	})
	framework.Must(t, w.Kube.CoreV1().Nodes().Delete(t.Context(), lost.Name, metav1.DeleteOptions{}))
	// kwok plays the new node as it did the old one.
	replacement := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "replacement-", Labels: lost.Labels, Annotations: lost.Annotations,
	}}
	replacement.Status = *lost.Status.DeepCopy()
	_, err := w.Kube.CoreV1().Nodes().Create(t.Context(), replacement, metav1.CreateOptions{})
	framework.Must(t, err)
	clusterCommand(t, "start")
	report.add("node lost while a step runs", 1, sequences, w.judgeAll())
}

func (w *world) onlyNode() *corev1.Node {
	w.T.Helper()
	nodes, err := w.Kube.CoreV1().Nodes().List(w.T.Context(), metav1.ListOptions{})
	framework.Must(w.T, err)
	if len(nodes.Items) != 1 {
		w.T.Fatalf("%d nodes, want one", len(nodes.Items))
	}
	return &nodes.Items[0]
}

// runPods does what a kubelet would: the pods that are bound run. It returns how many there are.
func (w *world) runPods(ctx context.Context) (running int) {
	w.T.Helper()
	pods, err := w.Kube.CoreV1().Pods(w.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.NodeName == "" {
			continue
		}
		running++
		if pod.Status.Phase == corev1.PodRunning {
			continue
		}
		pod.Status.Phase = corev1.PodRunning
		if _, err := w.Kube.CoreV1().Pods(w.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil && !apierrors.IsConflict(err) {
			w.T.Errorf("run pod %s: %v", pod.Name, err)
		}
	}
	return running
}

// declareLost makes Kubernetes give up the node and what ran on it.
func (w *world) declareLost(node *corev1.Node) {
	w.T.Helper()
	for subresource, patch := range map[string]string{
		"status": `{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}`,
		"":       `{"spec":{"taints":[{"key":"node.kubernetes.io/out-of-service","value":"nodeshutdown","effect":"NoExecute"}]}}`,
	} {
		_, err := w.Kube.CoreV1().Nodes().Patch(w.T.Context(), node.Name, types.StrategicMergePatchType, []byte(patch),
			metav1.PatchOptions{}, subresource)
		framework.Must(w.T, err)
	}
}
