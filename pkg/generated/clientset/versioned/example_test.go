package versioned_test

import (
	"context"
	"fmt"
	"log"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	apply "github.com/example/sequential-job-operator/pkg/generated/applyconfiguration/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned"
	"github.com/example/sequential-job-operator/pkg/generated/clientset/versioned/fake"
)

// The examples run against a clientset that is faked; versioned.NewForConfig makes a real one.
var ctx = context.Background()

func etl() *v1alpha1.SequentialJob {
	sj := &v1alpha1.SequentialJob{ObjectMeta: metav1.ObjectMeta{Name: "etl", Namespace: "default"}}
	sj.Spec.Containers = []corev1.Container{
		{Name: "extract", Image: "data-tools/extractor:v1", Command: []string{"extract"}},
		{Name: "load", Image: "data-tools/loader:v1", Command: []string{"load"}},
	}
	return sj
}

// ended is what the controller makes of it.
func ended(phase v1alpha1.SequentialJobPhase) *v1alpha1.SequentialJob {
	sj := etl()
	now := metav1.Now()
	sj.Status.Phase, sj.Status.CompletionTime = phase, &now
	if phase == v1alpha1.SequentialJobFailed {
		meta.SetStatusCondition(&sj.Status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionFailed, Status: metav1.ConditionTrue, Reason: "BackoffLimitExceeded",
			Message: `Job 1 (load) failed: BackoffLimitExceeded: container "load" exited with code 2: no such table`,
		})
	}
	return sj
}

func Example() {
	var client versioned.Interface = fake.NewClientset()

	created, err := client.BatchV1alpha1().SequentialJobs("default").Create(ctx, etl(), metav1.CreateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(created.Name, "with", len(created.Spec.Containers), "steps")
	// Output: etl with 2 steps
}

// To wait for the end, watch that one object until it has a completionTime. A watch may end early; UntilWithSync of the same package
// begins again then, as artifacts/examples/go shows.
func Example_waitForTheEnd() {
	client := fake.NewClientset(etl())
	sequentialJobs := client.BatchV1alpha1().SequentialJobs("default")

	watcher, err := sequentialJobs.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", "etl").String()})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := sequentialJobs.UpdateStatus(ctx, ended(v1alpha1.SequentialJobCompleted), metav1.UpdateOptions{}); err != nil { // the controller
		log.Fatal(err)
	}
	last, err := watchtools.UntilWithoutRetry(ctx, watcher, func(event watch.Event) (bool, error) {
		sj, ok := event.Object.(*v1alpha1.SequentialJob)
		return ok && sj.Status.CompletionTime != nil, nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(last.Object.(*v1alpha1.SequentialJob).Status.Phase)
	// Output: Completed
}

// The condition Failed says in one line which step failed, and why.
func Example_whyItFailed() {
	client := fake.NewClientset(ended(v1alpha1.SequentialJobFailed))

	sj, err := client.BatchV1alpha1().SequentialJobs("default").Get(ctx, "etl", metav1.GetOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if failed := meta.FindStatusCondition(sj.Status.Conditions, v1alpha1.ConditionFailed); failed != nil && failed.Status == metav1.ConditionTrue {
		fmt.Println(failed.Message)
	}
	// Output: Job 1 (load) failed: BackoffLimitExceeded: container "load" exited with code 2: no such table
}

// A failed sequence goes on from the failed step once it may be retried more often.
func Example_goOnAfterAFailure() {
	client := fake.NewClientset(ended(v1alpha1.SequentialJobFailed))

	patched, err := client.BatchV1alpha1().SequentialJobs("default").Patch(ctx, "etl", types.MergePatchType,
		[]byte(`{"spec":{"retries":1}}`), metav1.PatchOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("retries:", *patched.Spec.Retries)
	// Output: retries: 1
}

// Server-side apply creates what is not there and changes what is, without a Get before; fields that are not named stay as
// others have set them.
func Example_serverSideApply() {
	client := fake.NewClientset()

	etl := apply.SequentialJob("etl", "default").
		WithSpec(apply.SequentialJobSpec().
			WithContainers(
				applycorev1.Container().WithName("extract").WithImage("data-tools/extractor:v1").WithCommand("extract"),
				applycorev1.Container().WithName("load").WithImage("data-tools/loader:v1").WithCommand("load"),
			).
			WithRetries(2))
	applied, err := client.BatchV1alpha1().SequentialJobs("default").Apply(ctx, etl, metav1.ApplyOptions{FieldManager: "nightly"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(applied.Name, "may be retried", *applied.Spec.Retries, "times")
	// Output: etl may be retried 2 times
}
