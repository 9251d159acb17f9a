//go:build integration

package api_test

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const withNulls = `
spec:
  suspend:
  retries:
  activeDeadlineSeconds:
  ttlSecondsAfterFinished:
  backoffLimit:
  advanceOn:
  podFailurePolicy:
  containers:
    - {name: a, image: i, args: , env: , resources: {limits: {cpu: }}, securityContext: , restartPolicy: , volumeMounts: }
  template:
    metadata: {annotations: {a: }, labels: }
    spec: {nodeSelector: , tolerations: , securityContext: , serviceAccountName: , restartPolicy: , volumes: , initContainers: , containers: }
`

// null means unset, however it is sent: a template that leaves a value empty is applied by the server with Helm 4 and Flux.
func TestIntegrationNullIsUnset(t *testing.T) {
	s := newServer(t)
	created := object(t, withNulls)
	created.SetName("created")
	s.create(t, created)
	var versions []string
	for range 4 {
		o := object(t, withNulls)
		o.SetName("applied")
		got, err := s.sj.Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager})
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, fmt.Sprintf("generation %d, resourceVersion %s", got.GetGeneration(), got.GetResourceVersion()))
	}
	// The first write after the creation stores what the CRD has as the status of one that nobody has worked on.
	if len(slices.Compact(versions[1:])) != 1 {
		t.Errorf("it changes each time it is applied: %v", versions)
	}
}

func TestIntegrationWhatIsTakenOutOfAnApplyIsUnset(t *testing.T) {
	s := newServer(t)
	for _, context := range []string{"{runAsUser: 1}", "{}", "null"} {
		o := object(t, `metadata: {name: applied}`+"\n"+`spec: {containers: [{name: a, image: i}], template: {spec: {securityContext: `+context+`}}}`)
		if _, err := s.sj.Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager}); err != nil {
			t.Errorf("%s: %v", context, err)
		}
	}
}
