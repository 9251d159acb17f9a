package main

import (
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// sequentialJob returns an object as users write them: every step with command, environment, resources and mounts, and a
// template that gives each CEL rule something to check.
func sequentialJob(v variant, steps int) *unstructured.Unstructured {
	containers := make([]any, steps)
	for i := range containers {
		containers[i] = step(i)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v.resource().Group + "/v1alpha1",
		"kind":       "SequentialJob",
		"metadata":   map[string]any{"name": fmt.Sprintf("bench-%d", steps), "namespace": "default"},
		"spec": map[string]any{
			"containers":   containers,
			"backoffLimit": int64(2),
			"podFailurePolicy": map[string]any{"rules": []any{
				map[string]any{"action": "Ignore", "onPodConditions": []any{map[string]any{"type": "DisruptionTarget", "status": "True"}}},
				map[string]any{"action": "FailJob", "onExitCodes": map[string]any{
					"containerName": "step-0", "operator": "In", "values": []any{int64(3), int64(42)},
				}},
			}},
			"template": template(),
		},
	}}
}

func step(i int) map[string]any {
	return map[string]any{
		"name":    fmt.Sprintf("step-%d", i),
		"image":   "registry.example.com/data-tools/transformer:v1.2.3",
		"command": []any{"transform"},
		"args":    []any{"--source=/data/raw", "--target=/data/transformed", "--db-connection=$(DB_CONN)"},
		"env": []any{
			map[string]any{"name": "LOG_LEVEL", "value": "info"},
			map[string]any{"name": "REGION", "value": "eu-central-1"},
			map[string]any{"name": "STEP", "value": strconv.Itoa(i)},
			map[string]any{"name": "DB_CONN", "valueFrom": map[string]any{
				"secretKeyRef": map[string]any{"name": "db-credentials", "key": "connection-string"},
			}},
		},
		"resources": map[string]any{
			"requests": map[string]any{"memory": "256Mi", "cpu": "500m"},
			"limits":   map[string]any{"memory": "512Mi", "cpu": "1000m"},
		},
		"volumeMounts": []any{
			map[string]any{"name": "data", "mountPath": "/data"},
			map[string]any{"name": "config", "mountPath": "/etc/pipeline", "readOnly": true},
		},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false,
			"capabilities":             map[string]any{"drop": []any{"ALL"}},
		},
	}
}

func template() map[string]any {
	return map[string]any{
		"metadata": map[string]any{
			"labels":      map[string]any{"app": "data-pipeline", "team": "data"},
			"annotations": map[string]any{"example.com/owner": "data-team@example.com"},
		},
		"spec": map[string]any{
			"serviceAccountName": "pipeline",
			"nodeSelector":       map[string]any{"kubernetes.io/arch": "amd64"},
			"securityContext":    map[string]any{"runAsNonRoot": true, "runAsUser": int64(1000)},
			"volumes": []any{
				map[string]any{"name": "data", "persistentVolumeClaim": map[string]any{"claimName": "pipeline-data"}},
				map[string]any{"name": "config", "configMap": map[string]any{"name": "pipeline-config"}},
				map[string]any{"name": "scratch", "emptyDir": map[string]any{}},
			},
			"initContainers": []any{map[string]any{
				"name": "proxy", "image": "registry.example.com/proxy:v1", "restartPolicy": "Always",
				"volumeMounts": []any{map[string]any{"name": "config", "mountPath": "/etc/proxy"}},
			}},
		},
	}
}

// setStatus writes the status that the controller would write when it starts one more step.
func setStatus(object *unstructured.Unstructured, write int) {
	containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "containers")
	current := write % len(containers)
	now := time.Now().UTC().Format(time.RFC3339)
	var steps, completed []any
	for i := range current + 1 {
		entry := map[string]any{
			"name": fmt.Sprintf("step-%d", i), "jobName": fmt.Sprintf("%s-%d", object.GetName(), i),
			"jobUID": fmt.Sprintf("8e4b6a1c-0000-4000-8000-%012d", i), "state": "Running", "startTime": now,
		}
		if i < current {
			entry["state"], entry["completionTime"] = "Completed", now
			completed = append(completed, int64(i))
		}
		steps = append(steps, entry)
	}
	object.Object["status"] = map[string]any{
		"observedGeneration": object.GetGeneration(),
		"phase":              "Running",
		"startTime":          now,
		"state":              map[string]any{"active": int64(1), "succeeded": int64(current), "failed": int64(0)},
		"progress": map[string]any{
			"currentIndex": int64(current), "currentStep": fmt.Sprintf("step-%d", current), "retries": int64(0),
			"completions": fmt.Sprintf("%d/%d", current, len(containers)), "completedIndices": completed,
		},
		"conditions": []any{
			condition(object, now, "Available", "False", "1 step runs"),
			condition(object, now, "Progressing", "True", fmt.Sprintf("Started job %d", current)),
			condition(object, now, "Failed", "False", "No step has failed"),
			condition(object, now, "Reconciling", "True", fmt.Sprintf("Started job %d", current)),
		},
		"steps": steps,
	}
}

func condition(object *unstructured.Unstructured, now, kind, status, message string) map[string]any {
	return map[string]any{
		"type": kind, "status": status, "reason": "JobStarted", "message": message,
		"lastTransitionTime": now, "observedGeneration": object.GetGeneration(),
	}
}
