//go:build integration

package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/example/sequential-job-operator/hack/test/framework"
	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

// What a container says as it ends is anything but trustworthy: it reaches the status, events, logs and terminals.
func TestATerminationMessageCanDoNoHarm(t *testing.T) {
	for name, message := range map[string]string{
		"control characters": "a\x00b\x07c\x08d\x7fe\u0085f\u009bg",
		"escape sequences":   "\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m",
		"lines":              "first\nsecond\r\nEvents:\n  Normal  Completed",
		"direction":          "abc\u202edef\u2066\u200b",
		"10 KiB":             strings.Repeat("0123456789abcdef", 640),
		"10 KiB of runes":    strings.Repeat("größe数😀", 640),
		"invalid UTF-8":      "a\xff\xfe\xc3(\xe2\x82b",
	} {
		t.Run(name, func(t *testing.T) {
			c := newByHandCluster(t)
			c.StartController()
			c.Create(framework.NewSequence("etl", "extract", "load"))
			c.createFailedPodSaying(c.WaitForRunning("etl", 0), message)
			c.EndJob("etl-0", batchv1.JobFailed, "BackoffLimitExceeded")
			sj := c.WaitForPhase("etl", v1alpha1.SequentialJobFailed)
			failed := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionFailed)
			for _, text := range []string{failed.Message, sj.Status.Steps[0].Message} {
				if problem := unfit(text); problem != "" || !strings.Contains(text, `container "extract" exited with code 1: `) {
					t.Errorf("%s in %q", problem, text)
				}
			}
			c.Eventually("the event", func(context.Context) (bool, error) {
				for event := range c.events("etl") {
					if note, found := strings.CutPrefix(event, v1alpha1.ReasonJobFailed+": "); found {
						if problem := unfit(note); problem != "" {
							t.Errorf("the event has %s: %q", problem, note)
						}
						return true, nil
					}
				}
				return false, nil
			})
		})
	}
}

// unfit says what is wrong with a text for one line of a terminal.
func unfit(text string) string {
	const most = 1024 + len("Job 0 (extract) failed: BackoffLimitExceeded: ")
	switch {
	case len(text) > most:
		return fmt.Sprintf("%d bytes", len(text))
	case !utf8.ValidString(text):
		return "invalid UTF-8"
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
		return "characters that cannot be seen"
	}
	return ""
}

// createFailedPodSaying creates a failed pod of a Job by the protocol of kubelets, which carries any bytes.
func (c *cluster) createFailedPodSaying(job *batchv1.Job, message string) {
	c.T.Helper()
	config := framework.RestConfig(c.T)
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf
	node := &cluster{&framework.Cluster{T: c.T, Namespace: c.Namespace, Kube: kubernetes.NewForConfigOrDie(config), Client: c.Client}}
	node.createFailedPod(job, job.Labels[v1alpha1.StepNameLabel], 1, message)
}

// Whatever the name of a step's Job could be mistaken for, it is looked for as a name.
func TestNamesAtTheirLimitsWork(t *testing.T) {
	c := newByHandCluster(t)
	c.Jobs.CompleteAll()
	c.StartController()
	name := "0" + strings.Repeat("-", 50) + "0"
	sj := framework.NewSequence(name, strings.Repeat("s", 63), "null", "0", "true")
	sj.Spec.Template.Labels = map[string]string{strings.Repeat("p", 63) + "." + strings.Repeat("q", 63) + "/" + strings.Repeat("n", 63): strings.Repeat("v", 63)}
	c.Create(sj)
	c.WaitForPhase(name, v1alpha1.SequentialJobCompleted)
	c.Jobs.Want(name+"-0", name+"-1", name+"-2", name+"-3")
	background := metav1.DeletePropagationBackground
	framework.Must(t, c.Client.BatchV1alpha1().SequentialJobs(c.Namespace).Delete(t.Context(), name, metav1.DeleteOptions{PropagationPolicy: &background}))
}
