package kubectl

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

// listStatus shows one line a sequence.
func (t *Tool) listStatus(ctx context.Context, c Clients, o statusOptions) error {
	if _, err := labels.Parse(o.selector); err != nil {
		return usageError("--selector: %w", err)
	}
	namespace := c.Namespace
	if o.all {
		namespace = metav1.NamespaceAll
	}
	list, err := c.SequentialJobs.BatchV1alpha1().SequentialJobs(namespace).List(ctx, metav1.ListOptions{LabelSelector: o.selector})
	if err != nil {
		return t.explain(err, access{verb: "list", resource: resourceSequentialJobs, namespace: namespace})
	}
	if len(list.Items) == 0 {
		fmt.Fprintln(t.ErrOut, "No SequentialJobs found")
		return nil
	}
	return t.printTable(list.Items, o.all)
}

func (t *Tool) printTable(items []v1alpha1.SequentialJob, withNamespace bool) error {
	style, now := terminalOf(t.Out).style(), time.Now()
	var table bytes.Buffer
	writer := printers.GetNewTabWriter(&table)
	fmt.Fprintln(writer, strings.Join(view.Titles(withNamespace), "\t"))
	for i := range items {
		fmt.Fprintln(writer, strings.Join(style.Row(&items[i], withNamespace, now), "\t"))
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(t.Out, style.CutLine(strings.TrimRight(line, " \n")))
	}
	return nil
}
