package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
)

func printCreated(out io.Writer, sj *v1alpha1.SequentialJob) {
	steps := make([]string, 0, len(sj.Spec.Containers))
	for i := range sj.Spec.Containers {
		steps = append(steps, sj.Spec.Containers[i].Name)
	}
	fmt.Fprintf(out, "Created SequentialJob %s/%s with the steps %s, of image %s\n",
		sj.Namespace, sj.Name, strings.Join(steps, ", "), sj.Spec.Containers[0].Image)
}

func printCleanUp(out io.Writer, sj *v1alpha1.SequentialJob) {
	fmt.Fprintf(out, "To clean up: kubectl delete sequentialjob %s --namespace %s\n", sj.Name, sj.Namespace)
}

// progress prints how a SequentialJob gets on. Its condition Progressing tells that in full, also what a step waits for.
type progress struct {
	out   io.Writer
	since time.Time
	last  string
}

// print prints the message of Progressing if it has changed.
func (p *progress) print(sj *v1alpha1.SequentialJob) {
	condition := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionProgressing)
	if condition == nil {
		return
	}
	if now := condition.Reason + ": " + condition.Message; now != p.last {
		p.last = now
		fmt.Fprintf(p.out, "%4s  %s\n", time.Since(p.since).Round(time.Second), now)
	}
}

// String is what was printed last.
func (p *progress) String() string {
	if p.last == "" {
		return "none, because no controller has seen it. Is the controller deployed, and does it work in this namespace?"
	}
	return p.last
}

// printEnd prints how a SequentialJob has ended, and each of its steps.
func printEnd(out io.Writer, sj *v1alpha1.SequentialJob) (exitCode int) {
	fmt.Fprintf(out, "SequentialJob %s/%s: %s\n", sj.Namespace, sj.Name, sj.Status.Phase)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STEP\tJOB\tSTATE\tDURATION\tMESSAGE")
	for _, step := range sj.Status.Steps {
		duration := "-"
		if step.StartTime != nil && step.CompletionTime != nil {
			duration = step.CompletionTime.Sub(step.StartTime.Time).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", step.Name, step.JobName, step.State, duration, step.Message)
	}
	if err := table.Flush(); err != nil {
		return fail(err)
	}
	if sj.Status.Phase != v1alpha1.SequentialJobCompleted {
		return exitFailed
	}
	return 0
}
