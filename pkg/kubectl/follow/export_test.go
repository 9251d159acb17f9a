package follow

import corev1 "k8s.io/api/core/v1"

// LogOf names where a run of a container stands.
func LogOf(pods []corev1.Pod, key Key) string {
	return [...]string{"not started", "running", "ended", "replaced", "lost", "gone"}[StandOf(pods, key)]
}
